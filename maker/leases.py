"""What coordinator and workers tell each other of requests to models: leases one way, traffic the other.

Plain data. Times are seconds from now, so that no two machines need the same clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Lease:
    """What one worker may have of a model until it is told otherwise."""

    permits: float = 0
    """Requests at a time; infinite where nothing is limited."""
    round: int = 0
    """How often the limit has been cut so far."""
    wait: float = 0.0
    """Seconds from now in which nothing may begin."""


@dataclass(frozen=True, slots=True)
class Leases:
    """What a worker is told with every exchange."""

    paused: bool = False
    """By a person: nothing new is drawn, by any model."""
    models: Mapping[str, Lease] = field(default_factory=dict)
    """By the name that seats carry."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A worker's requests to one model since its last report, and how it stands."""

    answered: int = 0
    refused: int = 0
    fresh: int = 0
    """Refused ones that began in the newest round."""
    faults: int = 0
    """Server errors, timeouts, broken connections."""
    round: int = 0
    """The newest one that the worker has been told."""
    used: float = 0.0
    """Requests under way on average, without those that were refused."""
    in_use: int = 0
    waiting: int = 0
    """Requests that wait for a permit."""
    permits: int = 0
    """Leased."""
    share: int = 0
    """Of them, what is used after this round's refusals."""
    wait: float = 0.0
    """Seconds from now that the endpoint has asked for since the last report."""

    @property
    def committed(self) -> int:
        return max(self.permits, self.in_use)

    @property
    def wish(self) -> int:
        return self.in_use + self.waiting
