"""`maker run`: start a run, or go on with one."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from maker.cli.operational import operational
from maker.cli.progress import Shown
from maker.cli.runs import Run
from maker.errors import UsageError
from maker.operation import Operational

if TYPE_CHECKING:
    from maker.result import RunResult


def _load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Options from a TOML file by their long names, and a table T; below command line and environment."""
    if path is None:
        return None
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {path}: {error}") from None
    options = {option.opts[0].lstrip("-"): option for option in context.command.params}
    known = {name: str(option.name) for name, option in options.items()}
    if unknown := values.keys() - known.keys():
        raise UsageError(f"--config {path}: unknown {sorted(unknown)}, expected {sorted(known)}")
    if isinstance(values.get("T"), dict):
        values["T"] = [f"{name}={value}" for name, value in values["T"].items()]
    context.default_map = {
        known[name]: [value]
        if getattr(options[name], "multiple", False) and not isinstance(value, list)
        else value
        for name, value in values.items()
    }
    return path


AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")]
Parameter = Annotated[
    list[str] | None, typer.Option("-T", metavar="KEY=VALUE", help="A parameter of the task; repeatable.")
]
Input = Annotated[
    Path | None,
    typer.Option("--input", metavar="FILE", help="A file for a task that takes one, such as questions."),
]


@operational
def run(
    task: Annotated[str, typer.Argument(help="A task: a name, package.module:Name or file.py:Name.")],
    parameter: Parameter = None,
    input: Input = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            envvar="MAKER_MODEL",
            help="embedded:temperature=1.5, sim:error=0.002,latency=20ms, openai:NAME, file.py:Name; "
            "more than one is a panel, drawn in turn.",
        ),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="Who votes on whether two answers are the same, where a task asks that. Those of --model."
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("--k", "-k", help="Votes by which an answer must lead (3).", envvar="MAKER_K"),
    ] = None,
    voter: Annotated[
        str | None, typer.Option(help="Another rule: first_to_k:k=4, majority:n=5.", envvar="MAKER_VOTER")
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="In place of --k: how probably all steps shall end right, by --calibration."),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What `maker calibrate` wrote of this task and model.")
    ] = None,
    red_flags: Annotated[
        str, typer.Option(help="Rules joined by |, such as truncated|too_long:tokens=700|refusal.")
    ] = "truncated",
    seed: Annotated[int, typer.Option(help="Decides every seat's seed.", envvar="MAKER_SEED")] = 0,
    escalate: Annotated[
        str | None,
        typer.Option(
            metavar="RUNG,...",
            help="What changes, one after the other, after two red flags or the first dissent at a step: "
            "`variant` of the prompt, `model`, `park`.",
            envvar="MAKER_ESCALATE",
        ),
    ] = None,
    max_samples: Annotated[int, typer.Option(help="The most draws at a step; then it is parked.")] = 100,
    run_dir: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="The run's directory, or s3://BUCKET/PREFIX, gs:// or az://; one that holds this run goes "
            "on. New below runs/.",
        ),
    ] = None,
    *,
    operation: Operational,
    as_json: AsJson = False,
    config: Annotated[
        Path | None,
        typer.Option(
            callback=_load_config, is_eager=True, help="Options from a TOML file.", envvar="MAKER_CONFIG"
        ),
    ] = None,
) -> None:
    """Run TASK; the same command with the same --run-dir goes on where it was."""
    from maker import api

    params = parameters([*(parameter or []), *task_input(task, input)])
    asked = partial(api.run, task, params=params, model=model or None, judge=judge or None, k=k, voter=voter)
    more = {"red_flags": red_flags, "seed": seed, "max_samples": max_samples, "run_dir": run_dir}
    more |= {"target": target, "calibration": calibration, "escalate": escalate}
    _show(partial(asked, **more, **operation), as_json)


@operational
def resume(
    run: Run,
    max_samples: Annotated[
        int | None, typer.Option(help="A new cap on the draws at a step; of a retried one, on further draws.")
    ] = None,
    retry_parked: Annotated[
        bool, typer.Option("--retry-parked", help="Re-open the parked steps, each with another panel.")
    ] = False,
    model: Annotated[
        list[str] | None, typer.Option(help="Who draws at the retried steps; repeatable.")
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="Who compares answers at the retried steps; `none`: those who draw there."),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", "-k", help="Lead at the retried steps.")] = None,
    voter: Annotated[str | None, typer.Option(help="Another rule at the retried steps.")] = None,
    *,
    operation: Operational,
    as_json: AsJson = False,
) -> None:
    """Go on with RUN where it was; parked steps with the samples they have.

    With --retry-parked, the steps that are parked now are voted on by another panel (or, without --model,
    --judge, --k and --voter, by the same one) with a cap raised by --max-samples; the steps after them as
    before.
    """
    from maker import api

    panel = partial(api.resume, retry_parked=retry_parked, model=model or None, judge=judge or None)
    _show(partial(panel, run, k=k, voter=voter, max_samples=max_samples, **operation), as_json)


def _show(call: Callable[..., RunResult], as_json: bool) -> NoReturn:
    """Run, shown while it goes, and exit as its status says."""
    with own_stdout() as out, Shown(as_json, out) as shown:
        result = call(on_launch=shown.launch, on_progress=shown.progress)
        shown.result(result)
    sys.exit(result.exit_code)


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """The real stdout; whatever else writes there meanwhile (Ray does) goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(kept, "w", encoding="utf-8", closefd=False) as out:
            yield out
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def task_input(task: str, file: Path | None) -> list[str]:
    """The file as the task's parameter `input`."""
    from maker import plugins

    if file is None:
        return []
    if not plugins.find(plugins.DECOMPOSERS, task).takes("input"):
        raise UsageError(f"--input {file}: the task {task} reads no file, it has no parameter `input`")
    return [f"input={file.resolve()}"]


def parameters(texts: list[str]) -> dict[str, object]:
    """What `-T` was given, by name."""
    values: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise UsageError(f"-T {text}: expected KEY=VALUE")
        if name in values:
            raise UsageError(f"-T {name}: given twice")
        values[name] = value
    return values
