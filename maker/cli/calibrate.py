"""`maker calibrate`: how often a model is wrong at the steps of a task, and how sure that is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from maker import calibration_picture, place
from maker.cli import outputs
from maker.cli.operational import operational
from maker.cli.progress import Shown
from maker.cli.run import AsJson, Input, Parameter, own_stdout, parameters, task_input
from maker.errors import UsageError, inert
from maker.operation import Operational
from maker.place import Place

if TYPE_CHECKING:
    from maker.calibration import Calibration, Kind, Mean, Share

KINDS = 12
"""That are shown; the file has all."""


@operational
def calibrate(
    context: typer.Context,
    task: Annotated[
        str | None, typer.Argument(help="A task: a name, package.module:Name or file.py:Name.")
    ] = None,
    parameter: Parameter = None,
    input: Input = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            envvar="MAKER_MODEL", help="As for `maker run`; more than one is a panel, drawn in turn."
        ),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="Who votes on whether two answers are the same. Those of --model."),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="Steps to sample.")] = 1000,
    draws: Annotated[
        int, typer.Option(min=1, help="Samples of each step; rho needs 2, and 3 tell more.")
    ] = 3,
    each_kind: Annotated[
        int,
        typer.Option(min=0, help="Beyond --steps, more of rare kinds of steps: at least so many of each."),
    ] = 0,
    red_flags: Annotated[
        str, typer.Option(help="Rules joined by |, such as truncated|too_long:tokens=700|refusal.")
    ] = "truncated",
    seed: Annotated[int, typer.Option(help="Which steps, and every seat's seed.", envvar="MAKER_SEED")] = 0,
    run_dir: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE", help="Where the samples are kept; one that holds this calibration goes on."
        ),
    ] = None,
    of_run: Annotated[
        Place | None,
        typer.Option(
            "--from",
            parser=place.at,
            metavar="RUN",
            help="Draw nothing: measure the votes of a run, in place of TASK.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            callback=outputs.in_a_folder, help="What `maker plan` reads; a picture lies beside it as .svg."
        ),
    ] = Path("calibration.json"),
    *,
    operation: Operational,
    as_json: AsJson = False,
) -> None:
    """Sample steps of TASK: how often the model is wrong, flagged, and wrong twice, with 95 % intervals.

    Answers are held against the task's own truth, or where it has none against what most samples say. It is a
    run: killed, the same command with the same --run-dir goes on.
    """
    from maker import calibrator

    if (task is None) == (of_run is None):
        raise UsageError("give a TASK to sample steps of, or --from RUN, and not both")
    if of_run is not None and (others := _given(context) - {"--from", "--out", "--json"}):
        raise UsageError(f"--from draws nothing, leave out {', '.join(sorted(others))}")
    with own_stdout() as stdout, Shown(as_json, stdout) as shown:
        if of_run is not None:
            code, found, where = 0, calibrator.of_run(of_run), str(of_run)
        else:
            assert task is not None
            params = parameters([*(parameter or []), *task_input(task, input)])
            ask = partial(calibrator.calibrate, task, params=params, model=model or None, judge=judge or None)
            told = partial(ask, on_launch=shown.launch, on_progress=shown.progress)
            more = {"steps": steps, "draws": draws, "each_kind": each_kind, "red_flags": red_flags}
            more |= {"seed": seed, "run_dir": run_dir}
            result, found = told(**more, **operation)
            shown.result(result)
            code, where = 0 if result.status == "parked" and found else result.exit_code, result.run
        if found is None:
            print(f"maker: {where} has not two steps with all their samples yet", file=sys.stderr)
            sys.exit(code or 1)
        _keep(found, out)
        if as_json:
            print(json.dumps({"event": "calibration", **found.model_dump(mode="json")}), file=stdout)
        else:
            _show(found, Console(file=stdout, highlight=False), out)
    sys.exit(code)


def _given(context: typer.Context) -> set[str]:
    """Names of the options on the command line."""
    sources = {each.opts[-1]: context.get_parameter_source(str(each.name)) for each in context.command.params}
    return {option for option, source in sources.items() if source and source.name == "COMMANDLINE"}


def _keep(found: Calibration, out: Path) -> None:
    out.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".svg").write_text(calibration_picture.svg(found), encoding="utf-8")


def _show(found: Calibration, console: Console, out: Path) -> None:
    held = "the task's own truth" if found.truth == "verifier" else "what most samples of a step say"
    console.print(Text(f"{found.steps:,} steps, {found.draws} samples each, held against {held}"))
    table = Table("", "seen", "of", "share", "95 % interval", box=None, padding=(0, 2, 0, 0))
    for words, share in calibration_picture.shares(found).items():
        table.add_row(words, *_share(share))
    table.add_row("same wrong answer, of wrong votes", *_share(found.same))
    for words, mean, digits in (
        ("rho of two votes", found.rho, 3),
        ("tokens in", found.tokens_in, 1),
        ("tokens out", found.tokens_out, 1),
        ("latency, seconds", found.latency, 3),
    ):
        unknown = mean is found.rho and not found.again.of
        table.add_row(words, "", "", *_mean(mean, digits, unknown))
    console.print(table)
    if found.kinds:
        console.print(_of_kinds(found.kinds))
    if found.flags:
        flags = ", ".join(f"{reason} {count:,}" for reason, count in found.flags.items())
        console.print(Text(f"red flags: {flags}"))
    console.print(Text(f"not seen: {found.hidden}"), soft_wrap=True)
    console.print(Text(f"kept in {out} and {out.with_suffix('.svg')}"), soft_wrap=True)


def _of_kinds(kinds: Sequence[Kind]) -> Table:
    """Those first whose majority is wrong most often, then those that are right most seldom."""
    names = ("kind of steps", "steps", "wrong votes", "95 % interval", "flagged", "wrong majority")
    table = Table(*names, box=None, padding=(0, 2, 0, 0))
    worst = sorted(kinds, key=lambda kind: (-kind.majority_wrong.count, kind.right, kind.name))
    for kind in worst[:KINDS]:
        flagged = f"{1 - kind.valid.value:.3g}" if kind.valid.of else "-"
        row = (f"{kind.steps:,}", *_share(kind.error)[2:], flagged, f"{kind.majority_wrong.count:,}")
        table.add_row(Text(inert(kind.name, 40)), *row)
    if len(worst) > KINDS:
        table.add_row(f"and {len(worst) - KINDS:,} more")
    return table


def _share(share: Share) -> tuple[str, str, str, str]:
    value = f"{share.value:.4g}" if share.of else "-"
    return f"{share.count:,}", f"{share.of:,}", value, f"{share.low:.3g} to {share.high:.3g}"


def _mean(mean: Mean, digits: int, unknown: bool) -> tuple[str, str]:
    value = "-" if unknown else f"{mean.value:,.{digits}f}"
    return value, f"{mean.low:,.{digits}f} to {mean.high:,.{digits}f}"
