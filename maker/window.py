"""How many steps of a chain are voted on at a time where nobody says: as many as pay.

It grows by one with every step that is decided, and is halved where guesses have cost more than a small share
of the samples: so it follows how contested the steps are. Where requests wait for permits it gives way, and
where answers come so soon that there is nothing to hide behind it is 1. Pure: told what happened, it says how
wide. Nothing but the time and the number of samples depends on what it says (`chain.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST, MOST = 4, 64
"""Steps."""
SURPLUS = 0.05
"""Share of samples that may come to nothing."""
MEMORY = 200
"""Samples over which that share and the latency are taken."""
SHORT = 0.005
"""Seconds: a call that takes less is no longer than what we do at a step ourselves."""


@dataclass(slots=True)
class Window:
    """Of one chain; `size` is what it says."""

    size: int = FIRST
    surplus: float = 0.0
    """Share of the last samples that came to nothing."""
    latency: float | None = None
    """Seconds, a moving mean; None before the first sample."""

    def follow(self, decided: int, latencies: list[float], wasted: int, waiting: bool) -> None:
        """What has happened since it was last told.

        decided: steps. latencies: of the samples that came in, in seconds. wasted: samples found to have come
        to nothing. waiting: requests wait for permits.
        """
        for latency in latencies:
            before = latency if self.latency is None else self.latency
            self.latency = before + (latency - before) / MEMORY
            self.surplus -= self.surplus / MEMORY
        self.surplus += wasted / MEMORY
        if self.latency is not None and self.latency < SHORT:
            self.size = 1
        elif wasted and self.surplus > SURPLUS:
            self.size = max(1, self.size // 2)
        elif waiting:
            self.size = max(1, self.size - 1)
        elif self.surplus <= SURPLUS:
            self.size = min(MOST, self.size + decided)
