"""`maker.run`: one call from a task's name to a verified result; the command line calls it too.

It writes the manifest and starts a crew; `command.py` does the rest. Every end is a `RunResult`; only
misuse raises.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import TypeAlias, Unpack

import structlog

from maker import asked, assembly, caps, compatibility, heads, place, planned, plugins, summary
from maker import fork as forking
from maker import verdict as verdicts
from maker.amendment import Amendment
from maker.asked import Named
from maker.cluster import placement, ray_crew
from maker.cluster.coordinator import Progress
from maker.cluster.crew import Crew, InlineCrew
from maker.command import Command
from maker.errors import UsageError
from maker.manifest import Manifest
from maker.model import Model
from maker.nouns import Decision, Json
from maker.operation import Operation, Operational
from maker.place import Place
from maker.result import RunResult, stored
from maker.retry import Retry
from maker.run_directory import RunDirectory
from maker.signals import Signals
from maker.verdict import Verdict

log = structlog.get_logger("maker")
OnLaunch: TypeAlias = Callable[[Manifest, str, Retry | None], None]
"""(what is run, where, the other panel of parked steps if there is one)"""


def run(
    task: str | type,
    *,
    params: Mapping[str, object] | None = None,
    model: Named | None = None,
    judge: Named | None = None,
    k: int | None = None,
    voter: str | None = None,
    target: float | None = None,
    calibration: str | PathLike[str] | None = None,
    red_flags: str = "truncated",
    seed: int = 0,
    escalate: str | None = None,
    max_samples: int = 100,
    run_dir: str | Place | None = None,
    retry: Retry | None = None,
    on_launch: OnLaunch = lambda manifest, directory, retry: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    **operational: Unpack[Operational],
) -> RunResult:
    """Run a task, or go on with it if `run_dir` holds it already.

    task: an entry-point name, `package.module:Name`, `file.py:Name`, or the class itself; params: its
    parameters. model: the same, with options behind (`embedded:temperature=1.5`), or several (a panel
    drawn in turn); None takes the one that the task suggests. judge: the same, for who votes on whether two
    answers are the same, in a task that has them compared; None: who votes on steps. k: lead for the default
    voter, `ahead_by_k` (3 if None); voter: another one, such as `majority:n=5`; target and calibration, in
    place of k: how probably all steps shall end right, and the file from which k is planned. escalate: what
    changes at a step in trouble, such as `variant,model,park` (docs/escalation.md). max_samples: the most
    draws at one step. retry: see `resume`. operational: how it is carried out, see
    `maker.operation.Operation`.

    Raises UsageError, IncompatibleResumeError, JournalDamagedError and PluginError, and StorageError when the
    run cannot even be begun or claimed; every other end is told by the result's status.
    """
    operation = Operation.of(operational, _keywords(run))
    manifest = asked.manifest(
        task, params or {}, model, k, voter, red_flags, seed, max_samples, judge, escalate
    )
    if target is not None or calibration is not None:
        manifest = _planned(manifest, target, calibration, asked.rule(k, voter))
    directory = RunDirectory(place.at(run_dir or f"runs/{manifest.run}").resolve())
    directory.check(manifest)  # before the task reads a file that is another by now
    subject = assembly.task(manifest)
    asked.check_judges(subject, [*manifest.judges, *(retry.judges if retry else ())])
    asked.check_ladder(subject, manifest)
    manifest = manifest.model_copy(update={"prompt": asked.first_prompt(subject)})
    panels = assembly.Panels(manifest, subject, operation.model_options)
    asked.check_cap(panels.own)
    asked.check_voter(subject, panels.own)
    before = directory.newest_command() or {}
    for name, value in caps.stayed(operation, before).items():
        log.info("cap_stays", option=f"--{name.replace('_', '-')}", value=value)
    operation = caps.settled(operation, before)
    priced = caps.priced(operation, before)
    named = _who_draws(directory, panels, retry) if priced else panels.models
    terms = caps.terms(operation, before, named)
    begun = directory.begin(manifest)
    manifest = manifest.model_copy(update={"run": begun.run, "maker": begun.maker, "forked": begun.forked})
    on_launch(manifest, str(directory.path), retry)
    if finished := stored(directory):
        return finished
    command = Command(directory, manifest, subject, operation, retry, terms, on_progress)
    for amendment in _retried(directory, retry):
        panels.models_of(amendment)  # so that they are among those that actors hold
    with Signals() as signals, _crew(operation, panels) as crew:
        return asyncio.run(_carry_out(command, crew, signals))


def resume(
    run_dir: str | Place,
    *,
    max_samples: int | None = None,
    retry_parked: bool = False,
    model: Named | None = None,
    judge: Named | None = None,
    k: int | None = None,
    voter: str | None = None,
    on_launch: OnLaunch = lambda manifest, directory, retry: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    **operational: Unpack[Operational],
) -> RunResult:
    """Go on with a run as its manifest says.

    retry_parked: give the steps that are parked now another panel each, of these models, judges and voter
    (the run's own where not given) and with up to `max_samples` further draws; steps after them are the run's
    own panel's again. Raises IncompatibleResumeError when a plug-in's file is not what it was, before any
    import.
    """
    Operation.of(operational, _keywords(resume))
    if not retry_parked and (model or judge or k is not None or voter is not None):
        raise UsageError(
            "another panel (model, judge, k, voter) is for parked steps: add --retry-parked "
            "(retry_parked=True); for a new run from a step of this one: maker fork"
        )
    directory = RunDirectory(place.at(run_dir))
    manifest = directory.manifest()
    here = compatibility.on_disk(manifest, compatibility.PLUGINS)
    compatibility.check(directory.path, manifest, here)
    retry = asked.retry(manifest, model, k, voter, max_samples, judge) if retry_parked else None
    return run(
        here.task.spec,
        params=manifest.parameters,
        model=[model.spec for model in here.models],
        judge=[judge.spec for judge in here.judges],
        voter=here.voter.spec,
        red_flags=here.rules,
        seed=manifest.seed,
        escalate=",".join(manifest.escalate) or None,
        max_samples=manifest.max_samples if retry_parked or max_samples is None else max_samples,
        run_dir=run_dir,
        retry=retry,
        on_launch=on_launch,
        on_progress=on_progress,
        **operational,
    )


def decide(run_dir: str | Place, at: tuple[str, int], answer: Json) -> Decision:
    """Decide the parked step `at` (segment, index) as a person; `resume` goes on from it.

    Raises UsageError when it is not parked or the task does not take the answer; then nothing is written.
    """
    directory = RunDirectory(place.at(run_dir))
    manifest = directory.manifest()
    verdict = Verdict(*at, answer)
    verdicts.parked_in(directory, verdict)
    compatibility.check(directory.path, manifest, compatibility.on_disk(manifest, compatibility.OFFLINE))
    subject = assembly.task(manifest)
    asked_now = manifest.model_copy(update={"prompt": asked.first_prompt(subject)})
    compatibility.check(directory.path, manifest, asked_now)
    before = caps.carried(directory.newest_command() or {})
    settings = asked.settings(decide=f"{at[0]}:{at[1]}", **before)
    return verdicts.decide(directory, subject, assembly.offline_panel(manifest), verdict, settings)


def fork(
    run_dir: str | Place,
    at: tuple[str, int],
    new_dir: str | Place,
    *,
    model: Named | None = None,
    judge: Named | None = None,
    voter: str | None = None,
    red_flags: str | None = None,
    seed: int | None = None,
    escalate: str | None = None,
) -> int:
    """Start a new run in `new_dir` from step `at` (segment, index) of an old one; the decisions copied.

    The new run goes on by `resume`. What is given is other than in the old run, the rest is the same.
    """
    old, new = RunDirectory(place.at(run_dir)), RunDirectory(place.at(new_dir).resolve())
    was = old.manifest()
    given = {"models": model, "judges": judge, "voter": voter, "red_flags": red_flags}
    kept = ["task", *(name for name, value in given.items() if value is None)]
    here = compatibility.on_disk(was, kept)
    compatibility.check(old.path, was, here)
    manifest = asked.manifest(
        here.task.spec,
        was.parameters,
        [each.spec for each in here.models] if model is None else model,
        None,
        here.voter.spec if voter is None else voter,
        here.rules if red_flags is None else red_flags,
        was.seed if seed is None else seed,
        was.max_samples,
        [each.spec for each in here.judges] if judge is None else judge,
        ",".join(was.escalate) or None if escalate is None else escalate,
    )
    subject = assembly.task(manifest)
    asked.check_judges(subject, manifest.judges)
    asked.check_ladder(subject, manifest)
    task = {"task": manifest.task, "prompt": asked.first_prompt(subject)}
    compatibility.check(old.path, was, was.model_copy(update=task))
    manifest = manifest.model_copy(update={"prompt": was.prompt})
    panel = assembly.Panels(manifest, subject, {}).own
    asked.check_voter(subject, panel)
    forking.check(old, *at)
    new.create(manifest.model_copy(update={"forked": f"{was.run} {at[0]}:{at[1]}"}))
    return forking.fork(old, new, *at, subject, panel)


def _planned(
    manifest: Manifest, target: float | None, calibration: str | PathLike[str] | None, rule: str | None
) -> Manifest:
    """With the voter that the plan chooses."""
    if rule is not None:
        raise UsageError(f"a target chooses k itself: leave out {rule}, or --target and --calibration")
    chosen = asked.rule(planned.k(manifest, target, calibration), None)
    return manifest.model_copy(update={"voter": asked.source(plugins.VOTERS, str(chosen))})


def _keywords(call: Callable[..., object]) -> list[str]:
    """Those that it names itself."""
    parameters = inspect.signature(call).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


def _who_draws(run: RunDirectory, panels: assembly.Panels, retry: Retry | None) -> list[str]:
    """Models of the run's own panel, of amended steps and of a retry, and those that have drawn before."""
    amended = [head.amendment for _, head in heads.heads(run) if head.amendment]
    amended += _retried(run, retry)
    more = [name for amendment in amended for name in panels.models_of(amendment)]
    return [*panels.models, *more, *summary.summarise(run).totals.by_model]


def _retried(run: RunDirectory, retry: Retry | None) -> list[Amendment]:
    return [each for lane in retry.amendments(run).values() for each in lane] if retry else []


async def _carry_out(command: Command, crew: Crew, signals: Signals) -> RunResult:
    signals.cancel(asyncio.current_task())
    return await command.carry_out(crew)


@contextmanager
def _crew(operation: Operation, models: Iterable[Model]) -> Iterator[Crew]:
    if operation.engine == "inline":
        yield InlineCrew()
    else:
        where = (operation.address, operation.workers)
        with ray_crew.started(*where, placement.needs(models), operation.seconds_to_lose) as crew:
            yield crew
