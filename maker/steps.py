"""The steps of a run in segment and index order, read from its lanes, where segments are interleaved.

One pass over the chunks copies the decisions to a temporary file and notes where they stand (4 bytes a
step), a second reads them in order; no step is kept in memory. Chunks that headers know to hold nothing
that is asked for are left out.
"""

from __future__ import annotations

import heapq
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import BinaryIO

from maker import chapters, chunks, heads
from maker.chapters import EVERY_STEP, Chapter, Selection
from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory

_SEGMENT = re.compile(rb'"segment":"([^"\\]*)"')
_SPAN = 1 << 32
"""Bytes that an offset of 32 bits reaches."""
_SIGNS = {"contested": b'},{"key":', "flagged": b'{"reason":'}
"""What the line of a decision of a sort is sure to hold; another line may hold it too."""


@dataclass(slots=True)
class _Places:
    """Where the decisions of one segment stand in the temporary file."""

    runs: list[tuple[int, array[int]]] = field(default_factory=list)
    """(base, offsets from that base), in order."""

    def note(self, offset: int) -> None:
        if not self.runs or offset - self.runs[-1][0] >= _SPAN:
            self.runs.append((offset, array("I")))
        base, offsets = self.runs[-1]
        offsets.append(offset - base)


def in_order(run: RunDirectory, selection: Selection = EVERY_STEP, parks: bool = True) -> Iterator[Record]:
    """A decision, or a park that was not resolved since, for each step; segments by id, steps by index.

    Without `parks`, decisions alone.
    """
    segments: defaultdict[str, _Places] = defaultdict(_Places)
    waiting: dict[str, Record] = {}
    with TemporaryFile() as spool:
        for lane in run.lanes():
            found = chapters.of(run.lane(lane))
            waiting |= _parked(found) if parks else {}
            for chapter in filter(selection.reads, found):
                _copy(chapter, selection, spool, segments)
        for name in sorted(segments.keys() | waiting.keys()):
            for base, offsets in segments[name].runs:
                for offset in offsets:
                    spool.seek(base + offset)
                    yield from _taken(chunks.parsed(spool.readline()), selection)
            if name in waiting:
                yield from _taken(waiting[name], selection)


def parked(run: RunDirectory, selection: Selection = EVERY_STEP) -> Iterator[Record]:
    """The park of each segment that waits, by segment; told by headers and newest chunks alone."""
    waiting: dict[str, Record] = {}
    for lane in run.lanes():
        waiting |= _parked(chapters.of(run.lane(lane)))
    for name in sorted(waiting):
        yield from _taken(waiting[name], selection)


def longest(run: RunDirectory, number: int, selection: Selection = EVERY_STEP) -> list[tuple[float, Record]]:
    """(seconds of all its samples together, record) of the steps that took longest, the slowest first.

    Equals by the number of samples. Requests under way at the same time count each, so it is what a
    step cost an endpoint, not how long it was waited for.
    """
    return heapq.nlargest(number, _timed(run, selection), key=lambda timed: (timed[0], _samples(timed[1])))


def decided(run: RunDirectory) -> Iterator[tuple[str, int, Json]]:
    """(segment id, step index, answer) of each decided step, in order."""
    for record in in_order(run, parks=False):
        yield record["segment"], record["step"], record["answer"]


def _taken(record: Record, selection: Selection) -> Iterator[Record]:
    if selection.takes(record):
        record.pop("crc", None)
        yield record


def _copy(chapter: Chapter, selection: Selection, spool: BinaryIO, segments: dict[str, _Places]) -> None:
    end = spool.tell()
    for _, line in chapter.lines("decision"):
        found = _SEGMENT.search(line)
        if found and selection.of_sorts(_SIGNS[sort] in line for sort in selection.sorts):
            segments[found[1].decode()].note(end)
            end += spool.write(line)


def _parked(lane: list[Chapter]) -> dict[str, Record]:
    """Segment to park, of the segments of a lane that wait."""
    if not lane:
        return {}
    found = heads.of(lane[-1].header, lane[-1].records("decision", "event"))
    return {name: head.park for name, head in found.items() if head.park}


def _timed(run: RunDirectory, selection: Selection) -> Iterator[tuple[float, Record]]:
    for lane in run.lanes():
        seconds: defaultdict[tuple[str, int], float] = defaultdict(float)
        found = chapters.of(run.lane(lane))
        for chapter in found:
            for record in chapter.records("sample", "decision"):
                place = (record["segment"], record["step"])
                if record["kind"] == "sample":
                    seconds[place] += record["latency"]
                else:
                    spent = seconds.pop(place, 0.0)
                    yield from ((spent, taken) for taken in _taken(record, selection))
        for name, park in _parked(found).items():
            yield from ((seconds[name, park["step"]], taken) for taken in _taken(park, selection))


def _samples(record: Record) -> int:
    return sum(len(each["draws"]) for each in (*record["votes"], *record["flags"]))
