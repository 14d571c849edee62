"""The open step of every unfinished segment, as the newest chunk of its lane says; no plug-in is imported.

Invariant: the heads are those that a resume would find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from maker import history
from maker.amendment import Amendment
from maker.records import Record
from maker.run_directory import RunDirectory


@dataclass(slots=True)
class Head:
    segment: str
    index: int = 0
    drawn: int = 0
    """Samples of the step."""
    park: Record | None = None
    """Why it waits, if it is parked."""
    amendment: Amendment | None = None
    children: int = 0
    """How many segments it waits for."""


def heads(run: RunDirectory) -> Iterator[tuple[str, Head]]:
    """(lane, head) of every segment that is under way or parked."""
    for lane in run.lanes():
        if newest := history.newest(run.lane(lane)):
            yield from ((lane, head) for head in of(newest.header, newest.after).values())


def of(header: Record, after: Iterable[Record]) -> dict[str, Head]:
    """By segment, from a lane's newest header and the records after it."""
    found = {each["segment"]: _stored(each) for each in header["going"]}
    for record in after:
        _fold(found, record)
    return found


def _stored(going: Record) -> Head:
    amendment = Amendment.of(going["amend"]) if going["amend"] else None
    where = (going["segment"], going["step"], len(going["samples"]))
    return Head(*where, going["park"], amendment, len(going["children"]))


def _fold(found: dict[str, Head], record: Record) -> None:
    match record:
        case {"event": "open", "segment": name}:
            found[name] = Head(name)
        case {"kind": "sample", "segment": name, "step": index}:
            found[name].drawn += index == found[name].index
        case {"kind": "decision", "segment": name, "step": index}:
            found[name] = Head(name, index + 1, children=record.get("children", 0))
        case {"event": "park", "segment": name}:
            found[name].park = record
        case {"event": "amend", "segment": name}:
            found[name].park, found[name].amendment = None, Amendment.of(record)
        case {"event": "join", "segment": name}:
            found[name].park, found[name].children = None, 0
        case {"event": "finish", "segment": name}:
            del found[name]
