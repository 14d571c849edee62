"""The steps of a run in segment and index order, read from its lanes, where segments are interleaved.

One pass over the chunks copies the decisions to a temporary file and notes where they stand (4 bytes a
step), a second reads them in order; no step is kept in memory.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import BinaryIO

from maker import journal
from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory

_SEGMENT = re.compile(rb'"segment":"([^"\\]*)"')
_SPAN = 1 << 32
"""Bytes that an offset of 32 bits reaches."""


@dataclass(slots=True)
class _Places:
    """Where the records of one segment stand in the temporary file."""

    runs: list[tuple[int, array[int]]] = field(default_factory=list)
    """(base, offsets from that base) of the decisions, in order."""
    park: bytes | None = None
    """The last park, if no decision came after it."""

    def note(self, offset: int) -> None:
        if not self.runs or offset - self.runs[-1][0] >= _SPAN:
            self.runs.append((offset, array("I")))
        base, offsets = self.runs[-1]
        offsets.append(offset - base)
        self.park = None


def in_order(run: RunDirectory) -> Iterator[Record]:
    """A decision, or a park that was not resolved since, for each step; segments by id, steps by index."""
    segments: defaultdict[str, _Places] = defaultdict(_Places)
    with TemporaryFile() as spool:
        for lane in run.lanes():
            _copy(journal.scan(run.lane(lane), ("decision", "event")), spool, segments)
        for name in sorted(segments):
            for base, offsets in segments[name].runs:
                for offset in offsets:
                    spool.seek(base + offset)
                    yield json.loads(spool.readline())
            park = segments[name].park
            if park:
                yield json.loads(park)


def decided(run: RunDirectory) -> Iterator[tuple[str, int, Json]]:
    """(segment id, step index, answer) of each decided step, in order."""
    for record in in_order(run):
        if record["kind"] == "decision":
            yield record["segment"], record["step"], record["answer"]


def _copy(lines: Iterator[tuple[object, int, bytes]], spool: BinaryIO, segments: dict[str, _Places]) -> None:
    end = spool.tell()
    for _, _, line in lines:
        found = _SEGMENT.search(line)
        if not found:
            continue
        places = segments[found[1].decode()]
        if line.startswith(b'{"kind":"decision"'):
            places.note(end)
            end += spool.write(line)
        elif line.startswith(b'{"kind":"event","event":"park"'):
            places.park = line
        elif line.startswith(b'{"kind":"event","event":"amend"'):
            places.park = None
