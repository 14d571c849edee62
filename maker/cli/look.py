"""`maker ls`, `status`, `verify`: which runs there are, where one is, whether it is sound."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from maker import control, place, prices, soundness, summary
from maker.cli.following import progress_line
from maker.cli.progress import retry_line
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.errors import JournalDamagedError, MakerError, UsageError, inert
from maker.nouns import Json
from maker.place import Place, entries
from maker.run_directory import RunDirectory


def ls(
    folder: Annotated[
        Place,
        typer.Argument(parser=place.at, metavar="FOLDER", help="Where the runs are.", envvar="MAKER_STORAGE"),
    ] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder, the oldest first."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: give the one that holds the runs")
    runs = [each for each in entries(folder) if (each / "manifest.json").is_file()]
    for path in sorted(runs, key=str):
        try:
            shown = _status(RunDirectory(path))
        except MakerError as error:
            broken = {"run": str(path), "status": "damaged", "reason": str(error)}
            print(json.dumps(broken) if as_json else f"damaged     {inert(error)}")
            continue
        task, where = inert(shown["task"]), inert(shown["run"])
        line = f"{inert(shown['status']):10}  {shown['steps']:>9,} steps  {task}  {where}"
        print(json.dumps(shown) if as_json else line)


def status(run: Run, as_json: AsJson = False) -> None:
    """Where a run is: read from its headers, without its plug-ins and whoever is writing."""
    directory = RunDirectory(run)
    shown = _status(directory)
    if as_json:
        print(json.dumps(shown))
        return
    for name, value in (_for_people(shown) | _said_of(shown["requests"])).items():
        name = "decided by a person" if name == "by_person" else name
        print(f"{name:>19}  {inert(value, 1000) if isinstance(value, str | int) else json.dumps(value)}")


def _said_of(requests: Json) -> dict[str, Json]:
    """For people: a line a model, and how the limits came about."""
    if requests is None:
        return {"requests": "none yet"}
    models = [
        f"{inert(name)}: {each['used']:g} of {each['limit']} at a time (at most {each['most']}), "
        f"{each['refused'] / max(each['answered'] + each['refused'], 1):.2%} refused"
        for name, each in requests["models"].items()
    ]
    changes = [
        f"{each['at']:.0f} s {each['cause']}" + (f" {each['limit']}" if each["limit"] else "")
        for each in requests["changes"][-8:]
    ]
    return {"requests": "; ".join(models), "limits": ", ".join(changes)}


def _for_people(shown: dict[str, Json]) -> dict[str, Json]:
    """Who owns it, how fast it goes and who tried parked steps again, as a line each."""
    owner, progress = shown["owner"], shown["progress"]
    told = [f"command {each['command']}: parked steps {retry_line(each)}" for each in shown["retries"]]
    shown["retries"] = "; ".join(told) or "none"
    if shown["status"] != "unfinished":
        return shown
    if owner:
        shown["owner"] = "command {command} since {at}, pid {pid} on {host}".format_map(owner)
    if progress:
        shown["progress"] = progress_line(progress)
    return shown


def _owner(commands: list[dict[str, Json]]) -> dict[str, Json] | None:
    """The newest command; whether it is alive only its progress tells."""
    if not commands:
        return None
    return {"command": len(commands), **{name: commands[-1].get(name) for name in ("host", "pid", "at")}}


def _progress(run: RunDirectory, owner: dict[str, Json] | None) -> dict[str, Json] | None:
    """What the owner last said of itself."""
    found = run.progress()
    return found if found and owner and found.get("command") == owner["command"] else None


def _status(run: RunDirectory) -> dict[str, Json]:
    manifest, found = run.manifest(), summary.summarise(run)
    state, reason = summary.status(run, found)
    holds = control.settled(run.controls())
    totals = found.totals.to_json()
    commands = run.commands()
    owner = _owner(commands)
    retries = [{"command": n, **each["retry"]} for n, each in enumerate(commands, 1) if "retry" in each]
    return {
        "run": str(run.path),
        "status": "paused" if state == "unfinished" and holds.paused else state,
        "reason": reason,
        "owner": owner,
        "progress": _progress(run, owner) if state == "unfinished" else None,
        "task": manifest.task.spec,
        "models": [model.spec for model in manifest.models],
        "judges": [judge.spec for judge in manifest.judges],
        "retries": retries,
        **totals,
        "journal_bytes": run.size(),
        "cost": prices.money(summary.prices_given(run), found.totals),
        "segments_finished": found.finished,
        "segments_going": len(found.going),
        "segments_waiting": found.waiting,
        "parked": found.parked,
        "epochs": found.epochs,
        "requests": run.limits(),
    }


def verify(
    run: Run,
    task: Annotated[
        bool, typer.Option("--task", help="Also let its task stitch and judge it: imports the plug-in.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check RUN: bytes and digests, the order of steps, every vote's sample, what headers say.

    Exit code 6 names the place of the first thing that does not check out; with --task, 1 if it says no.
    """
    directory = RunDirectory(run)
    directory.manifest()
    checked = asdict(soundness.check(directory))
    summary.check_result(directory, summary.summarise(directory))
    if as_json:
        print(json.dumps({"event": "verified", "run": str(run), **checked}))
    else:
        print(", ".join(f"{count:,} {what}" for what, count in checked.items()) + ": all check out")
    if task:
        _judge(run, as_json)


def _judge(run: Place, as_json: bool) -> None:
    from maker import review

    found = review.judge(run)
    ended = RunDirectory(run).result()
    if ended and ended["status"] == "done" and ended.get("result") != found.result:
        raise JournalDamagedError(
            f"{run}: its result.json holds another result than its lanes give: remove it, and resume"
        )
    good = found.verdict is True or found.verdict is None
    where = f" at step {found.last}" if found.last else ""
    reason = None if good else inert(found.verdict or "the task says no", 1000) + where
    if as_json:
        verified = None if found.verdict is None else good
        line = {"event": "judged", "verified": verified, "step": None if good else found.last}
        print(json.dumps({**line, "reason": reason, "result": found.result}))
    elif found.verdict is None:
        print("the segments fit together; the task has no judge")
    else:
        print("the task says yes" if good else f"not verified: {reason}")
    sys.exit(0 if good else 1)
