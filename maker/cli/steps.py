"""`maker steps RUN`: every step of a run with its votes and flags, in segment and index order."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory
from maker.steps import in_order


def steps(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a step.")] = False,
) -> None:
    """List the steps of RUN; its plug-ins are not imported."""
    directory = RunDirectory(run)
    directory.manifest()
    for record in in_order(directory):
        shown = _step(record)
        sys.stdout.write((json.dumps(shown) if as_json else _line(shown)) + "\n")
    sys.stdout.flush()


def _step(record: Record) -> dict[str, Json]:
    decided = record["kind"] == "decision"
    votes = {votes["key"]: len(votes["draws"]) for votes in record["votes"]}
    flags = {flags["reason"]: len(flags["draws"]) for flags in record["flags"]}
    return {
        "segment": record["segment"],
        "index": record["step"],
        "status": "decided" if decided else "parked",
        "answer": record["answer"] if decided else None,
        "votes": votes,
        "flags": flags,
        "samples": sum(votes.values()) + sum(flags.values()),
    } | ({} if decided else {"reason": record["reason"]})


def _line(step: dict[str, Json]) -> str:
    """One line for people; JSON escapes make any model text inert."""
    votes = "-".join(str(count) for count in step["votes"].values()) or "0"
    flags = f"  flags {json.dumps(step['flags'])}" if step["flags"] else ""
    said = (
        json.dumps(step["answer"]) if step["status"] == "decided" else f"parked: {json.dumps(step['reason'])}"
    )
    return f"{step['segment']}:{step['index']}  {votes}  {said}{flags}"
