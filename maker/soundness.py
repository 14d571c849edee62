"""Whether the records of a run fit together, beyond the bytes: order, joins, and what headers say of chunks.

Each segment is opened once and decided 0, 1, 2, ... without a gap; every vote and flag names a draw that is
on record as a sample of that step and state; children are of a fork on record, and what a segment joined is
what they ended with; every header says of the chunk before it what that holds, for readers trust it and skip
chunks. No plug-in is imported, and of each segment only its head is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from maker import canonical, chapters, chunks, family, history, records
from maker.chapters import Chapter
from maker.errors import JournalDamagedError, inert
from maker.ledger import Ledger
from maker.nouns import Decision
from maker.place import Place
from maker.records import Record, SampleRecord
from maker.run_directory import RunDirectory


@dataclass(slots=True)
class Checked:
    """What was looked at."""

    lanes: int = 0
    chunks: int = 0
    segments: int = 0
    steps: int = 0
    samples: int = 0


def check(run: RunDirectory) -> Checked:
    """Every byte, line and join of a run.

    Raises JournalDamagedError, with file and offset, at the first thing that does not check out.
    """
    checked, kin = Checked(), _Family()
    for lane in run.lanes():
        checked.lanes += 1
        checked.chunks += history.verify(run.lane(lane))
        ledger = _Lane(kin).check(chapters.of(run.lane(lane)))
        checked.steps += ledger.totals.steps
        checked.samples += ledger.totals.samples
    kin.check(run.path)
    checked.segments = len(kin.opened)
    return checked


@dataclass(slots=True)
class _Family:
    """Segments of the whole run, and how they descend from each other."""

    opened: set[str] = field(default_factory=set)
    forks: dict[str, int] = field(default_factory=dict)
    """By the fork's id, how many children it has."""
    finals: dict[str, str] = field(default_factory=dict)
    """Digest of what each child ended with."""
    joined: dict[str, str] = field(default_factory=dict)
    """Child to the digest of what was joined as its end."""

    def join(self, record: Record) -> None:
        fork, finals = family.fork(record["segment"], record["step"] - 1), record["finals"]
        if self.forks.get(fork) != len(finals):
            raise _Wrong(f"{len(finals)} children are joined, the step before forked into another number")
        self.joined |= {
            family.child(fork, number): canonical.digest(state) for number, state in enumerate(finals)
        }

    def check(self, run: Place) -> None:
        for name in filter(family.is_child, self.opened):
            fork, number = family.birth(name)
            if not (number.isdecimal() and int(number) < self.forks.get(fork, 0)):
                raise JournalDamagedError(f"{run}: no step forked into segment {inert(name)}")
        for name, digest in self.joined.items():
            if self.finals.get(name) != digest:
                raise JournalDamagedError(
                    f"{run}: segment {inert(name)} did not end in the state that was joined"
                )


class _Wrong(Exception):
    """What is wrong with a record."""


@contextmanager
def _placed(chunk: Place, at: int) -> Iterator[None]:
    """What is wrong with a record, with the place of its line."""
    try:
        yield
    except (_Wrong, JournalDamagedError) as wrong:
        raise JournalDamagedError(f"{chunk}: the record at byte {at}: {wrong}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise JournalDamagedError(
            f"{chunk}: the record at byte {at} is of no known form: {type(error).__name__} {inert(error)}"
        ) from None


@dataclass(slots=True)
class _Head:
    """The first step of a segment that is not decided."""

    index: int = 0
    draws: dict[tuple[int, str, int], None] = field(default_factory=dict)
    """(index, state, draw) of its samples and of those of steps behind it, in their order; those of a
    comparison have a state of their own."""


