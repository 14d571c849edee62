"""The steps of a run in segment and index order, read from its lanes, where segments are interleaved.

One pass notes where each decision stands (8 bytes a step), a second reads them in order; no step is kept.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from maker import journal
from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory

_SEGMENT = re.compile(rb'"segment":"([^"\\]*)"')
_OFFSET_BITS = 48


@dataclass(slots=True)
class _Places:
    """Where the records of one segment stand: chunk number and byte offset packed in 64 bits."""

    decisions: array[int] = field(default_factory=lambda: array("Q"))
    park: tuple[int, int] | None = None
    """(place, decisions before it) of the last park."""


def in_order(run: RunDirectory) -> Iterator[Record]:
    """A decision, or a park that was not resolved since, for each step; segments by id, steps by index."""
    chunks: list[Path] = []
    segments: defaultdict[str, _Places] = defaultdict(_Places)
    for lane in run.lanes():
        _note(run.lane(lane), chunks, segments)
    files: list[BinaryIO] = [chunk.open("rb") for chunk in chunks]
    try:
        for segment in sorted(segments):
            places = segments[segment]
            for place in places.decisions:
                yield _fetch(chunks, files, place)
            if places.park and places.park[1] == len(places.decisions):
                yield _fetch(chunks, files, places.park[0])
    finally:
        for file in files:
            file.close()


def decided(run: RunDirectory) -> Iterator[tuple[str, int, Json]]:
    """(segment id, step index, answer) of each decided step, in order."""
    for record in in_order(run):
        if record["kind"] == "decision":
            yield record["segment"], record["step"], record["answer"]


def _note(folder: Path, chunks: list[Path], segments: defaultdict[str, _Places]) -> None:
    for chunk, offset, line in journal.scan(folder, ("decision", "event")):
        if not chunks or chunks[-1] != chunk:
            chunks.append(chunk)
        place = (len(chunks) - 1) << _OFFSET_BITS | offset
        found = _SEGMENT.search(line)
        if not found:
            continue
        places = segments[found[1].decode()]
        if line.startswith(b'{"kind":"decision"'):
            places.decisions.append(place)
        elif line.startswith(b'{"kind":"event","event":"park"'):
            places.park = (place, len(places.decisions))


def _fetch(chunks: list[Path], files: list[BinaryIO], place: int) -> Record:
    chunk, offset = place >> _OFFSET_BITS, place & ((1 << _OFFSET_BITS) - 1)
    files[chunk].seek(offset)
    return journal.parse(chunks[chunk], offset, files[chunk].readline())
