"""The seam of a decomposer, and the task: a decomposer with its optional parts filled in.

A decomposer is a plain class with the methods below; nothing is inherited. `prompt`, `parse`,
`advance` and `check` must be pure: they run again on resume and replay, in any process.
Invariant: whatever a plug-in raises leaves here as PluginError (or RedFlag from `parse`), with the
plug-in's own line, the step, its state and nothing of a model's text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from maker import answers, canonical, family
from maker.answers import Answers
from maker.errors import JoinError, JournalDamagedError, PluginError, inert
from maker.guard import at, explained, passes, place
from maker.nouns import Fork, Json, Message, Prompt, RedFlag, Segment, Step

T = TypeVar("T")


class Decomposer(Protocol):
    """What a task must bring.

    Optional, found by name:

        check(step, answer) -> bool | str         False or a reason flags the sample
        canonical(answer) -> value                its canonical JSON decides equality
        same(step, first, answer) -> bool         whether an answer votes for what an earlier one said, where
                                                  equality will not do; None leaves it to the judge
        judge(step, first, answer) -> Prompt      has models vote on that
        ruling(step, text) -> bool                reads a judge's response; yes or no, if there is none
        score(step, answer) -> number             what an answer is worth, for the voter `best_of`
        variant(step, number) -> Prompt           the same question in other words, number 1 and on, where a
                                                  step is in trouble (docs/escalation.md)
        join(step, finals) -> state               needed where `advance` returns a Fork (see `nouns.py`)
        verify(decided) -> bool | str             judges a finished run: an iterable of (segment id, step
                                                  index, answer) in segment and index order
        truth(step), mistake(step, rank) -> str   texts for simulated models; to `maker calibrate` and
                                                  `maker check` the first is what is right
        sample(rng, count) -> steps               about so many right steps, evenly from the whole task, by a
                                                  random.Random: where a step's state is known without the
                                                  steps before it (`maker calibrate`)
        kind(step) -> str                         which of a few kinds a step is of: those that are rare, and
                                                  may be harder, are calibrated apart
        speculate = False                         no step is begun from an answer that only leads: where
                                                  `prompt` or `advance` must not be called in vain

    `answer`, a pydantic model: answers are its instances wherever a method is given one, `parse` may be left
    out (see `answers.py`), and prompts carry its JSON schema.
    """

    def segments(self) -> Iterable[Segment]: ...
    def prompt(self, step: Step) -> Prompt | None:
        """What to ask at this step; None when the segment has ended."""
        ...

    def parse(self, step: Step, text: str) -> Json:
        """The answer in a response; raises RedFlag when it is not well formed."""
        ...

    def advance(self, step: Step, answer: Json) -> Json:
        """The next step's state, or a Fork."""
        ...

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The result, from each segment's final state; raises JoinError when they do not fit."""
        ...


_ALLOWED: dict[str, tuple[type, ...]] = {
    "parse": (RedFlag,),
    "check": (RedFlag,),
    "ruling": (RedFlag,),
    "stitch": (JoinError,),
    "verify": (JournalDamagedError,),  # raised while it reads the run
}
"""What may leave a method as it is."""

SEGMENT_ID = re.compile(r"[A-Za-z0-9._-]{1,80}", re.ASCII)
"""Of a segment that the task gives; a child's id has slashes."""
MAX_CHILDREN = 10_000
"""Of one fork: the states of all that a segment waits for stand in every header meanwhile."""
MAX_DEPTH = 32
"""Of forks within forks."""


def _sound(prompt: Prompt) -> bool:
    """Whether the journal can hold it."""
    messages, stop, most = prompt.messages, prompt.stop, prompt.max_tokens
    if not (isinstance(messages, tuple | list) and isinstance(stop, tuple | list)):
        return False
    for message in messages:
        if not (isinstance(message, Message) and isinstance(message.content, str)):
            return False
        if not isinstance(message.role, str):
            return False
    if not (isinstance(prompt.proposal, bool) and (prompt.schema is None or isinstance(prompt.schema, dict))):
        return False
    return (most is None or isinstance(most, int)) and all(isinstance(text, str) for text in stop)


def children(step: Step, states: Iterable[Json]) -> tuple[Segment, ...]:
    """The segments that a step waits for, from their first states."""
    fork = family.fork(step.segment, step.index - 1)
    return tuple(Segment(family.child(fork, number), state) for number, state in enumerate(states))


def _yes_or_no(step: Step, text: str) -> bool:
    return answers.yes_or_no(text)


def _no_join(step: Step, finals: list[Json]) -> Json:
    raise NotImplementedError("the task has no join(step, finals)")


