"""Single steps of another task, chosen from all over it: what `maker calibrate` draws for.

Each is a segment of its own, whose state says which step of the other task it is, so nothing else has to be
kept. Where the steps come from:

    sample   the task's own `sample(rng, count)`, which can jump to any step
    truth    the right path, walked by the task's own `truth`; evenly from all its steps
    votes    the first steps of the task's segments; more of each by the answers that most samples give

Where the task tells kinds of steps apart (`kind`), more steps of rare kinds may be added behind these.
Invariant: the same parameters give the same steps in the same order, in any process.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from itertools import islice
from random import Random
from typing import Any, Literal, TypeVar

from maker import assembly, canonical
from maker.errors import PluginError, UsageError
from maker.guard import at, guarded, place
from maker.manifest import Source
from maker.nouns import Fork, Json, Prompt, RedFlag, Segment, Step
from maker.task import Task

WALKED = 200_000
"""Steps, or segments, that are looked at to choose from."""

Origin = Literal["sample", "truth", "votes"]
T = TypeVar("T")

_OF_STEPS = {"parse", "check", "same", "judge", "ruling", "score", "variant", "truth", "mistake", "kind"}
"""Methods that are given a step first."""
_NOT_OF_STEPS = {"verify", "join", "sample"}


class Sampled:
    """task, parameters: the other task. steps: how many of them, from all. seed: which ones. each_kind: at
    least so many of every kind of steps, as far as they are found."""

    def __init__(
        self, task: Source, parameters: dict[str, Any], steps: int, seed: int = 0, each_kind: int = 0
    ) -> None:
        if steps < 2:
            raise UsageError(f"steps={steps}, expected 2 or more: one says nothing of how they differ")
        self.source, self.parameters, self.steps, self._seed = task, parameters, steps, seed
        self._each_kind = each_kind
        self.inner = Task(assembly.decomposer(task, parameters), task.spec)
        self.length: int | None = getattr(self.inner.decomposer, "steps", None)
        """Steps of the other task, where it says so."""
        if each_kind and (self.origin == "votes" or not hasattr(self.inner.decomposer, "kind")):
            raise UsageError(
                f"each_kind={each_kind}: {task.spec} has no kind(step), or neither sample(rng, count) nor "
                "truth(step) to find rare ones by; expected both, or 0"
            )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in _NOT_OF_STEPS or "inner" not in self.__dict__:
            raise AttributeError(name)
        found = getattr(self.inner.decomposer, name)
        return _at_original(found) if name in _OF_STEPS else found

    @property
    def origin(self) -> Origin:
        if hasattr(self.inner.decomposer, "sample"):
            return "sample"
        return "truth" if hasattr(self.inner.decomposer, "truth") else "votes"

    # -- the chains ----------------------------------------------------------------------------------

    def segments(self) -> Iterator[Segment]:
        chosen = self._chosen
        steps = [*chosen.evenly, *chosen.rare]
        width = len(str(len(steps)))
        for number, step in enumerate(steps):
            yield Segment(f"{number:0{width}}", {**_place(step), "left": chosen.left})

    def evenly(self, step: Step) -> bool:
        """Whether a step was chosen from all, and not for its kind."""
        return int(step.segment) < len(self._chosen.evenly)

    def prompt(self, step: Step) -> Prompt | None:
        if step.state is None:
            return None
        here = original(step)
        return guarded("prompt", here, self.inner.decomposer.prompt, here)

    def advance(self, step: Step, answer: Json) -> Json:
        """The next step, where more are wanted; what a fork leads to is not followed."""
        if not step.state["left"]:
            return None
        here = original(step)
        state = guarded("advance", here, self.inner.decomposer.advance, here, answer)
        if isinstance(state, Fork):
            return None
        after = Step(here.segment, here.index + 1, state)
        return {**_place(after), "left": step.state["left"] - 1}

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return {"sampled": len(finals)}

    # -- which steps ---------------------------------------------------------------------------------

    @cached_property
    def _chosen(self) -> _Chosen:
        chance = Random(f"calibration/{self._seed}")
        match self.origin:
            case "sample":
                steps = list(islice(self._sample(chance, self.steps), self.steps))
            case "truth":
                steps = _reservoir(self._right_path(), self.steps, chance)
            case "votes":
                steps = _reservoir(self._beginnings(), self.steps, chance)
        if not steps:
            raise UsageError(f"{self.source.spec}: no step to calibrate at: no segment has one to vote on")
        chance.shuffle(steps)
        left = -(-self.steps // len(steps)) - 1 if self.origin == "votes" else 0
        return _Chosen(steps, list(self._rare(steps, chance)) if self._each_kind else [], left)

    def _rare(self, evenly: Sequence[Step], chance: Random) -> Iterator[Step]:
        """Of each kind so many that there are enough with those chosen evenly."""
        of_kind = partial(kind, self.inner.decomposer)
        places, had = {(step.segment, step.index) for step in evenly}, Counter(map(of_kind, evenly))
        more = self._sample(chance, WALKED) if self.origin == "sample" else self._right_path()
        seen, kept = Counter[str](), defaultdict[str, list[Step]](list)
        for step in more:
            if (step.segment, step.index) in places:
                continue
            name = of_kind(step)
            _keep(kept[name], step, seen[name], self._each_kind - had[name], chance)
            seen[name] += 1
        for name in sorted(kept):
            yield from kept[name]

    def _sample(self, chance: Random, count: int) -> Iterator[Step]:
        sample: Callable[[Random, int], Iterable[Step]] = self.inner.decomposer.sample  # type: ignore[attr-defined]
        steps = guarded("sample", None, lambda: iter(sample(chance, count)), blamed=sample)
        while (step := guarded("sample", None, next, steps, None, blamed=sample)) is not None:
            if not isinstance(step, Step):
                raise PluginError(f"sample gave a {type(step).__name__}, expected a Step")
            plain = Step(step.segment, step.index, canonical.plain(step.state))
            if self._voted(plain):
                yield plain

    def _beginnings(self) -> Iterator[Step]:
        first = (Step(each.id, 0, each.state) for each in self.inner.segments())
        return (step for step in islice(first, WALKED) if self.inner.prompt(step) is not None)

    def _right_path(self) -> Iterator[Step]:
        return islice((step for step in self._walked() if self._voted(step)), WALKED)

    def _walked(self) -> Iterator[Step]:
        for segment in self.inner.segments():
            yield from self._walk(Step(segment.id, 0, segment.state))

    def _walk(self, step: Step) -> Generator[Step, None, Step]:
        """The steps of a segment and, before those behind a fork, of its children; then its last state."""
        while self.inner.prompt(step) is not None:
            yield step
            step, children = self.inner.advance(step, right(self.inner, step)[1])
            if children:
                finals = []
                for child in children:
                    last = yield from self._walk(Step(child.id, 0, child.state))
                    finals.append(last.state)
                step = self.inner.join(step, finals)
        return step

    def _voted(self, step: Step) -> bool:
        """Whether votes decide here: not at a segment's end, nor where the first sample is taken as it is."""
        prompt = self.inner.prompt(step)
        return prompt is not None and not prompt.proposal


