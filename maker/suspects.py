"""Which segment has killed the workers of its lane: a pure machine, losses in, orders out.

A worker that has read its lane goes on with a segment when it is told to. Every segment that ran when a
worker was lost, and had not left its step by then, may have done it. After two such losses at one step it is
a suspect: suspects go on one at a time, the others beside them. After the third it is given up, and parks.
Only the losses since the command began count, so that the next command tries again, as carefully.
Invariant: at most one suspect of a lane runs, and a segment is given up only after `MOST` workers in a row
were lost while it was at one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

MOST = 3
"""Workers that a segment may lose in a row at one step."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """Go on with these segments, which were read back."""

    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Park this segment, unread: what is in it may kill whoever reads it."""

    segment: str
    reason: str


Order: TypeAlias = GoOn | GiveUp


@dataclass(slots=True)
class _Blame:
    step: int
    losses: int = 1
    reason: str = ""
    """Why the last worker was lost; it stays once the segment is given up, for whoever reads it again."""


@dataclass(slots=True)
class _Lane:
    heads: dict[str, int] = field(default_factory=dict)
    """The step of each unfinished segment, as last reported."""
    held: set[str] = field(default_factory=set)
    """Those of them that the worker has not been told to go on with."""
    running: set[str] = field(default_factory=set)
    blame: dict[str, _Blame] = field(default_factory=dict)
    lost: str | None = None
    """Why a worker was, if the lane has not been read since."""


class Suspects:
    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    # -- events in ---------------------------------------------------------------------------------

    def lost(self, lane: str, reason: str) -> None:
        """The lane's worker died; before it had read the lane, nobody is to blame."""
        self._lanes.setdefault(lane, _Lane()).lost = reason

    def read(self, lane: str, heads: Mapping[str, int]) -> None:
        """A worker has read its lane: the steps of the segments that have not ended, all of them held."""
        there = self._lanes.setdefault(lane, _Lane())
        if there.lost is not None:
            for segment in there.running & heads.keys():
                _blame(there, segment, heads[segment])
        there.lost, there.running = None, set()
        there.heads, there.held = dict(heads), set(heads)
        _acquit(there)

    def begun(self, lane: str, segments: Iterable[str]) -> None:
        """The worker is given these segments that it did not read back."""
        self._lanes[lane].running.update(segments)

    def reported(self, lane: str, heads: Mapping[str, int]) -> None:
        """Where the worker's segments are; those that are not among them have ended, parked or wait."""
        there = self._lanes[lane]
        there.heads = dict(heads)
        there.running = {name for name in heads if name not in there.held}
        _acquit(there)

    # -- orders out --------------------------------------------------------------------------------

    def orders(self, lane: str) -> list[Order]:
        """What to tell the worker now; once told, it is not said again."""
        there, orders = self._lanes[lane], list[Order]()
        for name in sorted(name for name in there.held if _losses(there, name) >= MOST):
            there.held.discard(name)
            orders.append(GiveUp(name, _reason(there.blame[name])))
        innocent = [name for name in there.held if _losses(there, name) < MOST - 1]
        suspects = sorted(there.held.difference(innocent))
        if suspects and not self.probing(lane):
            innocent.append(suspects[0])
        if innocent:
            there.held.difference_update(innocent)
            there.running.update(innocent)
            orders.append(GoOn(tuple(sorted(innocent))))
        return orders

    def probing(self, lane: str) -> bool:
        """A suspect runs."""
        there = self._lanes[lane]
        return any(_losses(there, name) >= MOST - 1 for name in there.running)


def _losses(lane: _Lane, segment: str) -> int:
    return lane.blame[segment].losses if segment in lane.blame else 0


def _blame(lane: _Lane, segment: str, step: int) -> None:
    """It ran when the worker was lost; one that was at another step at the loss before begins anew."""
    blamed = lane.blame.get(segment)
    losses = blamed.losses + 1 if blamed and blamed.step == step else 1
    lane.blame[segment] = _Blame(step, losses, lane.lost or "")


def _acquit(lane: _Lane) -> None:
    """Whoever has left the step at which workers were lost; one that was given up is not under way either."""
    for name, blamed in list(lane.blame.items()):
        if lane.heads.get(name, blamed.step if blamed.losses >= MOST else None) != blamed.step:
            del lane.blame[name]


def _reason(blamed: _Blame) -> str:
    return f"its worker died {MOST} times in a row before step {blamed.step} was decided: {blamed.reason}"
