"""A person's verdict on a parked step, written into its lane as any owner of it writes.

The votes stay as they were; the decision says that it is a person's. Invariant: nothing is written before
the task has taken the answer and can ask the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from maker import canonical, history, records, takeover
from maker.errors import PluginError, UsageError
from maker.heads import heads
from maker.nouns import Decision, Json, RedFlag
from maker.panel import Panel
from maker.recovery import Recovery
from maker.run_directory import RunDirectory
from maker.task import Task


@dataclass(frozen=True, slots=True)
class Verdict:
    segment: str
    index: int
    answer: Json


def decide(
    run: RunDirectory, task: Task, panel: Panel, verdict: Verdict, settings: dict[str, Json]
) -> Decision:
    """Write it; `settings` are what the claim of the run says of this command.

    Raises UsageError when the step is not parked or the task does not take the answer.
    """
    folder, before = run.lane(parked_in(run, verdict)), Recovery(task, panel)
    if newest := history.newest(folder):
        before.take(newest.header, newest.after)
    _decision(before, task, verdict)
    command, name = run.claim(settings), run.manifest().run
    claimed = partial(takeover.claim, folder, name, command, "step")
    owner, recovery = takeover.take_over(claimed, partial(Recovery, task, panel))
    try:
        run.check_owner(command)
        decision = _decision(recovery, task, verdict)
        owner.append(records.from_decision(decision))
        owner.sync()
    finally:
        owner.close()
    return decision


def parked_in(run: RunDirectory, verdict: Verdict) -> str:
    """The lane of a parked step; raises UsageError with what the step is and what to do, if it is not."""
    segment, at = verdict.segment, f"{verdict.segment}:{verdict.index}"
    found = next(((lane, head) for lane, head in heads(run) if head.segment == segment), None)
    if found is None:
        raise UsageError(
            f"segment {segment} has finished, has not begun or is none of this run, and only a parked step "
            f"can be decided: see maker steps {run.path} --parked"
        )
    lane, head = found
    if verdict.index < head.index:
        again = f"maker fork {run.path} --at {at} --run-dir NEW"
        raise UsageError(f"step {at} is decided; a new run can decide it anew: {again}")
    if verdict.index > head.index:
        raise UsageError(f"step {at} is not reached; its segment stands at {segment}:{head.index}")
    if not head.park:
        raise UsageError(f"step {at} is open, not parked; go on with it: maker resume {run.path}")
    if head.children:
        raise UsageError(f"step {at} is parked at the join of its children, and there is no answer to give")
    return lane


def _decision(recovery: Recovery, task: Task, verdict: Verdict) -> Decision:
    """The ballot as it was when the step was parked, with the person's answer."""
    parked = recovery.parked(verdict.segment)
    if parked is None or parked[0].index != verdict.index:
        raise UsageError(f"step {verdict.segment}:{verdict.index} is not parked any more; look again")
    step, park = parked
    try:
        answer = canonical.plain(verdict.answer)
        task.check(step, answer)
        after, children = task.advance(step, answer)
        if not children:
            task.prompt(after)
    except RedFlag as flag:
        raise UsageError(f"the task's check does not take this answer: {flag}") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"the answer is not JSON that can be written: {error}") from None
    except PluginError as error:
        raise UsageError(f"the task cannot go on from this answer: {error}") from None
    where = (step.segment, step.index, park["state"])
    return Decision(*where, answer, records.to_tally(park), "person", len(children))
