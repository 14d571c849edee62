"""`maker steps RUN`: every step of a run with its votes and flags, in segment and index order."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

import typer

from maker import steps as stepping
from maker.chapters import Selection
from maker.cli import shown
from maker.cli.runs import Run
from maker.errors import UsageError, inert
from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory

Range = Annotated[
    str | None, typer.Option("--range", metavar="A:B", help="Indices A to B - 1 of each segment.")
]
SLOWEST = 20
"""Steps that --slow lists unless told otherwise."""


def steps(
    run: Run,
    contested: Annotated[bool, typer.Option("--contested", help="With votes for several answers.")] = False,
    flagged: Annotated[bool, typer.Option("--flagged", help="With red flags.")] = False,
    parked: Annotated[bool, typer.Option("--parked", help="That wait.")] = False,
    between: Range = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="The slowest first: by the seconds of all samples of a step.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="So many at most (20 with --slow).", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a step.")] = False,
) -> None:
    """List the steps of RUN, or those that all given filters let through; its plug-ins are not imported."""
    directory = RunDirectory(run)
    directory.manifest()
    sorts = [name for name, given in (("contested", contested), ("flagged", flagged)) if given]
    found = _found(directory, selected(between, *sorts), parked, (limit or SLOWEST) if slow else None)
    for line in islice(found, limit):
        sys.stdout.write((json.dumps(line) if as_json else _line(line)) + "\n")
    sys.stdout.flush()


def parse_step(text: str) -> tuple[str, int]:
    """SEGMENT:INDEX as a pair."""
    segment, colon, index = text.rpartition(":")
    if not (colon and segment and index.isdecimal()):
        raise UsageError(f"{text!r} is no step, expected SEGMENT:INDEX, such as 0:17")
    return segment, int(index)


def selected(between: str | None, *sorts: str) -> Selection:
    """The steps that --range and filters name."""
    if between is None:
        return Selection(sorts=sorts)
    first, colon, end = between.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, end)):
        raise UsageError(f"--range {between}: expected A:B, such as 100:200")
    begin, stop = int(first or 0), int(end) if end else math.inf
    if begin >= stop:
        raise UsageError(f"--range {between}: no step is between them, expected A less than B")
    return Selection(first=begin, end=stop, sorts=sorts)


def _found(
    run: RunDirectory, selection: Selection, parked: bool, slowest: int | None
) -> Iterator[dict[str, Json]]:
    if slowest is not None and not parked:
        for seconds, record in stepping.longest(run, slowest, selection):
            yield _step(record) | {"seconds": round(seconds, 6)}
        return
    records: Iterable[Record] = (
        stepping.parked(run, selection) if parked else stepping.in_order(run, selection)
    )
    yield from map(_step, records)


def _step(record: Record) -> dict[str, Json]:
    decided = record["kind"] == "decision"
    votes, flags = shown.votes(record), shown.flags(record)
    return {
        "segment": record["segment"],
        "index": record["step"],
        "status": "decided" if decided else "parked",
        "answer": record["answer"] if decided else None,
        "votes": votes,
        "flags": flags,
        "samples": sum(votes.values()) + sum(flags.values()),
    } | {name: record[name] for name in ("by", "children", "reason") if name in record}


def _line(step: dict[str, Json]) -> str:
    """One line for people; JSON escapes make any model text inert."""
    votes = "-".join(str(count) for count in step["votes"].values()) or "0"
    flags = f"  flags {json.dumps(step['flags'])}" if step["flags"] else ""
    took = f"  {step['seconds']:.3f} s in {step['samples']} samples" if "seconds" in step else ""
    said = (
        json.dumps(step["answer"]) if step["status"] == "decided" else f"parked: {json.dumps(step['reason'])}"
    )
    return f"{inert(step['segment'])}:{step['index']}  {votes}{took}  {said}{flags}{shown.how(step)}"
