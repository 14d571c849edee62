"""The seam of a decomposer, and the task: a decomposer with its optional parts filled in.

A decomposer is a plain class with the methods below; nothing is inherited. `prompt`, `parse`,
`advance` and `check` must be pure: they run again on resume and replay, in any process.
Invariant: whatever a plug-in raises leaves here as PluginError (or RedFlag from `parse`), with the
plug-in's own line, the step and nothing of its text.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, Protocol, TypeVar

from maker import canonical
from maker.errors import MakerError, PluginError, inert
from maker.nouns import Json, Prompt, RedFlag, Segment, Step

T = TypeVar("T")


class Decomposer(Protocol):
    """What a task must bring.

    Optional, found by name: `check(step, answer) -> bool | str` (False or a reason flags the sample),
    `canonical(answer)` (the value whose canonical JSON decides equality), `verify(decided) -> bool | str`
    (judges a finished run: an iterable of (segment id, step index, answer) in segment and index
    order), `truth(step) -> str` and `mistake(step, rank) -> str` (texts for simulated models).
    """

    def segments(self) -> Iterable[Segment]: ...
    def prompt(self, step: Step) -> Prompt | None:
        """What to ask at this step; None when the segment has ended."""
        ...

    def parse(self, step: Step, text: str) -> Json:
        """The answer in a response; raises RedFlag when it is not well formed."""
        ...

    def advance(self, step: Step, answer: Json) -> Json:
        """The next step's state."""
        ...

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The result, from each segment's final state; raises JoinError when they do not fit."""
        ...


class Task:
    """A decomposer as the core uses it."""

    def __init__(self, decomposer: Decomposer, name: str) -> None:
        self.decomposer = decomposer
        self.name = name
        self._check: Callable[[Step, Json], bool | str] | None = getattr(decomposer, "check", None)
        self._canonical: Callable[[Json], Json] | None = getattr(decomposer, "canonical", None)

    def segments(self) -> Iterable[Segment]:
        try:
            yield from self.decomposer.segments()
        except Exception as error:
            _blame("segments", None, error)

    def prompt(self, step: Step) -> Prompt | None:
        return self._call("prompt", step, self.decomposer.prompt, step)

    def read(self, step: Step, text: str) -> tuple[str, Json]:
        """(key, answer) of a response; raises RedFlag for one that must not vote."""
        answer = self._call("parse", step, self.decomposer.parse, step, text)
        verdict = True if self._check is None else self._call("check", step, self._check, step, answer)
        if verdict is not True:
            raise RedFlag(verdict or "check")
        if self._canonical is None:
            return self._call("parse", step, canonical.key, answer), answer
        value = self._call("canonical", step, self._canonical, answer)
        return self._call("canonical", step, canonical.key, value), answer

    def advance(self, step: Step, answer: Json) -> Json:
        return self._call("advance", step, self.decomposer.advance, step, answer)

    def digest(self, step: Step) -> str:
        return self._call("advance", step, canonical.digest, step.state)

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return self._call("stitch", None, self.decomposer.stitch, finals)

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool | str | None:
        """True, or what is wrong with the run; None when the task has no judge."""
        judge: Callable[..., bool | str] | None = getattr(self.decomposer, "verify", None)
        return None if judge is None else self._call("verify", None, judge, decided)

    def _call(self, what: str, step: Step | None, method: Callable[..., T], *args: object) -> T:
        try:
            return method(*args)
        except (RedFlag, MakerError):
            raise
        except Exception as error:
            _blame(what, step, error)


def _blame(what: str, step: Step | None, error: Exception) -> NoReturn:
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    at = f" at step {step.segment}:{step.index}" if step else ""
    raise PluginError(f"{what} raised {type(error).__name__}{at} ({where}): {inert(error)}") from error
