"""What a lane's newest chunk says of its segments: which have ended, which go on and from where.

The header is loaded, the records after it are folded one by one; of a decided step nothing is kept, of an
open one its samples. Invariant: the chains that come out are those that wrote the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from maker import records
from maker.amendment import Amendment
from maker.chain import Chain, Finish, Park, Wish
from maker.journal import OwnedLane, Page
from maker.ledger import Ledger
from maker.nouns import Json, Parked, Segment, Step
from maker.panel import Panel
from maker.records import Record
from maker.task import Task, children
from maker.totals import Totals


@dataclass(slots=True)
class _Open:
    chain: Chain
    samples: list[Record] = field(default_factory=list)
    """Of the head and of steps behind it, in the order in which they came."""
    park: Record | None = None
    """The last one written, if the head still waits."""
    amendment: Amendment | None = None
    """Of the head."""

    def snapshot(self) -> dict[str, Json]:
        amend = self.amendment.record() if self.amendment else None
        return records.head(self.chain.step, self.samples, self.park, amend, self.chain.children)


def _not_amended(amendment: Amendment) -> Panel:
    raise NotImplementedError(f"the panel that {amendment.segment}:{amendment.step} was given")


class Recovery:
    def __init__(self, task: Task, panel: Panel, window: int = 1) -> None:
        self.task, self.panel, self.window = task, panel, window
        self.ledger = Ledger()
        self.finished: list[Finish] = []
        """After the header, in order."""
        self._open: dict[str, _Open] = {}

    def read(self, lane: OwnedLane) -> None:
        """Take in the newest chunk of a lane: its header, and the records after it."""
        self.take(*lane.last())

    def take(self, header: Record | None, after: Iterable[Record]) -> None:
        if header is not None:
            self.load(header)
        for record in after:
            self.fold(record)

    def load(self, header: Record) -> None:
        """Begin from a chunk's header."""
        self.ledger = Ledger(Totals.from_json(header["totals"]), header["seen"])
        for stored in header["going"]:
            segment = Segment(stored["segment"], stored["state"])
            chain = Chain(self.task, self.panel, segment, stored["step"], self.window)
            chain.children = children(chain.step, stored["children"])
            amendment = Amendment.of(stored["amend"]) if stored["amend"] else None
            self._open[segment.id] = _Open(chain, list(stored["samples"]), stored["park"], amendment)

    def fold(self, record: Record) -> None:
        self.ledger.fold(record)
        match record:
            case {"kind": "sample", "segment": name, "step": index}:
                if (found := self._open.get(name)) and index >= found.chain.step.index:
                    found.samples.append(record)
            case {"kind": "decision", "segment": name}:
                chain = self._open[name].chain
                chain.restore(records.to_decision(record))
                behind = [each for each in self._open[name].samples if each["step"] >= chain.step.index]
                self._open[name] = _Open(chain, behind)
            case {"event": "open", "segment": name, "state": state}:
                chain = Chain(self.task, self.panel, Segment(name, state), window=self.window)
                self._open[name] = _Open(chain)
            case {"event": "finish", "segment": name, "state": state, "steps": steps}:
                del self._open[name]
                self.finished.append(Finish(name, state, steps))
            case {"event": "park", "segment": name}:
                self._open[name].park = record
            case {"event": "join", "segment": name, "finals": finals}:
                self._open[name].chain.restore_join(finals)
                self._open[name].park = None
            case {"event": "amend"}:
                self._amend(Amendment.of(record))

    def going(self) -> list[dict[str, Json]]:
        """The unfinished segments, for a header; before `resume`."""
        return [segment.snapshot() for segment in self._open.values()]

    def page(self) -> Page:
        """The next page of the lane, before `resume`."""
        return self.ledger.page(self.going())

    def parked(self, segment: str) -> tuple[Step, Record] | None:
        """A segment's head and why it waits, if it does."""
        found = self._open.get(segment)
        return (found.chain.step, found.park) if found and found.park else None

    def amend(self, amendment: Amendment) -> bool:
        """Take an amendment over, if its step is parked or under another one; not a second time."""
        found = self._open.get(amendment.segment)
        if found is None or not (found.park or found.amendment) or found.amendment == amendment:
            return False
        where = (found.chain.step.index, found.chain.state)
        if where != (amendment.step, amendment.state) or found.chain.children:
            return False
        self._amend(amendment)
        return True

    def _amend(self, amendment: Amendment) -> None:
        self._open[amendment.segment].amendment = amendment
        self._open[amendment.segment].park = None

    def unfinished(self) -> Iterator[tuple[Chain, list[Record], Record | None, Amendment | None]]:
        """(chain, samples of its head, the park at which that waits, its amendment) of each, unresumed."""
        for each in self._open.values():
            yield each.chain, each.samples, each.park, each.amendment

    def resume(
        self,
        amended: Callable[[Amendment], Panel] = _not_amended,
        segments: Iterable[str] | None = None,
    ) -> tuple[list[tuple[Resumed, Parked]], list[Resumed]]:
        """Of these segments, or all: those still parked for the reason written, the rest with what they wish.

        `amended` gives an amendment's panel. Only here texts are parsed and plug-ins asked for prompts.
        """
        asked = self._open if segments is None else segments
        all_of_them = [_resumed(self._open[name], amended) for name in asked]
        still = [(each, parked) for each in all_of_them if (parked := each.parked)]
        return still, [each for each in all_of_them if not each.parked]


@dataclass(frozen=True, slots=True)
class Resumed:
    """An unfinished segment on its way again."""

    chain: Chain
    wishes: list[Wish]
    samples: list[Record]
    """Of the head and of steps behind it."""
    park: Record | None
    amendment: Amendment | None

    @property
    def parked(self) -> Parked | None:
        """Where it is parked, if for the reason written and with nothing left to write."""
        match self.wishes:
            case [Park(parked)] if records.from_parked(parked) == self.park:
                return parked
        return None


def _resumed(segment: _Open, amended: Callable[[Amendment], Panel]) -> Resumed:
    if segment.amendment:
        segment.chain.amend(amended(segment.amendment))
    wishes = segment.chain.resume(records.by_place(segment.samples))
    return Resumed(segment.chain, wishes, segment.samples, segment.park, segment.amendment)
