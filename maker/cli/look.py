"""`maker ls`, `status`, `show`, `verify`, `replay`, `fork`: what a run is, was, and could have been."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from maker import chunks, journal, plugins, records, summary, whatif
from maker.cli.run import AsJson
from maker.cli.steps import parse_step
from maker.errors import UsageError
from maker.nouns import Json
from maker.run_directory import RunDirectory
from maker.voter import Voter

Run = Annotated[Path, typer.Argument(help="The run's directory.")]


def ls(
    folder: Annotated[Path, typer.Argument(help="Where the runs are.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder, the oldest first."""
    for path in sorted(folder.glob("*/manifest.json")):
        shown = _status(RunDirectory(path.parent))
        line = f"{shown['status']:10}  {shown['steps']:>9,} steps  {shown['task']}  {shown['run']}"
        print(json.dumps(shown) if as_json else line)


def status(run: Run, as_json: AsJson = False) -> None:
    """Where a run is: read from its headers, without its plug-ins and whoever is writing."""
    directory = RunDirectory(run)
    shown = _status(directory)
    if as_json:
        print(json.dumps(shown))
        return
    for name, value in shown.items():
        name = "decided by a person" if name == "by_person" else name
        print(f"{name:>19}  {value if isinstance(value, str | int) else json.dumps(value)}")


def _status(run: RunDirectory) -> dict[str, Json]:
    manifest, found = run.manifest(), summary.summarise(run)
    state, reason = summary.status(run, found)
    totals = found.totals.to_json()
    return {
        "run": str(run.path),
        "status": state,
        "reason": reason,
        "task": manifest.task.spec,
        "models": [model.spec for model in manifest.models],
        **totals,
        "segments_finished": found.finished,
        "segments_going": len(found.going),
        "parked": found.parked,
        "epochs": found.epochs,
    }


def show(
    run: Run, step: Annotated[str, typer.Argument(help="SEGMENT:INDEX")], as_json: AsJson = False
) -> None:
    """Every sample of a step with its seat, its vote or flag; model text is shown escaped."""
    directory = RunDirectory(run)
    directory.manifest()
    name, index = parse_step(step)
    shown = list(_step(directory, name, index))
    if not shown:
        raise UsageError(f"{run} has no record of step {step}")
    for line in shown:
        print(json.dumps(line))


def _step(run: RunDirectory, name: str, index: int) -> list[dict[str, Json]]:
    """The step's samples, each with what became of it, then its decision or park."""
    mark = f'"segment":"{name}","step":{index},'.encode()
    for lane in run.lanes():
        found: list[records.Record] = []
        for chunk, offset, line in journal.scan(run.lane(lane), ("sample", "decision", "event")):
            if mark in line[:200]:
                found.append(chunks.decode(chunk, offset, line))
        if found:
            return _fates(found)
    return []


def _fates(found: list[records.Record]) -> list[dict[str, Json]]:
    """Samples, then what was asked, by which panel instead of the run's, and what came of it."""
    verdicts = [record for record in found if "votes" in record]
    prompts, amends = ([each for each in found if each.get("event") == name] for name in ("prompt", "amend"))
    last = verdicts[-1] if verdicts else {"votes": [], "flags": []}
    fate = {draw: f"vote {votes['key']}" for votes in last["votes"] for draw in votes["draws"]}
    fate |= {draw: f"flag {flags['reason']}" for flags in last["flags"] for draw in flags["draws"]}
    samples = [record for record in found if record["kind"] == "sample"]
    open_or_late = "surplus" if verdicts else "open"
    fated = [{**sample, "became": fate.get(sample["draw"], open_or_late)} for sample in samples]
    return [*fated, *prompts[-1:], *amends, *verdicts[-1:]]


def fork(
    run: Run,
    at: Annotated[str, typer.Option(help="SEGMENT:INDEX: the first step that is decided anew.")],
    run_dir: Annotated[Path, typer.Option(help="The new run's directory.")],
    model: Annotated[list[str] | None, typer.Option(help="Other models.")] = None,
    k: Annotated[int | None, typer.Option("--k", "-k", help="Another lead.")] = None,
    voter: Annotated[str | None, typer.Option(help="Another rule.")] = None,
    red_flags: Annotated[str | None, typer.Option(help="Other rules.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start a new run from a step of RUN, with another panel if told so; `maker resume` takes it on."""
    from maker import api

    rule = _rule(k, voter)
    copied = api.fork(run, parse_step(at), run_dir, model=model, voter=rule, red_flags=red_flags, seed=seed)
    line = {"event": "forked", "run": str(run_dir), "at": at, "steps": copied}
    print(json.dumps(line) if as_json else f"{copied:,} steps copied; go on with: maker resume {run_dir}")


def _rule(k: int | None, voter: str | None) -> str | None:
    """The voter that --k or --voter names, if either is given."""
    if k is not None and voter is not None:
        raise UsageError("give --k or --voter, not both")
    return voter if k is None else f"ahead_by_k:k={k}"


def _show_what_if(found: whatif.WhatIf, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": "what_if", **asdict(found)}))
        return
    print(f"{found.steps:,} steps, {found.samples:,} samples: {found.saved:,} would have been saved")
    print(f"{len(found.changed):,} other winners: {', '.join(found.changed[:20])}")
    print(f"{len(found.undecided):,} undecided, at least {found.missing:,} samples missing")


def verify(run: Run, as_json: AsJson = False) -> None:
    """Check every line's checksum and every chunk's digest."""
    directory = RunDirectory(run)
    directory.manifest()
    checked = {lane: journal.verify(directory.lane(lane)) for lane in directory.lanes()}
    line = {"event": "verified", "run": str(run), "lanes": len(checked), "chunks": sum(checked.values())}
    print(json.dumps(line) if as_json else f"{line['chunks']} chunks of {line['lanes']} lanes check out")


def replay(
    run: Run,
    k: Annotated[int | None, typer.Option("--k", "-k", help="What if the lead had been this?")] = None,
    voter: Annotated[str | None, typer.Option(help="What if this rule had decided?")] = None,
    changed: Annotated[
        bool, typer.Option("--import", help="Import plug-ins although their files have changed since.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide the run again from its recorded samples, offline; exit code 1 if a decision differs.

    With --k or --voter: what that would have decided, and the samples it would have saved or missed.
    """
    from maker import api

    if (rule := _rule(k, voter)) is not None:
        other: Voter = plugins.find(plugins.VOTERS, rule).make()
        _show_what_if(whatif.what_if(RunDirectory(run), other), as_json)
        return
    found = api.replay(run, changed)
    voted = found.steps - len(found.by_person)
    same = voted - len(found.different)
    if as_json:
        print(json.dumps({"event": "replayed", **asdict(found)}))
    else:
        print(f"{same:,} of {voted:,} decisions are byte-identical")
        for step in found.by_person:
            print(f"  decided by a person: {step}")
        for step in found.different[:20]:
            print(f"  differs: {step}")
    sys.exit(1 if found.different else 0)
