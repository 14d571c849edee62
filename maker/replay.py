"""Deciding a recorded run again from its samples: the same panel must decide the same, to the byte.

No model is asked and nothing is written. The task's own `parse` and `advance` run again, so its plug-in is
imported. Invariant: a replay sees the journal's records in the order in which they were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from maker import journal, records
from maker.chain import Chain, Commit, Wish
from maker.nouns import Decision, Segment
from maker.panel import Panel
from maker.records import Record
from maker.run_directory import RunDirectory
from maker.task import Task


@dataclass(slots=True)
class Replayed:
    """What a replay found."""

    steps: int = 0
    """Decisions compared."""
    different: list[str] = field(default_factory=list)
    """`SEGMENT:INDEX` of each decision that came out otherwise than recorded."""


@dataclass(slots=True)
class _Segment:
    chain: Chain
    derived: list[Decision] = field(default_factory=list)
    """Decisions that the record of is still to come."""


def replay(run: RunDirectory, task: Task, panel: Panel) -> Replayed:
    """Feed every recorded sample to a fresh chain and compare what it decides with what was recorded."""
    found = Replayed()
    for lane in run.lanes():
        segments: dict[str, _Segment] = {}
        for record in journal.read(run.lane(lane)):
            _fold(record, segments, task, panel, found)
    return found


def _fold(record: Record, segments: dict[str, _Segment], task: Task, panel: Panel, found: Replayed) -> None:
    match record:
        case {"event": "open", "segment": name, "state": state}:
            segments[name] = _Segment(Chain(task, panel, Segment(name, state)))
            segments[name].chain.start()
        case {"kind": "sample", "segment": name}:
            segment = segments[name]
            drawn = records.to_sample(record)
            if (drawn.index, drawn.state) == (segment.chain.step.index, segment.chain.state):
                segment.derived += _decisions(segment.chain.receive(drawn.sample))
        case {"kind": "decision", "segment": name, "step": step}:
            _compare(records.to_decision(record), segments[name], found)
            found.steps += 1
            if segments[name].chain.step.index != step + 1:
                segments[name] = _Segment(_after(records.to_decision(record), segments[name].chain))


def _decisions(wishes: list[Wish]) -> Iterator[Decision]:
    return (wish.decision for wish in wishes if isinstance(wish, Commit))


def _compare(recorded: Decision, segment: _Segment, found: Replayed) -> None:
    derived = segment.derived.pop(0) if segment.derived else None
    if derived is None or records.from_decision(derived) != records.from_decision(recorded):
        found.different.append(f"{recorded.segment}:{recorded.index}")


def _after(recorded: Decision, chain: Chain) -> Chain:
    """A chain that goes on as recorded, after a step that would have been decided otherwise."""
    state = chain.task.advance(chain.step, recorded.answer)
    again = Chain(chain.task, chain.panel, Segment(recorded.segment, state), recorded.index + 1)
    again.start()
    return again
