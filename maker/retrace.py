"""The steps of a recorded run, each with its state, its samples and what became of it.

The journal holds states in headers only; from there each recorded answer is advanced again, so the task's
plug-in runs. Nothing is asked or written. Invariant: a step's state is what the recorded answers before it
lead to, whatever another panel would have made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from maker import chapters, records
from maker.amendment import Amendment
from maker.chapters import EVERY_STEP, Chapter, Selection
from maker.errors import JournalDamagedError, inert
from maker.nouns import Decision, Parked, Step
from maker.panel import Panel
from maker.records import Record
from maker.run_directory import RunDirectory
from maker.task import Task
from maker.voting import Voting


@dataclass(slots=True)
class Retraced:
    """A step as it is on record; while it is open more may come."""

    step: Step
    samples: list[Record] = field(default_factory=list)
    """In the order in which they were written; of an open one those of steps behind it as well."""
    amendment: Amendment | None = None
    """The panel that it was given, if not the run's."""
    verdict: Record | None = None
    """Its decision, or the park at which it waits; None while it is open."""
    copied: bool = False
    """Its decision is another run's, which this one was forked from."""

    @property
    def decided(self) -> bool:
        return self.verdict is not None and self.verdict["kind"] == "decision"


def retrace(run: RunDirectory, task: Task, selection: Selection = EVERY_STEP) -> Iterator[Retraced]:
    """The steps that are asked for, open ones last; a lane's in the order of its records."""
    for lane in run.lanes():
        heads: dict[str, Retraced] | None = None
        for chapter in chapters.of(run.lane(lane)):
            if not selection.reads(chapter):
                heads = None
                continue
            heads = _heads(chapter) if heads is None else heads
            for record in chapter.records("sample", "decision", "event"):
                for done in _fold(record, heads, task, selection):
                    done.copied = chapter.copied
                    yield done
        for head in (heads or {}).values():
            if selection.takes(head.verdict) if head.verdict else selection.asks_for(head.step):
                yield head


def _heads(chapter: Chapter) -> dict[str, Retraced]:
    """By segment, where a chunk begins."""
    return {
        each["segment"]: Retraced(
            Step(each["segment"], each["step"], each["state"]),
            list(each["samples"]),
            Amendment.of(each["amend"]) if each["amend"] else None,
            each["park"],
        )
        for each in chapter.header["going"]
    }


def _fold(record: Record, heads: dict[str, Retraced], task: Task, selection: Selection) -> Iterator[Retraced]:
    match record:
        case {"event": "open", "segment": name, "state": state}:
            heads[name] = Retraced(Step(name, 0, state))
        case {"event": "finish", "segment": name}:
            heads.pop(name, None)
        case {"event": "join", "segment": name, "finals": finals}:
            heads[name] = Retraced(task.join(_head(heads, name).step, finals))
        case {"event": "park", "segment": name}:
            _head(heads, name).verdict = record
        case {"event": "amend", "segment": name}:
            _head(heads, name).amendment, _head(heads, name).verdict = Amendment.of(record), None
        case {"kind": "sample", "segment": name, "step": index}:
            if name in heads and index >= heads[name].step.index:
                heads[name].samples.append(record)
        case {"kind": "decision", "segment": name}:
            done = _head(heads, name)
            done.verdict = record
            behind = [each for each in done.samples if each["step"] > record["step"]]
            heads[name] = Retraced(task.advance(done.step, record["answer"])[0], behind)
            if selection.takes(record):
                yield done


def _head(heads: dict[str, Retraced], segment: str) -> Retraced:
    if segment not in heads:
        raise JournalDamagedError(f"segment {inert(segment)} has records before it was opened: maker verify")
    return heads[segment]


def decide(
    retraced: Retraced, task: Task, panel: Panel, amended: Callable[[Amendment], Panel]
) -> Decision | Parked | None:
    """What a panel makes of a step's recorded samples: None if they do not suffice.

    `amended` gives the panel of a step that was given another.
    """
    step = retraced.step
    if retraced.amendment is not None:
        panel = amended(retraced.amendment)
    found = records.by_place(retraced.samples).get(step.index, {})
    voting = Voting(task, panel, step, task.digest(step))
    voting.begin(found.get(voting.state, ()), found)
    if voting.won is not None:
        return voting.decision()
    return None if voting.stuck is None else voting.parked()
