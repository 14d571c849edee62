"""`maker replay`: a recorded run decided again, by its own panel, by another one, or by asking anew."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from maker.chapters import Selection
from maker.cli import live as live_replay
from maker.cli import shown
from maker.cli.offline import go_offline
from maker.cli.operational import BaseUrl, GiveUpAfter
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.cli.steps import Range, parse_step, selected
from maker.errors import UsageError
from maker.nouns import Json
from maker.place import Place
from maker.run_directory import RunDirectory
from maker.steps import parked as parked_steps

if TYPE_CHECKING:
    from maker.replay import Replayed
    from maker.whatif import Outcome

K = Annotated[int | None, typer.Option("--k", "-k", help="Another lead.")]
RuleName = Annotated[str | None, typer.Option("--voter", help="Another rule.")]


def replay(
    run: Run,
    step: Annotated[str | None, typer.Option(metavar="SEGMENT:INDEX", help="This step alone.")] = None,
    between: Range = None,
    k: K = None,
    voter: RuleName = None,
    red_flags: Annotated[str | None, typer.Option(help="Other red-flag rules.")] = None,
    changed: Annotated[
        bool, typer.Option("--import", help="Import plug-ins although their files have changed since.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Ask again, contested and flagged steps unless told others.")
    ] = False,
    model: Annotated[list[str] | None, typer.Option(help="With --live: other models.")] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="With --live: other judges; `none`: the models.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="With --live: of the new seats.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Rows shown, steps asked with --live: 20; with --json all rows of a replay.", min=1
        ),
    ] = None,
    base_url: BaseUrl = None,
    give_up_after: GiveUpAfter = None,
    as_json: AsJson = False,
) -> None:
    """Decide RUN again from its recorded samples, offline; exit code 1 if a decision differs.

    With --k, --voter or --red-flags: what that would have decided from the same samples, and how many it
    would have saved or missed. With --live a panel of today is asked at each step. Nothing is written.
    """
    from maker import asked

    rule, selection = asked.rule(k, voter), _selection(step, between, live)
    if live:
        from maker.review import Instead

        options = {"base_url": base_url, "give_up_after": give_up_after}
        told = {name: value for name, value in options.items() if value is not None}
        instead = Instead(model, judge, rule, red_flags, seed)
        live_replay.ask_again(run, selection, limit or shown.ROWS, as_json, instead, told)
        return
    if model or judge or seed is not None:
        raise UsageError("--model, --judge and --seed ask anew: give them with --live")
    go_offline()
    if rule is None and red_flags is None:
        _decide_again(run, selection, changed, limit, as_json)
    else:
        _what_if(run, rule, red_flags, selection, limit, as_json)


def _selection(step: str | None, between: str | None, live: bool) -> Selection:
    if step is not None and between is not None:
        raise UsageError("give --step or --range, not both")
    if step is not None:
        segment, index = parse_step(step)
        return Selection(segment, index, index + 1)
    if between is None and live:
        return Selection(sorts=("contested", "flagged"), of_sorts=any)
    return selected(between)


# -- by its own panel -----------------------------------------------------------------------------


def _decide_again(run: Place, selection: Selection, changed: bool, limit: int | None, as_json: bool) -> None:
    from maker import review

    steps, table = 0, shown.Table(as_json, limit, shown.heading("recorded", "decided now"))
    by_person: list[str] = []
    copied = 0
    for each in review.decided_again(run, selection, changed):
        copied += each.copied
        steps += not (each.by_person or each.copied)
        if each.copied:
            continue
        if each.by_person:
            by_person.append(f"{each.recorded['segment']}:{each.recorded['step']}")
        elif not each.same:
            table.add(_different(each), _different_row(each))
    parked = sum(1 for _ in parked_steps(RunDirectory(run), selection))
    _check_there(run, selection, steps + len(by_person) + copied + parked)
    summary = {"event": "replayed", "steps": steps, "different": table.rows, "by_person": by_person}
    summary["copied"] = copied
    text = f"{steps - table.rows:,} of {steps:,} decisions are byte-identical"
    text += f"; decided by a person: {', '.join(by_person)}" if by_person else ""
    text += f"; {copied:,} copied by the fork: replay the run that it is of" if copied else ""
    text += f"; {parked:,} parked, with no decision to compare: replay --live asks again" if parked else ""
    table.end(summary | {"parked": parked}, text)
    sys.exit(1 if table.rows else 0)


def _check_there(run: Place, selection: Selection, found: int) -> None:
    if selection.segment is not None and not found:
        raise UsageError(f"{run} has no record of step {selection.segment}:{selection.first}")


def _different(each: Replayed) -> dict[str, Json]:
    place = {"segment": each.recorded["segment"], "index": each.recorded["step"]}
    sides = {"recorded": each.recorded, "derived": each.derived}
    return {"event": "different", **place, **sides, "reason": each.reason}


def _different_row(each: Replayed) -> str:
    recorded = shown.cell(shown.winner(each.recorded), shown.votes(each.recorded))
    derived = each.reason or shown.cell(
        shown.winner(each.derived), shown.votes(each.derived or {"votes": []})
    )
    return shown.row(each.recorded["segment"], each.recorded["step"], recorded, derived)


# -- by another voter or other flags --------------------------------------------------------------


def _what_if(
    run: Place,
    rule: str | None,
    red_flags: str | None,
    selection: Selection,
    limit: int | None,
    as_json: bool,
) -> None:
    from maker import review

    summed: Counter[str] = Counter()
    table = shown.Table(as_json, limit, shown.heading("recorded", "what if") + "  samples")
    for outcome in review.what_if(run, rule, red_flags, selection):
        summed.update(_counts(outcome))
        if outcome.changed:
            table.add(_changed(outcome), _changed_row(outcome))
    _check_there(run, selection, summed["steps"])
    totals = {name: summed[name] for name in _COUNTS}
    text = (
        f"{summed['steps']:,} steps, {summed['samples']:,} samples: {summed['saved']:,} saved, "
        f"{summed['changed']:,} other winners, {summed['undecided']:,} undecided for want of at least "
        f"{summed['missing']:,} samples; {summed['flagged']:,} flagged, recorded "
        f"{summed['recorded_flagged']:,}"
    )
    parked = f"; of {summed['parked']:,} parked, {summed['decided']:,} would have been decided"
    table.end({"event": "what_if", **totals}, text + parked * bool(summed["parked"]))


_COUNTS = (
    *("steps", "samples", "saved", "changed", "undecided", "missing", "flagged", "recorded_flagged"),
    *("parked", "decided"),
)


def _counts(outcome: Outcome) -> dict[str, int]:
    """Those of `_COUNTS` for one step; `changed` and `undecided` are of decided ones, `decided` of parked."""
    won = outcome.winner is not None
    return {
        "steps": 1,
        "samples": outcome.samples,
        "saved": outcome.samples - outcome.used,
        "changed": outcome.changed and won and not outcome.parked,
        "undecided": not won and not outcome.parked,
        "missing": outcome.missing,
        "flagged": outcome.flagged,
        "recorded_flagged": sum(shown.flags(outcome.recorded).values()),
        "parked": outcome.parked,
        "decided": won and outcome.parked,
    }


def _changed(outcome: Outcome) -> dict[str, Json]:
    record = outcome.recorded
    flagged = sum(shown.flags(record).values())
    recorded = {"winner": shown.winner(record), "votes": shown.votes(record), "flagged": flagged}
    other = {"winner": outcome.winner, "votes": outcome.votes, "flagged": outcome.flagged}
    samples = {"samples": outcome.samples, "saved": outcome.samples - outcome.used}
    place = {"segment": record["segment"], "index": record["step"]}
    sides = {"recorded": recorded, "what_if": other}
    return {"event": "changed", **place, **sides, **samples, "missing": outcome.missing}


def _changed_row(outcome: Outcome) -> str:
    record, saved = outcome.recorded, outcome.samples - outcome.used
    samples = f"{outcome.missing} missing" if outcome.missing else f"{saved} of {outcome.samples} saved"
    recorded = shown.cell(shown.winner(record), shown.votes(record))
    other = shown.cell(outcome.winner, outcome.votes)
    return shown.row(record["segment"], record["step"], recorded, other, samples)