@dataclass(slots=True)
class _Lane:
    kin: _Family
    ledger: Ledger = field(default_factory=Ledger)
    heads: dict[str, _Head] = field(default_factory=dict)

    def check(self, lane: Iterable[Chapter]) -> Ledger:
        for chapter in lane:
            with _placed(chapter.chunk, 0):
                self._header(chapter.header)
            for at, line in chapter.lines("sample", "decision", "event"):
                record = chunks.decode(chapter.chunk, at, line)
                with _placed(chapter.chunk, at):
                    self._fold(record)
                    self.ledger.fold(record)
        return self.ledger

    def _header(self, header: Record) -> None:
        """What it says of the chunks before it must be what they hold."""
        page = self.ledger.page([])
        told = {name: header["before"].get(name) for name in page.before}
        heads = {each["segment"]: each["step"] for each in header["going"]}
        draws = {
            each["segment"]: [(one["step"], one["state"], one["draw"]) for one in each["samples"]]
            for each in header["going"]
        }
        for what, said, held in (
            ("totals", header["totals"], page.totals),
            ("counts of the chunk before it", told, page.before),
            ("unfinished segments", heads, {name: head.index for name, head in self.heads.items()}),
            ("samples of open steps", draws, {name: list(head.draws) for name, head in self.heads.items()}),
        ):
            if said != held:
                raise _Wrong(f"the header's {what} are not what the records give")

    def _fold(self, record: Record) -> None:
        match record:
            case {"kind": "sample"}:
                self._drawn(records.to_sample(record))
            case {"kind": "decision"}:
                self._decided(record, records.to_decision(record))
            case {"event": "open", "segment": name}:
                if name in self.kin.opened:
                    raise _Wrong(f"segment {inert(name)} is opened a second time")
                self.kin.opened.add(name)
                self.heads[name] = _Head()
            case {"event": "park"}:
                _joins(record, self._head(record["segment"], record["step"], "a park"))
            case {"event": "finish"}:
                self._head(record["segment"], record["steps"], "the end")
                del self.heads[record["segment"]]
                if family.is_child(record["segment"]):
                    self.kin.finals[record["segment"]] = canonical.digest(record["state"])
            case {"event": "join"}:
                self._head(record["segment"], record["step"], "a join")
                self.kin.join(record)

    def _drawn(self, drawn: SampleRecord) -> None:
        """One of a step that the head has passed, or of a segment that has finished, came too late."""
        if drawn.segment not in self.kin.opened:
            raise _Wrong(f"a sample of segment {inert(drawn.segment)}, which was not opened")
        head = self.heads.get(drawn.segment)
        if head is not None and drawn.index >= head.index:
            head.draws[drawn.index, drawn.state, drawn.sample.seat.draw] = None

    def _decided(self, record: Record, decision: Decision) -> None:
        head = self._head(decision.segment, decision.index, "a decision")
        _joins(record, head)
        for ruling in record.get("rulings", ()):
            _joins({**record, **ruling}, head)
        behind = {draw: None for draw in head.draws if draw[0] > head.index}
        self.heads[decision.segment] = _Head(head.index + 1, behind)
        if decision.children:
            self.kin.forks[family.fork(decision.segment, decision.index)] = decision.children

    def _head(self, segment: str, index: int, what: str) -> _Head:
        head = self.heads.get(segment)
        if head is None:
            raise _Wrong(f"{what} of segment {inert(segment)}, which is not under way")
        if index != head.index:
            raise _Wrong(f"{what} of step {inert(segment)}:{index}, expected step {head.index}")
        return head


def _joins(record: Record, head: _Head) -> None:
    """Every vote and flag of a decision or a park is of a draw on record, and of one only."""
    place, seen = f"step {record['segment']}:{record['step']}", set[int]()
    for each in (*record["votes"], *record["flags"]):
        for draw in each["draws"]:
            if draw in seen:
                raise _Wrong(f"{place} counts draw {draw} twice")
            if (head.index, record["state"], draw) not in head.draws:
                raise _Wrong(f"{place} counts draw {draw}, which is no sample of it from that state")
            seen.add(draw)
