"""Walking a task with given answers, as a run would but without votes, and telling what each step makes.

Nothing is judged here. A plug-in is always given a fresh copy of the state, so that one which changes it
cannot spoil the walk. Invariant: of a pure task, `retold` of the same visits is the same in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from maker import canonical, records
from maker.nouns import Json, Prompt, RedFlag, Segment, Step
from maker.task import Task

Tell: TypeAlias = Callable[[Step, Prompt], tuple[str, ...]]
"""What models may say at a step, best first."""

Spoken: TypeAlias = tuple[Step, tuple[str, ...]]
"""A step, and what may be said there."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A step that was come by."""

    step: Step
    texts: tuple[str, ...]
    """What may be said here."""
    answer: Json = None
    """Of the first text that could be read."""
    read: bool = True
    """False where none could: the walk of this segment ends here."""


@dataclass(slots=True)
class Walk:
    visits: list[Visit] = field(default_factory=list)
    finals: dict[str, Json] = field(default_factory=dict)
    """Final states of the segments that have ended."""
    whole: bool = True
    """Whether every segment was walked to its end."""

    def decided(self) -> list[tuple[str, int, Json]]:
        """As a task's `verify` is given it: segments by id, steps by index."""
        return [(visit.step.segment, visit.step.index, visit.answer) for visit in self.visits]


def fresh(step: Step) -> Step:
    return Step(step.segment, step.index, canonical.plain(step.state))


def walk(task: Task, segments: Iterable[Segment], tell: Tell, most: int, total: int | None = None) -> Walk:
    """The first `most` steps of each segment, `total` of all together; PluginError where a method raises."""
    done = Walk()
    for segment in segments:
        room = most if total is None else min(most, total - len(done.visits))
        final = _segment(task, Step(segment.id, 0, segment.state), tell, len(done.visits) + room, done)
        if final is not None:
            done.finals[segment.id] = final.state
        elif total is not None:
            break
    done.visits.sort(key=lambda visit: (visit.step.segment, visit.step.index))
    return done


def _segment(task: Task, step: Step, tell: Tell, end: int, done: Walk) -> Step | None:
    """The last step of a segment and, before it, of its children; None where `end` visits came first."""
    while (prompt := task.prompt(fresh(step))) is not None:
        visit = _visit(task, step, tell(fresh(step), prompt)) if len(done.visits) < end else None
        if visit:
            done.visits.append(visit)
        if visit is None or not visit.read:
            done.whole = False
            return None
        step, children = task.advance(fresh(step), visit.answer)
        if children:
            ends = [_segment(task, Step(each.id, 0, each.state), tell, end, done) for each in children]
            if None in ends:
                return None
            step = task.join(fresh(step), [last.state for last in ends if last])
    return step


def _visit(task: Task, step: Step, texts: tuple[str, ...]) -> Visit:
    for text in texts:
        try:
            return Visit(step, texts, task.read(fresh(step), text)[1])
        except RedFlag:
            continue
    return Visit(step, texts, read=False)


def retold(task: Task, spoken: Iterable[Spoken]) -> Iterator[dict[str, Json]]:
    """All that a task's methods make of each step, as JSON."""
    for step, texts in spoken:
        prompt = task.prompt(fresh(step))
        yield {
            "step": f"{step.segment}:{step.index}",
            "prompt": None if prompt is None else records.rendered(prompt),
            "read": [_reading(task, step, text) for text in texts],
        }


def _reading(task: Task, step: Step, text: str) -> Mapping[str, Json]:
    try:
        key, answer = task.read(fresh(step), text)
    except RedFlag as flag:
        return {"flag": flag.reason}
    after, children = task.advance(fresh(step), answer)
    return {"key": key, "advance": canonical.key([after.state, *(child.state for child in children)])}
