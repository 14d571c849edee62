"""A decomposer under check, and what several checks look at.

Invariant: everything here is made once, when it is first needed, by walking the task anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from random import Random

from maker import canonical, plugins
from maker.conformance import elsewhere
from maker.conformance.elsewhere import Told
from maker.conformance.walk import Spoken, Tell, Walk, walk
from maker.guard import at, guarded
from maker.nouns import Json, Step
from maker.task import Decomposer, Task

SEGMENTS = 3
"""How many segments are walked step by step."""

WHOLE = 3000
"""Steps of a task, at most, that is walked to its end."""


class Watched(Task):
    """Notes what a journal would not give back as it was."""

    def __init__(self, decomposer: Decomposer, name: str) -> None:
        super().__init__(decomposer, name)
        self.odd: list[str] = []

    def _json(self, what: str, step: Step | None, value: Json) -> Json:
        if key := _odd_key(value):
            self.odd.append(f"{what}{at(step)} gives something with the key {key}")
        return super()._json(what, step, value)


def _odd_key(value: Json) -> str | None:
    """A key that is no text, somewhere in a value."""
    if isinstance(value, Mapping):
        odd = next((repr(key) for key in value if not isinstance(key, str)), None)
        return odd or next(filter(None, map(_odd_key, value.values())), None)
    return next(filter(None, map(_odd_key, value)), None) if isinstance(value, list | tuple) else None


@dataclass
class Subject:
    spec: str
    """As `maker run` takes it."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    teller: Callable[[Task], Tell] | None = None
    """Who answers where the task has no truth of its own."""
    steps: int = 20
    """How many are walked of a segment."""
    seed: int = 0
    """Of the hostile texts."""

    @cached_property
    def task(self) -> Watched:
        return Watched(self._plugin.make(self.parameters), self._plugin.spec)

    @cached_property
    def _plugin(self) -> plugins.Plugin:
        return plugins.find(plugins.DECOMPOSERS, self.spec)

    @property
    def truthful(self) -> bool:
        return self.can("truth")

    @cached_property
    def walked(self) -> Walk:
        """The first steps of the first segments."""
        return walk(self.task, islice(self.task.segments(), SEGMENTS), self._tell(), self.steps)

    @cached_property
    def whole(self) -> Walk:
        """All of the task by its own truth, if it is short enough; else not whole.

        Of a task without truth it is what was walked with a model's answers: its samples may cost money.
        """
        return self.gone(lambda step: self.say("truth", step)) if self.truthful else self.walked

    @cached_property
    def ended(self) -> bool:
        """Whether `whole` is a run of every segment to its end."""
        few = self.truthful or next(islice(self.task.segments(), SEGMENTS, None), None) is None
        return self.whole.whole and few

    @cached_property
    def elsewhere(self) -> Told:
        return elsewhere.told(self._plugin.spec, self.parameters, self.spoken, self.seed)

    def gone(self, say: Callable[[Step], str]) -> Walk:
        """The run in which every step is answered so."""
        return walk(self.task, self.task.segments(), lambda step, prompt: (say(step),), WHOLE, WHOLE)

    def can(self, method: str) -> bool:
        return hasattr(self.task.decomposer, method)

    def say(self, method: str, step: Step, *more: object) -> str:
        """What the task's `truth` or `mistake` says; PluginError if it raises."""
        return str(guarded(method, step, getattr(self.task.decomposer, method), step, *more))

    def sampled(self, count: int) -> list[Step]:
        """What the task's `sample` gives of a seed; PluginError if it raises."""
        sample = self.task.decomposer.sample  # type: ignore[attr-defined]
        steps = guarded("sample", None, lambda: list(sample(Random(self.seed), count)), blamed=sample)
        return [Step(step.segment, step.index, canonical.plain(step.state)) for step in steps]

    @cached_property
    def spoken(self) -> list[Spoken]:
        """The steps walked, each with what may be said there: more than was taken, mistakes too."""
        mistakes = [0] if self.truthful and self.can("mistake") else []
        return [
            (visit.step, (*visit.texts, *(self.say("mistake", visit.step, rank) for rank in mistakes)))
            for visit in self.walked.visits
        ]

    def _tell(self) -> Tell:
        if self.truthful:
            return lambda step, prompt: (self.say("truth", step),)
        return self.teller(self.task) if self.teller else lambda step, prompt: ()
