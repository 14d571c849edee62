"""Which segments wait for their children, and when these have all ended: the book of a coordinator.

Invariant: a segment is ready once for each time that a worker has said that it waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from maker import family
from maker.chain import Wait
from maker.nouns import Json


@dataclass(frozen=True, slots=True)
class Join:
    """Give a waiting segment the final states of its children, in their order."""

    segment: str
    finals: tuple[Json, ...]


@dataclass(slots=True)
class _Waiting:
    lane: str
    children: tuple[str, ...]
    missing: set[str]


class Joins:
    """finals: the final state of every segment that has ended; it grows elsewhere, and `ended` is told."""

    def __init__(self, finals: Mapping[str, Json]) -> None:
        self._finals = finals
        self._waiting: dict[str, _Waiting] = {}
        self._ready: set[str] = set()

    def __len__(self) -> int:
        """How many segments wait."""
        return len(self._waiting)

    def lanes(self) -> set[str]:
        """Those in which a segment waits."""
        return {waiting.lane for waiting in self._waiting.values()}

    def reread(self, lane: str) -> None:
        """A new owner of a lane will say what waits there."""
        for segment in [name for name, waiting in self._waiting.items() if waiting.lane == lane]:
            del self._waiting[segment]
            self._ready.discard(segment)

    def wait(self, lane: str, wait: Wait) -> None:
        children = tuple(child.id for child in wait.children)
        missing = {child for child in children if child not in self._finals}
        self._waiting[wait.segment] = _Waiting(lane, children, missing)
        if not missing:
            self._ready.add(wait.segment)

    def ended(self, segment: str) -> None:
        parent = family.parent(segment)
        if waiting := self._waiting.get(parent):
            waiting.missing.discard(segment)
            if not waiting.missing:
                self._ready.add(parent)

    def ready(self) -> list[tuple[str, Join]]:
        """(lane, join) of each segment whose children have all ended."""
        found = ((name, self._waiting[name]) for name in sorted(self._ready))
        return [
            (waiting.lane, Join(name, tuple(self._finals[child] for child in waiting.children)))
            for name, waiting in found
        ]

    def given(self, join: Join) -> None:
        """A worker is about to be told."""
        del self._waiting[join.segment]
        self._ready.discard(join.segment)
