"""`maker calibrate`: an ordinary run over sampled steps of a task, and what the votes of a run tell.

The run's task is `decomposers/sampled.py`, its voter takes a fixed number of samples; so a calibration is
journaled, resumed, budgeted and replayed as any other run. Measuring only reads the journal.
Invariant: of every step those samples count that would have been drawn whatever they said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal, Unpack

from maker import api, asked, assembly, measure, place, plugins
from maker.api import OnLaunch
from maker.asked import Named
from maker.calibration import Calibration, Kind
from maker.cluster.coordinator import Progress
from maker.decomposers.sampled import WALKED, Sampled, kind, right
from maker.errors import UsageError
from maker.manifest import Manifest
from maker.measure import Draw, StepDraws
from maker.nouns import Json, Step
from maker.operation import Operational
from maker.place import Place
from maker.records import Record
from maker.result import RunResult
from maker.retrace import Retraced, retrace
from maker.run_directory import RunDirectory
from maker.task import Task

STEPS, DRAWS = 1000, 3
"""As `maker calibrate` has them where nothing else is said."""


def calibrate(
    task: str | type,
    *,
    params: Mapping[str, object] | None = None,
    model: Named | None = None,
    judge: Named | None = None,
    steps: int = STEPS,
    draws: int = DRAWS,
    each_kind: int = 0,
    red_flags: str = "truncated",
    seed: int = 0,
    run_dir: str | Place | None = None,
    on_launch: OnLaunch = lambda manifest, directory, retry: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    **operational: Unpack[Operational],
) -> tuple[RunResult, Calibration | None]:
    """Draw `draws` samples at each of `steps` steps of a task, or go on with that if `run_dir` holds it.

    each_kind: beyond these, more steps of rare kinds, so that there are so many of each, as far as 200,000
    steps hold them. The rest is as in `maker.run`. What was drawn is measured however the run ended; None
    where that is not two steps.
    """
    subject = plugins.find(plugins.DECOMPOSERS, plugins.spec_of(task))
    source = asked.source(plugins.DECOMPOSERS, subject.spec)
    typed = subject.typed(params or {})
    sampled = Sampled(source, typed, steps, seed, each_kind)
    if sampled.origin == "votes" or not hasattr(sampled, "truth"):
        _check_draws(source.spec, draws)
    result = api.run(
        Sampled,
        params={"task": source, "parameters": typed, "steps": steps, "seed": seed, "each_kind": each_kind},
        model=model,
        judge=judge,
        voter=f"maker.voters.fixed_draws:FixedDraws:n={draws}",
        red_flags=red_flags,
        seed=seed,
        max_samples=draws,
        run_dir=run_dir,
        on_launch=on_launch,
        on_progress=on_progress,
        **operational,
    )
    return result, of_run(result.run) if result.samples else None


def of_run(run: str | Place) -> Calibration | None:
    """What the samples of any run tell, a calibration or not; None where fewer than two steps have theirs."""
    directory = RunDirectory(place.at(run))
    manifest = directory.manifest()
    subject = assembly.task(manifest)
    of = subject.decomposer
    draws = _first_draws(manifest)
    reader = Reader(subject, draws)
    truth: Literal["verifier", "disagreement"] = "verifier" if reader.truthful else "disagreement"
    if not reader.truthful:
        _check_draws(manifest.task.spec, draws)
    found = list(reader.read(directory))
    evenly = [seen.draws for seen in found if seen.evenly]
    if len(evenly) < 2:
        return None
    sampled = of if isinstance(of, Sampled) else None
    return Calibration(
        maker=version("maker"),
        task=sampled.source if sampled else manifest.task,
        parameters=sampled.parameters if sampled else manifest.parameters,
        models=manifest.models,
        red_flags=manifest.red_flags,
        seed=manifest.seed,
        length=sampled.length if sampled else getattr(of, "steps", None),
        truth=truth,
        draws=draws,
        kinds=list(_kinds(found)),
        hidden=_hidden(len(evenly), reader, sampled),
        **dict(measure.figures(evenly)),
    )


def _check_draws(task: str, draws: int) -> None:
    if draws < 3:
        raise UsageError(
            f"{task} has no truth(step), so its model is held against the answer that most samples give: "
            f"saw {draws} samples a step, expected 3 or more (--draws 3)"
        )


def _first_draws(manifest: Manifest) -> int:
    """Samples that every step has, whatever they say."""
    cap = manifest.max_samples
    return min(assembly.first_want(assembly.voter(manifest.voter), cap), cap)


def _kinds(found: Sequence[Seen]) -> Iterator[Kind]:
    steps = defaultdict[str, list[Seen]](list)
    for seen in found:
        if seen.kind is not None:
            steps[seen.kind].append(seen)
    for name in sorted(steps):
        evenly = sum(seen.evenly for seen in steps[name])
        yield measure.kind(name, evenly, [seen.draws for seen in steps[name]])


@dataclass(frozen=True, slots=True)
class Seen:
    """A step that was sampled."""

    draws: StepDraws
    kind: str | None
    """As the task names it, if it does."""
    evenly: bool
    """Chosen from all steps, and not for its kind."""


class Reader:
    """From the journal of a run to how each of the first draws at its steps came out."""

    def __init__(self, subject: Task, draws: int) -> None:
        self.task, self.draws = subject, draws
        self.truthful = hasattr(subject.decomposer, "truth")
        self.left_out = 0
        """Steps that were voted on and have not all their first draws."""

    def read(self, run: RunDirectory) -> Iterator[Seen]:
        for retraced in retrace(run, self.task):
            verdict = retraced.verdict
            if verdict is None or verdict.get("by") == "proposal":
                continue
            drawn = self._step(retraced, verdict)
            if len(drawn) == self.draws:
                yield Seen(drawn, self._kind(retraced.step), self._evenly(retraced.step))
            else:
                self.left_out += 1

    def _kind(self, step: Step) -> str | None:
        decomposer = self.task.decomposer
        return kind(decomposer, step) if hasattr(decomposer, "kind") else None

    def _evenly(self, step: Step) -> bool:
        decomposer = self.task.decomposer
        return not isinstance(decomposer, Sampled) or decomposer.evenly(step)

    def _step(self, retraced: Retraced, verdict: Record) -> list[Draw]:
        outcomes = self._outcomes(retraced, verdict)
        here = (retraced.step.index, verdict["state"])
        samples = {each["draw"]: each for each in retraced.samples if (each["step"], each["state"]) == here}
        return [
            Draw(*outcomes[draw], sample["tokens_in"], sample["tokens_out"], sample["latency"])
            for draw in range(self.draws)
            if draw in outcomes and (sample := samples.get(draw))
        ]

    def _outcomes(self, retraced: Retraced, verdict: Record) -> dict[int, tuple[int | None, str]]:
        """(answer, flag) by draw, as `Draw` has them; of the first draws only."""
        first = range(self.draws)
        votes = {each["key"]: [draw for draw in each["draws"] if draw in first] for each in verdict["votes"]}
        held = self._right(retraced, verdict) if self.truthful else _most(votes)
        wrong = [key for key, drawn in votes.items() if drawn and key != held]
        numbers = {key: number for number, key in enumerate([held, *wrong])}
        found: dict[int, tuple[int | None, str]] = {
            draw: (numbers[key], "") for key, drawn in votes.items() for draw in drawn
        }
        for each in verdict["flags"]:
            found |= {draw: (None, each["reason"]) for draw in each["draws"] if draw in first}
        return found

    def _right(self, retraced: Retraced, verdict: Record) -> str | None:
        """The key, of those with votes, that says what the truth says."""
        key, answer = right(self.task, retraced.step)
        if not self.task.judges or any(each["key"] == key for each in verdict["votes"]):
            return key
        texts = {each["draw"]: each["text"] for each in retraced.samples if each["state"] == verdict["state"]}
        for each in verdict["votes"]:
            said = next((texts[draw] for draw in each["draws"] if draw in texts), None)
            if said is not None and self._says(retraced.step, answer, said):
                return str(each["key"])
        return None

    def _says(self, step: Step, truth: Json, text: str) -> bool:
        """Whether a vote says what the truth says, as far as the task itself can tell."""
        return self.task.same(step, truth, self.task.read(step, text)[1]) is True


def _most(votes: Mapping[str, Sequence[int]]) -> str | None:
    """The key with most votes, of equals the one drawn first."""
    voted = [(len(draws), -min(draws), key) for key, draws in votes.items() if draws]
    return max(voted)[2] if voted else None


def _hidden(steps: int, reader: Reader, sampled: Sampled | None) -> str:
    """What was not looked at, or cannot be."""
    said = [_STEPS_OF[sampled.origin] if sampled else "The steps are those that the run decided."]
    if sampled and sampled.origin != "sample" and (sampled.length or 0) > WALKED:
        said.append(f"Only the first {WALKED:,} steps were walked to choose from.")
    if reader.truthful:
        said.append("Right is what the task's truth says; where that is wrong, so are the figures.")
    else:
        said.append(
            "Right is what most samples of a step say: steps at which all of them are wrong alike count as "
            "right and cannot be seen."
        )
    if sampled and sampled.origin != "votes" and steps == sampled.length:
        return " ".join(["Every step of the whole task was looked at.", *said[1:]])
    said.append(
        f"Kinds of steps rarer than about 1 in {max(1, steps // 3):,} may have been missed altogether: if a "
        "model is mostly wrong there, no k helps, and no sample of this size excludes it."
    )
    if reader.left_out:
        said.append(f"{reader.left_out:,} steps were left out: not all of their samples could be read.")
    return " ".join(said)


_STEPS_OF = {
    "sample": "Steps were chosen at random from the whole task.",
    "truth": "Steps were chosen at random from the path that the task's truth leads along.",
    "votes": "The task cannot say what is right, so only the first steps of its segments were looked at, and "
    "from there on what most samples led to; nothing behind a fork.",
}
