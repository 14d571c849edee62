"""A new run from a step of an old one: what came before is copied, what came after left, nothing shared.

The new run may have another panel (models, voter, flags, seed); the task must be the same. It is written as
an owner would have written it, chunk by chunk, so that resume, replay and verify see nothing special.
Invariant: the old run is only read.
"""

from __future__ import annotations

from maker import family, history, takeover
from maker.errors import UsageError, inert
from maker.journal import COPIED, OwnedLane
from maker.panel import Panel
from maker.records import Record
from maker.recovery import Recovery
from maker.run_directory import RunDirectory
from maker.task import Task


def fork(old: RunDirectory, new: RunDirectory, segment: str, index: int, task: Task, panel: Panel) -> int:
    """Copy every record before step `segment:index`, and all of other segments; the decisions copied.

    `new` has its manifest already, and nothing else.
    """
    run, copied, cuts = new.manifest().run, 0, _cuts(segment, index)
    for lane in old.lanes():
        writer = _Copy(takeover.claim(new.lane(lane), run, COPIED), Recovery(task, panel))
        for record in history.read(old.lane(lane)):
            if _kept(record, cuts):
                writer.copy(record)
                copied += record["kind"] == "decision"
        writer.close()
    return copied


def check(old: RunDirectory, segment: str, index: int) -> None:
    """Raises UsageError when a run has not come to a step."""
    there, reached = False, 0
    for record in old.records(("decision", "event")):
        if record.get("segment") == segment:
            there = there or record.get("event") == "open"
            reached += record["kind"] == "decision"
    if not there:
        raise UsageError(f"{old.path}: no segment {inert(segment)} was begun: see maker steps {old.path}")
    if reached < index:
        raise UsageError(
            f"{old.path}: segment {segment} has {reached} decided steps, expected {index} or more"
        )


def _cuts(segment: str, index: int) -> dict[str, int]:
    """The first step that is not kept, of the segment and of those that wait for it."""
    return {segment: index, **{name: forked + 1 for name, forked in family.ancestry(segment)}}


def _kept(record: Record, cuts: dict[str, int]) -> bool:
    """Whether a record comes before the cuts, and so do the forks that its segment comes from."""
    if "segment" not in record:
        return True
    name: str = record["segment"]
    if name in cuts:
        return record.get("event") == "open" or record.get("step", cuts[name]) < cuts[name]
    at = next((at for at in family.ancestry(name) if at[0] in cuts), None)
    return at is None or at[1] < cuts[at[0]]


class _Copy:
    """Writes records into a lane of its own, turning the page as an engine does."""

    def __init__(self, lane: OwnedLane, recovery: Recovery) -> None:
        self.lane, self.recovery = lane, recovery
        self._turn()

    def copy(self, record: Record) -> None:
        if self.lane.full:
            self._turn()
        self.lane.append(record)
        self.recovery.fold(record)

    def close(self) -> None:
        self.lane.sync()
        self.lane.close()

    def _turn(self) -> None:
        self.lane.turn(self.recovery.page())
