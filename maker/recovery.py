"""What a lane's records say of its segments: which have ended, which go on and from where.

Records are folded one by one in the order in which they were written; of a decided step nothing is
kept, of an open one its samples. Invariant: the chains that come out are those that wrote the records.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from maker import records
from maker.chain import Chain, Finish, Park, Wish
from maker.nouns import Sample, Segment
from maker.panel import Panel
from maker.records import Record
from maker.task import Task
from maker.totals import Totals


@dataclass(slots=True)
class _Open:
    chain: Chain
    samples: list[records.SampleRecord] = field(default_factory=list)
    """Of the head, in the order in which they came."""
    park: Record | None = None
    """The last one written."""


class Recovery:
    def __init__(self, task: Task, panel: Panel) -> None:
        self.task, self.panel = task, panel
        self.totals = Totals()
        self.finished: list[Finish] = []
        self._open: dict[str, _Open] = {}

    def fold(self, record: Record) -> None:
        self.totals.fold(record)
        match record:
            case {"kind": "sample"}:
                self._fold_sample(records.to_sample(record))
            case {"kind": "decision"}:
                self._fold_decision(record)
            case {"event": "open", "segment": name, "state": state}:
                self._open[name] = _Open(Chain(self.task, self.panel, Segment(name, state)))
            case {"event": "finish", "segment": name, "state": state, "steps": steps}:
                del self._open[name]
                self.finished.append(Finish(name, state, steps))
            case {"event": "park", "segment": name}:
                self._open[name].park = record

    def resume(self) -> tuple[list[Park], list[tuple[Chain, list[Wish]]]]:
        """The segments that are still parked for the reason written, and the rest with what they wish."""
        parked, going = [], []
        for segment in self._open.values():
            wishes = segment.chain.resume(self._samples(segment))
            match wishes:
                case [Park(found) as park] if records.from_parked(found) == segment.park:
                    parked.append(park)
                case _:
                    going.append((segment.chain, wishes))
        return parked, going

    def _fold_sample(self, record: records.SampleRecord) -> None:
        self._open[record.segment].samples.append(record)

    def _fold_decision(self, record: Record) -> None:
        segment = self._open[record["segment"]]
        segment.chain.restore(records.to_decision(record))
        segment.samples.clear()

    def _samples(self, segment: _Open) -> list[Sample]:
        head = (segment.chain.step.index, segment.chain.state)
        return [r.sample for r in segment.samples if (r.index, r.state) == head]
