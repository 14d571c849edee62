"""Checks of a decomposer that look at its first steps, one by one.

Invariant: they run what they are given and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from maker import canonical
from maker.conformance import elsewhere
from maker.conformance.finding import Finding, fail, ok, skip, warn
from maker.conformance.subject import Subject
from maker.conformance.walk import fresh, retold
from maker.nouns import RedFlag, Step
from maker.task import Task

LONG_PROMPT = 20_000
"""Characters, about 5,000 tokens: a minimal step rarely needs more."""

_PURE = "no clock, no chance, no global state, no order of a set"
_MISTAKE = "let mistake(step, rank) give a well-formed wrong answer"


def walks(subject: Subject) -> Finding:
    """The task can be made and walked at all."""
    done = subject.walked
    stuck = next((visit for visit in done.visits if not visit.read), None)
    if not done.visits:
        return fail(
            "no segment has a step", "at least one prompt", "let prompt(step) ask something at step 0"
        )
    if stuck and stuck.texts:
        who = "truth" if subject.truthful else "the model"
        return fail(
            f"at step {at(stuck.step)} parse or check flags what {who} says: {ascii(stuck.texts[0])[:100]}",
            "an answer that is read",
            "let them agree, or give another --model",
        )
    if stuck:
        return warn(
            f"only the first step of {len(done.visits):,} segment(s), without an answer",
            "answers to walk on with",
            "give the task truth(step) and mistake(step, rank), or a --model",
        )
    walked = len({visit.step.segment for visit in done.visits})
    return ok(f"{len(done.visits):,} steps of {walked} segment{'s' * (walked > 1)}")


def segments(subject: Subject) -> Finding:
    """The same segments each time."""
    first, again = (elsewhere.first_segments(subject.task) for _ in range(2))
    there = subject.elsewhere.segments
    for other, where in ((again, "when asked again"), (there, "in another process")):
        if first != other and other:
            different = next((a[0] for a, b in zip(first, other, strict=False) if a != b), "their number")
            return fail(
                f"segments gives others {where} (first: {different})", "the same ids and states", _PURE
            )
    return ok(f"the same {len(first):,} each time")


def pure(subject: Subject) -> Finding:
    """Prompt, parse, check, canonical and advance give the same each time and everywhere."""
    first, again = (list(retold(subject.task, subject.spoken)) for _ in range(2))
    there = subject.elsewhere
    if not there.steps:
        return fail(there.ended or "another process said nothing", "the same there", "see the check parse")
    for other, where in ((again, "when called again"), (there.steps, "in another process")):
        for one, two in zip(first, other, strict=True):
            if one != two:
                what = "prompt" if one["prompt"] != two["prompt"] else "parse, check, canonical or advance"
                return fail(f"at step {one['step']} {what} gives something else {where}", "the same", _PURE)
    return ok(f"{len(first):,} steps, the same when called again and in another process")


def untouched(subject: Subject) -> Finding:
    """No method changes the state that it is given."""
    task = subject.task
    for visit, (_, texts) in zip(subject.walked.visits, subject.spoken, strict=True):
        calls: list[tuple[str, Callable[[Step], object]]] = [("prompt", task.prompt)]
        if visit.read:
            calls.append(("parse, check or canonical", partial(_read, task, texts)))
            calls.append(("advance", partial(task.advance, answer=canonical.plain(visit.answer))))
            if task.scores:
                calls.append(("score", partial(task.score, answer=canonical.plain(visit.answer))))
        if subject.truthful:
            calls.append(("truth", partial(subject.say, "truth")))
        for name, call in calls:
            step = fresh(visit.step)
            call(step)
            if canonical.key(step.state) != canonical.key(visit.step.state):
                return fail(f"at step {at(step)} {name} changes step.state", "it to stay", "work on a copy")
    return ok("no method changes the state that it is given")


def plain(subject: Subject) -> Finding:
    """States and answers are what the journal gives back: JSON with text keys."""
    if subject.walked.visits and subject.task.odd:
        return fail(
            subject.task.odd[0],
            "texts as keys: the journal gives every key back as a text",
            "use str keys, or a list of pairs",
        )
    return ok("states and answers come back from JSON as they went")


def growth(subject: Subject) -> Finding:
    """A state keeps its size: it is in every header of the journal."""
    visits = subject.whole.visits
    name = max(visits, key=lambda visit: visit.step.index).step.segment
    sizes = [len(canonical.key(v.step.state)) for v in visits if v.step.segment == name]
    if len(sizes) < 8:
        return skip(
            f"{len(sizes)} steps are too few to see a state grow",
            "walk more of them (--steps), or a larger task (-T)",
        )
    first, middle, last = sizes[0], sizes[len(sizes) // 2], sizes[-1]
    per_step = (last - first) / len(sizes)
    if per_step >= 1 and (last - middle) * 2 >= middle - first:
        return warn(
            f"the state grows from {first:,} to {last:,} bytes in {len(sizes):,} steps",
            "about the same size at every step: the journal carries it, and each step is hashed",
            "keep what the next step needs; the answers are in the journal for verify",
        )
    return ok(f"the state has at most {max(sizes):,} bytes in {len(sizes):,} steps")


def prompts(subject: Subject) -> Finding:
    """Prompts are short, as a step is to be minimal; a variant is another prompt, and the same each time."""
    sizes, task = [], subject.task
    for visit in subject.walked.visits:
        prompt = task.prompt(fresh(visit.step))
        if prompt and task.varies:
            first, again = (task.variant(fresh(visit.step), 1) for _ in range(2))
            if first == prompt or first != again:
                what = "the prompt itself" if first == prompt else "another one when called again"
                return fail(
                    f"at step {at(visit.step)} variant 1 is {what}", "other words, always the same", _PURE
                )
        sizes.append(sum(len(message.content) for message in prompt.messages) if prompt else 0)
    if max(sizes) > LONG_PROMPT:
        return warn(
            f"a prompt has {max(sizes):,} characters",
            f"at most {LONG_PROMPT:,}",
            "every sample of every step pays for it: give the step only what it needs",
        )
    return ok(f"at most {max(sizes):,} characters")


def parse(subject: Subject) -> Finding:
    """Any text is an answer or a red flag, soon."""
    return _hostile(subject, "parse", "an answer or a RedFlag", 'raise RedFlag("malformed") for it')


def advance(subject: Subject) -> Finding:
    """Whatever was read can be gone on from."""
    return _hostile(
        subject,
        "advance",
        "parse or check to flag what advance and prompt cannot take",
        "a vote may win with it",
    )


def _hostile(subject: Subject, method: str, expected: str, todo: str) -> Finding:
    there = subject.elsewhere
    mine = [what for name, what in there.problems if name == method]
    if there.ended and method == "parse":
        return fail(there.ended, expected + f" within {elsewhere.LIMIT:.0f} s", "look for nested quantifiers")
    if mine:
        return fail(f"{mine[0]} ({len(mine)} such texts)", expected, todo)
    if there.ended:
        return skip("the check parse did not come to its end")
    return ok(f"{there.texts:,} hostile texts, the slowest took {there.slowest * 1000:.1f} ms")


def mistakes(subject: Subject) -> Finding:
    """A mistake is another answer than the truth."""
    task, flagged = subject.task, 0
    if not (subject.truthful and subject.can("mistake")):
        return skip("no truth and mistake", "with them the task runs on --model sim")
    steps = [visit.step for visit in subject.walked.visits if visit.read]
    for step in steps:
        truth, _ = task.read(fresh(step), subject.say("truth", step))
        try:
            wrong, _ = task.read(fresh(step), subject.say("mistake", step, 0))
        except RedFlag:
            flagged += 1
            continue
        if wrong == truth:
            return fail(f"at step {at(step)} mistake says the same as truth", "another answer", _MISTAKE)
    if flagged == len(steps):
        return ok("every mistake is flagged: none can be voted for")
    return ok(
        f"another answer than the truth at {len(steps) - flagged:,} of {len(steps):,} steps, else flagged"
    )


def _read(task: Task, texts: tuple[str, ...], step: Step) -> None:
    for text in texts:
        try:
            task.read(step, text)
        except RedFlag:
            continue


def at(step: Step) -> str:
    return f"{step.segment}:{step.index}"
