"""`maker plan TASK --calibration F`: k, votes, tokens, money and time of the whole task; what to buy."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maker.cli import outputs
from maker.cli.run import AsJson, parameters
from maker.errors import UsageError, inert

if TYPE_CHECKING:
    from maker.calibration import Calibration
    from maker.choices import Choices
    from maker.plan import Plan


def plan(
    task: Annotated[str, typer.Argument(help="The task that was calibrated.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-T", metavar="KEY=VALUE", help="A parameter other than as calibrated, such as its size."
        ),
    ] = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="What `maker calibrate` wrote; several are compared."),
    ] = None,
    target: Annotated[float, typer.Option(help="Probability with which all steps shall end right.")] = 0.95,
    confidence: Annotated[float, typer.Option(help="Of each bound: k comes from these.")] = 0.99,
    budget: Annotated[float | None, typer.Option(help="Money for the whole task, by --price.")] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL=]IN,OUT[,CACHED]",
            help="What a million prompt and response tokens cost; repeatable, once a model.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the whole task, where it does not say so itself.")
    ] = None,
    segments: Annotated[int, typer.Option(min=1, help="Chains that run at a time.")] = 1,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg", callback=outputs.svg, help="Draw cost by length, a line each calibration."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan TASK from calibrations: the k that reaches the target, and what that takes."""
    from maker import calibration as calibrations
    from maker import choices, plan_picture
    from maker.plan import Aim

    read = [calibrations.read(each) for each in calibration or ()]
    if not read:
        raise UsageError("give what `maker calibrate` wrote: --calibration calibration.json")
    choices.check_alike(read)
    aim = Aim(target, confidence, budget, segments)
    table = choices.read_prices(price or [], read)
    if budget is not None and not table:
        raise UsageError("--budget needs the price of every model: give --price IN,OUT or MODEL=IN,OUT")
    lengths = [steps or _length(task, parameter or [], each) for each in read]
    if len(set(lengths)) > 1:
        sizes = " and ".join(f"{length:,.0f}" for length in lengths)
        raise UsageError(
            f"the calibrations are of {sizes} steps: say which by -T (such as disks=20) or --steps"
        )
    found = choices.compare(list(zip(read, lengths, strict=True)), aim, table)
    if picture is not None:
        picture.write_text(plan_picture.svg(found), encoding="utf-8")
    for line in _json(found) if as_json else _text(found):
        print(line)
    sys.exit(0 if found.best else 1)


def _length(task: str, given: Sequence[str], calibration: Calibration) -> float:
    """Steps of the task as it was calibrated, with the parameters that are given now."""
    from maker import asked, planned, plugins

    if asked.source(plugins.DECOMPOSERS, task) != calibration.task:
        raise UsageError(
            f"{task} is not what was calibrated, {calibration.task.spec}, or its file has changed since: "
            "calibrate it again"
        )
    typed = {**calibration.parameters, **parameters([*given])}
    models = [each.spec for each in calibration.models]
    flags = "|".join(each.spec for each in calibration.red_flags) or "none"
    manifest = asked.manifest(task, typed, models, None, None, flags, 0, 1)
    return planned.length(manifest, calibration)


# -- how it is shown --------------------------------------------------------------------------------


def _json(found: Choices) -> Iterator[str]:
    for event, plans in (("plan", found.measured), ("supposed", found.supposed)):
        yield from (json.dumps({"event": event, **each.to_json()}) for each in plans)
    yield json.dumps({"event": "choice", **found.to_json()})


def _text(found: Choices) -> Iterator[str]:
    for each in found.measured:
        yield from _one(each)
        yield ""
    rows = [*found.measured, *_cheaper(found)]
    if len(rows) > 1:
        yield from _table(rows)
        yield ""
    if found.best:
        yield "chains at a time  " + "  ".join(
            f"{clock.segments}: {_time(clock.seconds)} ({_time(clock.seconds_ahead)})"
            for clock in found.clocks
        )
        yield f"best: {inert(found.best.offer.name)}, --k {found.best.k}"
    yield from (f"- {inert(note, 500)}" for note in found.notes)


def _cheaper(found: Choices) -> list[Plan]:
    """Of what was not measured, that which would do with less than the best; JSON has the rest."""
    from maker.choices import price

    most = price(found.best) if found.best else math.inf
    return [each for each in found.supposed if each.k and price(each) < most]


def _one(each: Plan) -> Iterator[str]:
    """All that is planned of one calibration."""
    offer, aim = each.offer, each.aim
    yield f"{inert(offer.name)}, {offer.steps:,.0f} steps, to end right with probability {aim.target:g}"
    bound = f"at most {offer.error_bound:.3g} ({aim.confidence:.0%} sure)"
    rows = {"error of a vote": f"{offer.error:.3g} seen, {bound}", "k": f"{each.k or 'none'}"}
    if each.k:
        rows["k"] += f" (by the error as seen {each.k_seen or 'none'}, which may be too small)"
        rows["success"] = (
            f"{each.success:.4g} at these bounds if no step mostly goes wrong; "
            f"{each.success_certain:.2g} certified"
        )
        rows["votes"] = (
            f"{each.votes:,.0f} ({each.votes / offer.steps:.4g} a step), {each.samples:,.0f} samples"
        )
        rows["tokens"] = f"{each.tokens_in:,.0f} in, {each.tokens_out:,.0f} out"
        rows["cost"] = _money(each)
        rows["time"] = f"{_time(each.seconds)}; {_time(each.seconds_ahead)} with a wide --window"
    if each.escalation:
        first, lead, votes = each.escalation.unanimous, each.escalation.lead, each.escalation.votes_per_step
        rows["fewer votes"] = f"{first} unanimous, else a lead of {lead}: {votes:.4g} a step"
    yield from (f"{name:>16}  {text}" for name, text in rows.items())
    yield from (f"{'warning':>16}  {inert(warning, 500)}" for warning in each.warnings)


def _table(plans: Sequence[Plan]) -> Iterator[str]:
    names = [inert(each.offer.name, 48) + ("" if each.offer.sampled else " *") for each in plans]
    width = max(map(len, names))
    yield f"{'':{width}}  {'error':>9}  {'bound':>9}  {'k':>4}  {'votes/step':>10}  {'cost':>12}  {'time':>8}"
    for name, each in zip(names, plans, strict=True):
        offer = each.offer
        votes = "-" if each.k is None else f"{each.votes / offer.steps / offer.per_call:.4g}"
        time = _time(each.seconds)
        yield (
            f"{name:{width}}  {offer.error:9.3g}  {offer.error_bound:9.3g}  {each.k or '-':>4}  "
            f"{votes:>10}  {_money(each):>12}  {time:>8}"
        )
    if any(not each.offer.sampled for each in plans):
        yield "* not measured: put together from the others"


def _money(each: Plan) -> str:
    return "-" if each.cost is None or math.isnan(each.cost) else f"{each.cost:,.2f}"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
