"""The steps of a run in segment and index order, read from its lanes, where segments are interleaved.

One pass notes where each decision stands (4 bytes a step), a second reads them in order; no step is kept.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
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
    """Where the records of one segment stand."""

    decisions: list[tuple[Path, int, array[int]]] = field(default_factory=list)
    """(chunk, base, offsets from that base) in order."""
    count: int = 0
    park: tuple[Path, int, int] | None = None
    """(chunk, offset, decisions before it) of the last park."""

    def note(self, chunk: Path, offset: int) -> None:
        if not self.decisions or self.decisions[-1][0] != chunk or offset - self.decisions[-1][1] >= _SPAN:
            self.decisions.append((chunk, offset, array("I")))
        _, base, offsets = self.decisions[-1]
        offsets.append(offset - base)
        self.count += 1


def in_order(run: RunDirectory) -> Iterator[Record]:
    """A decision, or a park that was not resolved since, for each step; segments by id, steps by index."""
    segments: defaultdict[str, _Places] = defaultdict(_Places)
    for lane in run.lanes():
        _note(run.lane(lane), segments)
    with ExitStack() as files:
        opened = cache(lambda chunk: files.enter_context(chunk.open("rb")))
        for segment in sorted(segments):
            places = segments[segment]
            for chunk, base, offsets in places.decisions:
                for offset in offsets:
                    yield _fetch(opened(chunk), chunk, base + offset)
            if places.park and places.park[2] == places.count:
                yield _fetch(opened(places.park[0]), *places.park[:2])


def decided(run: RunDirectory) -> Iterator[tuple[str, int, Json]]:
    """(segment id, step index, answer) of each decided step, in order."""
    for record in in_order(run):
        if record["kind"] == "decision":
            yield record["segment"], record["step"], record["answer"]


def _note(folder: Path, segments: defaultdict[str, _Places]) -> None:
    for chunk, offset, line in journal.scan(folder, ("decision", "event")):
        found = _SEGMENT.search(line)
        if not found:
            continue
        places = segments[found[1].decode()]
        if line.startswith(b'{"kind":"decision"'):
            places.note(chunk, offset)
        elif line.startswith(b'{"kind":"event","event":"park"'):
            places.park = (chunk, offset, places.count)


def _fetch(file: BinaryIO, chunk: Path, offset: int) -> Record:
    file.seek(offset)
    return journal.parse(chunk, offset, file.readline())
