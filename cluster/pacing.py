"""The coordinator's hand on requests to models: leases out, traffic in, and what people ask for meanwhile.

It does what `maker/limits.py` decides. What it keeps in the run is for people: a run goes on without it.
Invariant: a request of a person reaches every worker within two reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from maker.control import Settings
from maker.errors import StorageError, inert
from maker.leases import Leases, Traffic
from maker.limits import Figures, Limits
from maker.nouns import Json

log = structlog.get_logger("maker")

HEAR_SECONDS = 0.5
"""Between two looks for requests."""
KEEP_SECONDS = 5.0
"""Between two times that figures are kept."""


@dataclass
class Pacing:
    settings: Callable[[], Settings] = Settings
    """What people have asked for so far."""
    keep: Callable[[dict[str, Json]], None] = lambda figures: None
    """Put figures and history into the run."""
    limits: Limits = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._heard = self._kept = time.monotonic()
        self.limits = Limits(self.settings())
        self._warn()

    @property
    def now(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._began

    @property
    def figures(self) -> dict[str, Figures]:
        return self.limits.figures(self.now)

    def grant(self, lane: str) -> Leases:
        return self.limits.grant(lane, self.now)

    def note(self, lane: str, traffic: Mapping[str, Traffic]) -> None:
        self.limits.note(lane, traffic, self.now)

    def hear(self) -> None:
        """Look for requests, and keep figures, when it is time to."""
        now = time.monotonic()
        if now - self._heard >= HEAR_SECONDS:
            self._heard = now
            was = self.limits.paused
            self.limits.settle(self.settings(), self.now)
            if was != self.limits.paused:
                self._warn()
                self.store()
        if now - self._kept >= KEEP_SECONDS:
            self.store()

    def store(self) -> None:
        """Keep what there is to be kept."""
        self._kept = time.monotonic()
        figures = self.limits.to_json(self.now)
        if not (figures["models"] or figures["changes"]):
            return
        try:
            self.keep(figures)
        except StorageError as error:
            log.warning("figures_not_kept", reason=inert(error))

    def _warn(self) -> None:
        if self.limits.paused:
            log.warning("paused", go_on="maker ctl RUN --resume")