@dataclass(frozen=True, slots=True)
class _Chosen:
    evenly: list[Step]
    """Where chains begin, in random order."""
    rare: list[Step]
    """Others, for their kinds' sake."""
    left: int
    """How many more steps each chain is to have."""


def original(step: Step) -> Step:
    """The step of the other task."""
    return Step(step.state["segment"], step.state["index"], step.state["state"])


def right(task: Task, step: Step) -> tuple[str, Json]:
    """(key, answer) of the task's own truth at a step."""
    truth: Callable[[Step], str] = task.decomposer.truth  # type: ignore[attr-defined]
    try:
        return task.read(step, guarded("truth", step, truth, step))
    except RedFlag as flag:
        raise PluginError(
            f"step {step.segment}:{step.index}: the task flags its own truth ({flag}): maker check"
        ) from None


def kind(decomposer: Any, step: Step) -> str:
    """As the task names it. PluginError if it raises or gives no text."""
    name = guarded("kind", step, decomposer.kind, step)
    if not isinstance(name, str) or not name:
        said = "an empty text" if name == "" else f"a {type(name).__name__}"
        raise PluginError(f"kind{at(step)} ({place(decomposer.kind)}) gave {said}, expected a kind's name")
    return name


def _at_original(method: Callable[..., T]) -> Callable[..., T]:
    @wraps(method)  # so that whoever blames it names the task's own line
    def at_original(step: Step, *more: object) -> T:
        return method(original(step), *more)

    return at_original


def _place(step: Step) -> dict[str, Json]:
    return {"segment": step.segment, "index": step.index, "state": step.state}


def _reservoir(steps: Iterable[Step], count: int, chance: Random) -> list[Step]:
    """So many of them, each with the same chance (algorithm R)."""
    kept: list[Step] = []
    for number, step in enumerate(steps):
        _keep(kept, step, number, count, chance)
    return kept


def _keep(kept: list[Step], step: Step, number: int, count: int, chance: Random) -> None:
    if number < count:
        kept.append(step)
    elif (place := chance.randrange(number + 1)) < count:
        kept[place] = step
