"""`maker steps RUN`: every step of a run with its votes and flags, in segment and index order."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from maker.errors import UsageError
from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory
from maker.steps import in_order


def steps(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    contested: Annotated[bool, typer.Option("--contested", help="With votes for several answers.")] = False,
    flagged: Annotated[bool, typer.Option("--flagged", help="With red flags.")] = False,
    parked: Annotated[bool, typer.Option("--parked", help="That wait.")] = False,
    between: Annotated[
        str | None, typer.Option("--range", metavar="A:B", help="Indices A to B - 1 of each segment.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a step.")] = False,
) -> None:
    """List the steps of RUN, or those that all given filters let through; its plug-ins are not imported."""
    directory = RunDirectory(run)
    directory.manifest()
    first, end = _bounds(between)
    for record in in_order(directory):
        shown = _step(record)
        wanted = (not contested or len(shown["votes"]) > 1) and (not flagged or shown["flags"])
        if not wanted or (parked and shown["status"] != "parked") or not first <= shown["index"] < end:
            continue
        sys.stdout.write((json.dumps(shown) if as_json else _line(shown)) + "\n")
    sys.stdout.flush()


def parse_step(text: str) -> tuple[str, int]:
    """SEGMENT:INDEX as a pair."""
    segment, colon, index = text.rpartition(":")
    if not (colon and segment and index.isdecimal()):
        raise UsageError(f"{text!r} is no step, expected SEGMENT:INDEX, such as 0:17")
    return segment, int(index)


def _bounds(text: str | None) -> tuple[int, float]:
    if text is None:
        return 0, math.inf
    first, colon, end = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, end)):
        raise UsageError(f"--range {text}: expected A:B, such as 100:200")
    return int(first or 0), int(end) if end else math.inf


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
    } | {name: record[name] for name in ("by", "reason") if name in record}


def _line(step: dict[str, Json]) -> str:
    """One line for people; JSON escapes make any model text inert."""
    votes = "-".join(str(count) for count in step["votes"].values()) or "0"
    flags = f"  flags {json.dumps(step['flags'])}" if step["flags"] else ""
    said = (
        json.dumps(step["answer"]) if step["status"] == "decided" else f"parked: {json.dumps(step['reason'])}"
    )
    person = "  decided by a person" if "by" in step else ""
    return f"{step['segment']}:{step['index']}  {votes}  {said}{flags}{person}"
