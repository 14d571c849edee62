"""Deciding a recorded run again from its samples: the same panel must decide the same, to the byte.

No model is asked and nothing is written. The task's own `parse` and `advance` run again, so its plug-in is
imported. Invariant: a replay sees the journal's records in the order in which they were written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from maker import journal, records
from maker.amendment import Amendment
from maker.chain import Chain, Commit, Wish
from maker.nouns import Decision, Sample, Segment, Step
from maker.panel import Panel
from maker.records import Record, SampleRecord
from maker.run_directory import RunDirectory
from maker.task import Task


@dataclass(slots=True)
class Replayed:
    """What a replay found."""

    steps: int = 0
    """Decisions compared."""
    different: list[str] = field(default_factory=list)
    """`SEGMENT:INDEX` of each decision that came out otherwise than recorded."""
    by_person: list[str] = field(default_factory=list)
    """`SEGMENT:INDEX` of each decision that a person made: it is taken as it is."""


@dataclass(slots=True)
class _Segment:
    chain: Chain
    head: Step
    """Where the chain stood when it was last fed: the step that the next decision is of."""
    samples: list[Sample] = field(default_factory=list)
    """Of the head, for a panel that is given to it later."""
    derived: Decision | None = None
    """What the chain has decided there."""

    def take(self, wishes: list[Wish]) -> None:
        decided = [wish.decision for wish in wishes if isinstance(wish, Commit)]
        self.derived = decided[0] if decided else self.derived


@dataclass(slots=True)
class _Replay:
    """One lane."""

    task: Task
    panel: Panel
    amended: Callable[[Amendment], Panel]
    found: Replayed
    segments: dict[str, _Segment] = field(default_factory=dict)

    def fold(self, record: Record) -> None:
        match record:
            case {"event": "open", "segment": name, "state": state}:
                self._begin(Segment(name, state), 0)
            case {"kind": "sample", "segment": name}:
                self._sample(self.segments[name], records.to_sample(record))
            case {"event": "amend", "segment": name}:
                self._amend(self.segments[name], Amendment.of(record))
            case {"kind": "decision"}:
                self._decision(records.to_decision(record))

    def _begin(self, segment: Segment, index: int) -> None:
        chain = Chain(self.task, self.panel, segment, index)
        self.segments[segment.id] = _Segment(chain, chain.step)
        chain.start()

    def _sample(self, segment: _Segment, drawn: SampleRecord) -> None:
        head = (segment.head.index, segment.chain.state)
        if segment.derived is None and (drawn.index, drawn.state) == head:
            segment.samples.append(drawn.sample)
            segment.take(segment.chain.receive(drawn.sample))

    def _amend(self, segment: _Segment, amendment: Amendment) -> None:
        if segment.derived is None and amendment.step == segment.head.index:
            segment.chain.amend(self.amended(amendment))
            segment.take(segment.chain.resume(segment.samples))

    def _decision(self, recorded: Decision) -> None:
        """Compare, and go on as recorded whatever came out."""
        segment, place = self.segments[recorded.segment], f"{recorded.segment}:{recorded.index}"
        derived, segment.derived = segment.derived, None
        self.found.steps += 1
        if recorded.by is not None:
            self.found.by_person.append(place)
        elif derived is not None and records.from_decision(derived) == records.from_decision(recorded):
            segment.head = segment.chain.step
            segment.samples.clear()
            return
        else:
            self.found.different.append(place)
        state = self.task.advance(segment.head, recorded.answer)
        self._begin(Segment(recorded.segment, state), recorded.index + 1)


def replay(run: RunDirectory, task: Task, panel: Panel, amended: Callable[[Amendment], Panel]) -> Replayed:
    """Feed every recorded sample to a fresh chain and compare what it decides with what was recorded.

    `amended` gives the panel of a step that was given another.
    """
    found = Replayed()
    for lane in run.lanes():
        replay_of_lane = _Replay(task, panel, amended, found)
        for record in journal.read(run.lane(lane)):
            replay_of_lane.fold(record)
    return found