class Task:
    """A decomposer as the core uses it: what it returns is checked, and made the JSON of a journal."""

    def __init__(self, decomposer: Decomposer, name: str) -> None:
        self.decomposer = decomposer
        self.name = name
        self._check: Callable[[Step, Json], bool | str] | None = getattr(decomposer, "check", None)
        self._canonical: Callable[[Json], Json] | None = getattr(decomposer, "canonical", None)
        self._join: Callable[[Step, list[Json]], Json] = getattr(decomposer, "join", None) or _no_join
        self._same: Callable[[Step, Json, Json], bool | None] | None = getattr(decomposer, "same", None)
        self._judge: Callable[[Step, Json, Json], Prompt] | None = getattr(decomposer, "judge", None)
        self.judges = self._same is not None or self._judge is not None
        """It says itself which answers are the same, or has them judged."""
        self.asks_models = self._judge is not None
        """It has models vote on which answers are the same."""
        speculate = getattr(decomposer, "speculate", True)
        if not isinstance(speculate, bool):
            raise PluginError(f"{name} has speculate = {inert(repr(speculate), 40)}, expected True or False")
        self.speculates = not self.judges and speculate
        """A step may be begun from an answer that leads and is not decided yet."""
        self._score: Callable[[Step, Json], float] | None = getattr(decomposer, "score", None)
        self.scores = self._score is not None
        """It says what an answer is worth."""
        self._variant: Callable[[Step, int], Prompt] | None = getattr(decomposer, "variant", None)
        self.varies = self._variant is not None
        """It can ask in other words."""
        self._ruling: Callable[[Step, str], bool] = getattr(decomposer, "ruling", None) or _yes_or_no
        self._parse: Callable[[Step, str], Json] | None = getattr(decomposer, "parse", None)
        typed = getattr(decomposer, "answer", None)
        self._answers = None if typed is None else Answers(typed)
        if self._parse is None and self._answers is None:
            raise PluginError(f"{name} has no parse(step, text), and no `answer` that says what to read")

    def segments(self) -> Iterator[Segment]:
        """Raises PluginError for an id that is not well formed or comes twice."""
        seen: set[str] = set()
        segments = self._call("segments", None, iter, self._call("segments", None, self.decomposer.segments))
        while (segment := self._call("segments", None, next, segments, None)) is not None:
            if not isinstance(segment, Segment):
                raise PluginError(f"segments gave a {type(segment).__name__}, expected a Segment")
            if not isinstance(segment.id, str) or not SEGMENT_ID.fullmatch(segment.id):
                raise PluginError(
                    f"segments gave the id {inert(repr(segment.id))}, "
                    "expected 1 to 80 letters, digits and ._-"
                )
            if segment.id in seen:
                raise PluginError(f"segments gave the id {segment.id} twice")
            seen.add(segment.id)
            yield Segment(segment.id, self._json("segments", None, segment.state))

    def prompt(self, step: Step) -> Prompt | None:
        prompt = self._call("prompt", step, self.decomposer.prompt, step)
        if prompt is None:
            return None
        if not isinstance(prompt, Prompt):
            raise self._wrong("prompt", step, prompt, "a Prompt or None")
        if not _sound(prompt):
            raise self._wrong("prompt", step, prompt, "one of Messages, texts and a whole number of tokens")
        return self._with_schema(step, prompt)

    def variant(self, step: Step, number: int) -> Prompt:
        """The step's question in other words, the variant of this number, 1 or more."""
        prompt = self._call("variant", step, self._variant, step, number) if self._variant else None
        if not isinstance(prompt, Prompt) or not _sound(prompt):
            raise self._wrong("variant", step, prompt, "a Prompt")
        return self._with_schema(step, prompt)

    def _with_schema(self, step: Step, prompt: Prompt) -> Prompt:
        if prompt.schema is not None:
            return replace(prompt, schema=self._json("prompt", step, prompt.schema))
        return prompt if self._answers is None else replace(prompt, schema=self._answers.schema)

    def read(self, step: Step, text: str) -> tuple[str, Json]:
        """(key, answer) of a response; raises RedFlag for one that must not vote."""
        answer = self._parsed(step, text)
        value = self._value("parse", step, answer)
        self._checked(step, value)
        if self._canonical is not None:
            value = self._call("canonical", step, self._canonical, value)
        elif self._answers is not None:
            value = self._call("canonical", step, self._answers.canonical, value)
        return self._call("canonical", step, canonical.key, value), answer

    def _parsed(self, step: Step, text: str) -> Json:
        if self._parse is None:
            return answers.read(text)
        found = self._call("parse", step, self._parse, step, text)
        if self._answers is not None:
            found = self._call("parse", step, self._answers.dump, found)
        return self._json("parse", step, found)

    def _value(self, what: str, step: Step | None, answer: Json) -> Any:
        """An answer as the decomposer's methods are given it."""
        return answer if self._answers is None else self._call(what, step, self._answers.load, answer)

    def check(self, step: Step, answer: Json) -> None:
        """Raises RedFlag for an answer that is not of the task's type, or that its `check` does not take."""
        self._checked(step, self._value("check", step, answer))

    def _checked(self, step: Step, value: Any) -> None:
        if self._check is None:
            return
        verdict = self._call("check", step, self._check, step, value)
        if not isinstance(verdict, bool | str):
            raise self._wrong("check", step, verdict, "True, False or a reason")
        if verdict is not True:
            raise RedFlag(verdict or "check")

    def same(self, step: Step, first: Json, answer: Json) -> bool | None:
        """Whether an answer votes for what an earlier one said; None: a judge must say (`comparison`)."""
        if self._same is None:
            return None if self._judge else False
        pair = (self._value("same", step, first), self._value("same", step, answer))
        verdict = self._call("same", step, self._same, step, *pair)
        if not isinstance(verdict, bool) and not (verdict is None and self._judge):
            raise self._wrong("same", step, verdict, "True or False (or None where there is a judge)")
        return verdict

    def comparison(self, step: Step, first: Json, answer: Json) -> Prompt:
        """What a judge is asked about two answers."""
        pair = (self._value("judge", step, first), self._value("judge", step, answer))
        prompt = self._call("judge", step, self._judge, step, *pair) if self._judge else None
        if not isinstance(prompt, Prompt) or not _sound(prompt) or prompt.proposal:
            raise self._wrong("judge", step, prompt, "a Prompt that can be voted on")
        return prompt

    def ruling(self, step: Step, text: str) -> bool:
        """Whether a judge's response says that they are the same; raises RedFlag when it says neither."""
        verdict = self._call("ruling", step, self._ruling, step, text)
        if not isinstance(verdict, bool):
            raise self._wrong("ruling", step, verdict, "True or False")
        return verdict

    def score(self, step: Step, answer: Json) -> float:
        """What an answer is worth; the more the better."""
        assert self._score is not None
        found = self._call("score", step, self._score, step, self._value("score", step, answer))
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise self._wrong("score", step, found, "a finite number")
        return found

    def advance(self, step: Step, answer: Json) -> tuple[Step, tuple[Segment, ...]]:
        """The next step, and the children that it waits for, if any."""
        value = self._value("advance", step, answer)
        after = self._call("advance", step, self.decomposer.advance, step, value)
        fork = after if isinstance(after, Fork) else Fork((), after)
        children = self._children(step, fork.children) if fork is after else ()
        state = self._json("advance", step, fork.state)
        return Step(step.segment, step.index + 1, state), children

    def _children(self, step: Step, states: Sequence[Json]) -> tuple[Segment, ...]:
        if not isinstance(states, list | tuple) or not 1 <= len(states) <= MAX_CHILDREN:
            seen = len(states) if isinstance(states, list | tuple) else f"a {type(states).__name__} as"
            raise PluginError(
                f"advance{at(step)} forked into {seen} children, expected a list of states, at least 1 and "
                f"at most {MAX_CHILDREN:,}"
            )
        if family.depth(step.segment) >= MAX_DEPTH:
            raise PluginError(
                f"advance{at(step)} forked below {MAX_DEPTH} forks, expected at most {MAX_DEPTH}: "
                "let a step do more, or end the recursion earlier"
            )
        if self._join is _no_join:
            raise PluginError(f"advance{at(step)} forked, but the task has no join(step, finals)")
        plain = [self._json("advance", step, state) for state in states]
        return children(Step(step.segment, step.index + 1, None), plain)

    def join(self, step: Step, finals: Sequence[Json]) -> Step:
        """The same step with the state that its children's final states make."""
        state = self._json("join", step, self._call("join", step, self._join, step, list(finals)))
        return Step(step.segment, step.index, state)

    def digest(self, step: Step) -> str:
        return self._call("advance", step, canonical.digest, step.state)

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The result, from the final states of the task's own segments: children have been joined."""
        own = {name: state for name, state in finals.items() if not family.is_child(name)}
        return self._json("stitch", None, self._call("stitch", None, self.decomposer.stitch, own))

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool | str | None:
        """True, or what is wrong with the run; None when the task has no verifier."""
        verifier: Callable[..., bool | str] | None = getattr(self.decomposer, "verify", None)
        if verifier is None:
            return None
        values = ((name, index, self._value("verify", None, answer)) for name, index, answer in decided)
        verdict = self._call("verify", None, verifier, decided if self._answers is None else values)
        if not isinstance(verdict, bool | str):
            raise self._wrong("verify", None, verdict, "True, False or what is wrong")
        return verdict

    def _json(self, what: str, step: Step | None, value: Json) -> Json:
        """The value as it will be read back, so that a run and its resume see the same."""
        return self._call(what, step, canonical.plain, value)

    def _call(self, what: str, step: Step | None, method: Callable[..., T], *args: object) -> T:
        try:
            return method(*args)
        except BaseException as error:
            if passes(error, _ALLOWED.get(what, ())):
                raise
            blamed = getattr(self.decomposer, what, None) or self.decomposer.prompt
            raise PluginError(explained(what, step, error, blamed)) from error

    def _wrong(self, what: str, step: Step | None, value: object, expected: str) -> PluginError:
        where = place(getattr(self.decomposer, what))
        return PluginError(
            f"{what}{at(step)} ({where}) returned a {type(value).__name__}, expected {expected}"
        )
