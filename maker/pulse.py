"""Where a run is just now, left beside its journal every few seconds for whoever looks on from elsewhere.

Its clock is for people: nothing is decided by it, and what cannot be written is left out, for the journal
tells that better. Invariant: it never ends a run.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from maker.errors import StorageError
from maker.nouns import Json
from maker.run_directory import RunDirectory
from maker.totals import Totals

PULSE_SECONDS = 10.0
"""Between two of them."""
WINDOW = 7
"""Pulses that the rate is taken over: a minute."""


class Beat(Protocol):
    """What a coordinator reports, as far as it is told on."""

    @property
    def totals(self) -> Totals: ...
    @property
    def going(self) -> int: ...
    @property
    def lost_workers(self) -> int: ...
    @property
    def expected(self) -> int | None: ...


@dataclass
class Pulse:
    """Called with each report of a coordinator."""

    run: RunDirectory
    command: int
    """Whose it is."""
    clock: Callable[[], float] = time.monotonic
    _seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=WINDOW), init=False)
    """(when, steps) of the last pulses, the first being no pulse but the first report."""
    _refused: bool = field(default=False, init=False)

    def __call__(self, beat: Beat) -> None:
        now = self.clock()
        if not self._seen:
            self._seen.append((now, beat.totals.steps))
        if self._refused or now - self._seen[-1][0] < PULSE_SECONDS:
            return
        self._seen.append((now, beat.totals.steps))
        try:
            self.run.write_progress(self._line(beat))
        except StorageError:
            self._refused = True

    def _line(self, beat: Beat) -> dict[str, Json]:
        (began, before), (now, steps) = self._seen[0], self._seen[-1]
        rate = (steps - before) / (now - began)
        left = None if beat.expected is None else beat.expected - steps
        return {
            "command": self.command,
            "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "steps": steps,
            "expected": beat.expected,
            "steps_per_second": round(rate, 3),
            "eta_seconds": round(left / rate) if left is not None and rate > 0 else None,
            "segments_going": beat.going,
            "lost_workers": beat.lost_workers,
            "transport_faults": beat.totals.transport_faults,
        }
