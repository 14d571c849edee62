"""A second look at a recorded run that needs its plug-ins: replay, what if, asking again, judging, a prompt.

Nothing here writes in the run's directory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from maker import asked, assembly, compatibility, finals, live, place, plugins, replay, steps, whatif
from maker.amendment import Amendment
from maker.chapters import EVERY_STEP, Selection
from maker.errors import UsageError
from maker.live import Asked
from maker.manifest import Manifest
from maker.nouns import Json, Prompt
from maker.panel import Panel
from maker.place import Place
from maker.replay import Replayed
from maker.retrace import retrace
from maker.run_directory import RunDirectory
from maker.whatif import Outcome


@dataclass(frozen=True, slots=True)
class Instead:
    """What a panel of today has other than the run's; None: the same, but a seed one higher."""

    models: Sequence[str] | None = None
    judges: Sequence[str] | None = None
    voter: str | None = None
    red_flags: str | None = None
    seed: int | None = None


def decided_again(
    run_dir: str | Place, selection: Selection = EVERY_STEP, changed: bool = False
) -> Iterator[Replayed]:
    """Decide recorded steps again from their samples, without a model, and compare to the byte.

    changed: also by plug-ins whose files are not what they were; otherwise IncompatibleResumeError is raised
    and nothing is imported.
    """
    run = RunDirectory(place.at(run_dir))
    stored = run.manifest()
    now = compatibility.on_disk(stored, compatibility.OFFLINE)
    if not changed:
        hint = f"maker replay {run_dir} --import decides by the files as they are."
        compatibility.check(run.path, stored, now, hint)
    panel = assembly.offline_panel(now)

    def amended(amendment: Amendment) -> Panel:
        source = amendment.voter
        voter = compatibility.refreshed(plugins.VOTERS, source) if changed else source
        return replace(panel, voter=assembly.voter(voter))

    return replay.replay(run, assembly.task(now), panel, amended, selection)


def what_if(
    run_dir: str | Place,
    voter: str | None = None,
    red_flags: str | None = None,
    selection: Selection = EVERY_STEP,
) -> Iterator[Outcome]:
    """What another voter or other red flags would have made of the recorded samples.

    With red_flags given, or a voter that reads more than counts, the task's plug-in is imported: see
    `whatif.py`.
    """
    run = RunDirectory(place.at(run_dir))
    manifest = run.manifest()
    other = assembly.voter(manifest.voter if voter is None else asked.source(plugins.VOTERS, voter))
    if red_flags is None and not hasattr(other, "reads"):
        return whatif.what_if(run, other, selection)
    rules = assembly.red_flags(manifest.red_flags if red_flags is None else asked.rules(red_flags))
    return whatif.reflagged(run, other, rules, assembly.task(manifest), selection)


def ask_again(
    run_dir: str | Place,
    selection: Selection,
    limit: int,
    instead: Instead,
    on_asked: Callable[[Asked], None],
    options: Mapping[str, str] | None = None,
) -> None:
    """Ask a panel of today at recorded steps; `options` are operational, such as `base_url`."""
    run = RunDirectory(place.at(run_dir))
    manifest = _panel_of(compatibility.on_disk(run.manifest(), compatibility.PLUGINS), instead)
    subject = assembly.task(manifest)
    asked.check_judges(subject, manifest.judges)
    panels = assembly.Panels(manifest, subject, options or {})
    asked.check_cap(panels.own)
    asked.check_voter(subject, panels.own)
    chosen = islice(retrace(run, subject, selection), limit)

    async def ask() -> None:
        try:
            async for each in live.ask_again(chosen, subject, panels.own, panels.models):
                on_asked(each)
        finally:
            for model in panels:
                await model.aclose()

    asyncio.run(ask())


def _panel_of(was: Manifest, instead: Instead) -> Manifest:
    return asked.manifest(
        was.task.spec,
        was.parameters,
        instead.models or [each.spec for each in was.models],
        None,
        instead.voter or was.voter.spec,
        instead.red_flags or was.rules,
        was.seed + 1 if instead.seed is None else instead.seed,
        was.max_samples,
        instead.judges or [each.spec for each in was.judges],
        None if instead.models else ",".join(was.escalate) or None,
    )


def prompt_at(run_dir: str | Place, segment: str, index: int) -> Prompt | None:
    """The prompt of a step, rendered again; None where the segment ended or the run has not come to."""
    run = RunDirectory(place.at(run_dir))
    subject = assembly.task(run.manifest())
    step = next(retrace(run, subject, Selection(segment, index, index + 1)), None)
    return subject.prompt(step.step) if step else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a task says of a finished run."""

    result: Json
    """As stitched."""
    verdict: bool | str | None
    """True, or what is wrong; None when the task has no verifier."""
    last: str | None
    """`SEGMENT:INDEX` of the step at which the verifier stopped reading; None if it read them all."""


def judge(run_dir: str | Place) -> Judgement:
    """Stitch a finished run again and have its task verify every recorded step.

    Raises UsageError when a segment has not finished, JoinError when they do not fit together.
    """
    run = RunDirectory(place.at(run_dir))
    subject, ended = assembly.task(run.manifest()), finals.of(run)
    if missing := next((each.id for each in subject.segments() if each.id not in ended), None):
        raise UsageError(f"{run.path}: segment {missing} has not finished: only finished runs are verified")
    result = subject.stitch(ended)
    read = _Read(steps.decided(run))
    verdict = subject.verify(read)
    return Judgement(result, verdict, None if read.ended else read.last)


class _Read:
    """Notes how far a verifier has read."""

    def __init__(self, decided: Iterator[tuple[str, int, Json]]) -> None:
        self.last: str | None = None
        self.ended = False
        self._decided = decided

    def __iter__(self) -> Iterator[tuple[str, int, Json]]:
        return self

    def __next__(self) -> tuple[str, int, Json]:
        try:
            step = next(self._decided)
        except StopIteration:
            self.ended = True
            raise
        self.last = f"{step[0]}:{step[1]}"
        return step
