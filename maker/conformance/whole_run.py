"""Checks of a decomposer that need a whole run of it, answered by its own truth, else by a model.

Invariant: they run what they are given and change nothing.
"""

from __future__ import annotations

from maker import canonical
from maker.conformance.finding import Finding, fail, ok, skip, warn
from maker.conformance.stepwise import at
from maker.conformance.subject import SEGMENTS, WHOLE, Subject
from maker.conformance.walk import Walk
from maker.errors import JoinError, MakerError
from maker.nouns import Step
from maker.task import Task

SAMPLED = 100
"""Steps that are asked for."""


def length(subject: Subject) -> Finding:
    """The attribute `steps`, if there is one, is about the number of steps."""
    stated = getattr(subject.task.decomposer, "steps", None)
    if stated is None:
        return skip("no attribute steps", "with it a run shows how far it is")
    if unfinished := _unfinished(subject):
        return unfinished
    walked = len(subject.whole.visits)
    if abs(stated - walked) > max(2, walked // 10):
        return warn(f"the attribute steps says {stated:,}, the task took {walked:,}", "about the same")
    return ok(f"{walked:,} steps, the attribute says {stated:,}")


def samples(subject: Subject) -> Finding:
    """`sample` gives steps of the task as a run comes by them, the same for the same seed."""
    if not subject.can("sample"):
        if subject.truthful:
            return ok("`maker calibrate` walks to every step by truth(step)")
        return skip("no sample(rng, count) and no truth(step)", "with one `maker calibrate` sees all steps")
    first, again = (subject.sampled(SAMPLED) for _ in range(2))
    if first != again:
        return fail("sample gives other steps for the same seed", "the same", "use rng alone")
    known = {(v.step.segment, v.step.index): canonical.key(v.step.state) for v in subject.whole.visits}
    for step in first:
        state = known.get((step.segment, step.index))
        if state is None and subject.ended:
            return fail(f"sample gives step {at(step)}, which no run has", "steps of the task")
        if state is not None and state != canonical.key(step.state):
            return fail(f"sample gives another state of step {at(step)} than a run", "the same")
    found = sum((step.segment, step.index) in known for step in first)
    return ok(f"{len(first):,} steps, {found:,} of them compared with a run of all truths")


def judged(subject: Subject) -> Finding:
    """`verify` takes a run of all truths, and no run with a mistake in it that comes to another result."""
    if not subject.truthful:
        return skip("no truth(step): a model's answers may be wrong, so nobody knows what verify should say")
    if unfinished := _unfinished(subject):
        return unfinished
    right = subject.whole
    verdict = subject.task.verify(right.decided())
    if verdict is None:
        return skip("no verify", "with it a run's result is judged")
    if verdict is not True:
        return fail(f"verify says of a run of all truths: {verdict}", "True", "let truth and verify agree")
    refused = 0
    for number in sorted({0, len(right.visits) // 2, len(right.visits) - 1}):
        step = right.visits[number].step
        gone = _with_mistake(subject, step)
        if gone is None or _result(subject.task, gone) == _result(subject.task, right):
            continue
        if subject.task.verify(gone.decided()) is True:
            return fail(f"verify takes a run with a mistake at step {at(step)}", "it to say what is wrong")
        refused += 1
    return ok(f"takes a run of {len(right.visits):,} truths, refuses {refused} with a planted mistake")


def stitches(subject: Subject) -> Finding:
    """The result does not hang on the order in which segments have ended."""
    if unfinished := _unfinished(subject):
        return unfinished
    finals = subject.whole.finals
    try:
        there, back = (
            canonical.key(subject.task.stitch(dict(each)))
            for each in (finals.items(), reversed(finals.items()))
        )
    except JoinError as error:
        if subject.truthful:
            raise
        return skip(f"stitch refuses what the model's answers came to: {error}")
    if there != back:
        return fail(
            "stitch gives another result when segments end in another order", "the same", "sort by id"
        )
    return ok(f"the same result in either order of {len(finals):,} segments")


def _unfinished(subject: Subject) -> Finding | None:
    """Why the task was not walked to its end."""
    if not subject.ended and not subject.truthful:
        return skip(
            "no truth(step), and the model's answers did not come to the end of every segment",
            f"check it with at most {SEGMENTS} segments (-T) and more steps of each (--steps)",
        )
    stuck = next((visit.step for visit in subject.whole.visits if not visit.read), None)
    if stuck:
        return fail(f"parse or check flags the truth at step {at(stuck)}", "it to be read")
    if not subject.ended:
        return skip(f"the task has more than {WHOLE:,} steps", "check it with smaller parameters too: -T")
    return None


def _with_mistake(subject: Subject, wrong: Step) -> Walk | None:
    """The run that a mistake at this step makes; None where it is flagged or leads nowhere."""

    def say(step: Step) -> str:
        if (step.segment, step.index) == (wrong.segment, wrong.index):
            return subject.say("mistake", step, 0)
        return subject.say("truth", step)

    if not subject.can("mistake"):
        return None
    try:
        gone = subject.gone(say)
    except MakerError:
        return None
    return gone if gone.whole else None


def _result(task: Task, gone: Walk) -> str | None:
    try:
        return canonical.key(task.stitch(gone.finals))
    except MakerError:
        return None
