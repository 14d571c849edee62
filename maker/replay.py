"""Deciding a recorded run again from its samples: the same panel must decide the same, to the byte.

No model is asked and nothing is written. The task's own `parse` and `advance` run again, so its plug-in is
imported. Invariant: each step is decided from the state that the recorded answers before it lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from maker import records
from maker.amendment import Amendment
from maker.chapters import EVERY_STEP, Selection
from maker.chunks import encode
from maker.nouns import Decision, Parked
from maker.panel import Panel
from maker.records import Record
from maker.retrace import decide, retrace
from maker.run_directory import RunDirectory
from maker.task import Task


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded decision beside what its samples give now."""

    recorded: Record
    derived: Record | None
    """None if they give none."""
    reason: str | None
    """Why they give none."""
    copied: bool = False
    """It was decided in another run, by that one's panel: replay it there."""

    @property
    def by_person(self) -> bool:
        """It was a person's verdict: the samples have no say."""
        return self.recorded.get("by") == "person"

    @property
    def same(self) -> bool:
        """To the byte of their lines."""
        return self.derived is not None and encode(self.derived, 0) == encode(self.recorded, 0)


def replay(
    run: RunDirectory,
    task: Task,
    panel: Panel,
    amended: Callable[[Amendment], Panel],
    selection: Selection = EVERY_STEP,
) -> Iterator[Replayed]:
    """Every recorded decision that is asked for, in the order of the records of each lane.

    `amended` gives the panel of a step that was given another.
    """
    for step in retrace(run, task, selection):
        if step.verdict is not None and step.decided:
            if step.copied or step.verdict.get("by") == "person":
                yield Replayed(step.verdict, step.verdict, None, step.copied)
            else:
                yield _compared(step.verdict, decide(step, task, panel, amended))


def _compared(recorded: Record, found: Decision | Parked | None) -> Replayed:
    if isinstance(found, Decision):
        return Replayed(recorded, records.from_decision(found), None)
    return Replayed(recorded, None, found.reason if found else "its samples do not suffice")
