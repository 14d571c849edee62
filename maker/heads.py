"""The open step of every unfinished segment, as the newest chunk of its lane says; no plug-in is imported.

Invariant: the heads are those that a resume would find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from maker import history
from maker.amendment import Amendment
from maker.records import Record
from maker.run_directory import RunDirectory


@dataclass(slots=True)
class Head:
    segment: str
    index: int = 0
    samples: dict[int, Counter[str]] = field(default_factory=dict)
    """How many there are of the step and of those behind it, by index and by the state asked about."""
    park: Record | None = None
    """Why it waits, if it is parked."""
    amendment: Amendment | None = None
    children: int = 0
    """How many segments it waits for."""

    @property
    def drawn(self) -> int:
        """Samples of the step; of its comparisons, those of the one that has most, if that has more."""
        return max(self.samples.get(self.index, Counter()).values(), default=0)

    def draw(self, index: int, state: str) -> None:
        if index >= self.index:
            self.samples.setdefault(index, Counter())[state] += 1


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
    head = Head(going["segment"], going["step"], {}, going["park"], amendment, len(going["children"]))
    for sample in going["samples"]:
        head.draw(sample["step"], sample["state"])
    return head


def _fold(found: dict[str, Head], record: Record) -> None:
    match record:
        case {"event": "open", "segment": name}:
            found[name] = Head(name)
        case {"kind": "sample", "segment": name, "step": index, "state": state} if name in found:
            found[name].draw(index, state)
        case {"kind": "decision", "segment": name, "step": index}:
            behind = {at: drawn for at, drawn in found[name].samples.items() if at > index}
            found[name] = Head(name, index + 1, behind, children=record.get("children", 0))
        case {"event": "park", "segment": name}:
            found[name].park = record
        case {"event": "amend", "segment": name}:
            found[name].park, found[name].amendment = None, Amendment.of(record)
        case {"event": "join", "segment": name}:
            found[name].park, found[name].children = None, 0
        case {"event": "finish", "segment": name}:
            del found[name]
