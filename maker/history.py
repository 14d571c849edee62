"""A lane's records as anybody may read them, owner or not; nothing is written and no claim is needed.

A chunk's header says how far the chunk before it counts, so what an older owner appended after a takeover is
left out. Invariant: what is read here is what a resume would go on from. Who may write: `journal.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from maker import chunks, objects
from maker.errors import JournalDamagedError
from maker.nouns import Json
from maker.objects import ObjectPath
from maker.place import P, Place
from maker.records import Record


@dataclass(frozen=True, slots=True)
class Newest:
    """What there is to know of a lane without reading its history."""

    header: Record
    after: list[Record]
    """The records of the newest chunk."""
    finished: int
    """Segments that finished before it."""


def read(folder: Place, kinds: tuple[str, ...] = ("sample", "decision", "event")) -> Iterator[Record]:
    """The records of a lane that count, in the order in which they were written.

    Raises JournalDamagedError with file and offset for anything but a torn last line.
    """
    for chunk, offset, line in scan(folder, kinds):
        yield chunks.decode(chunk, offset, line)


def newest(folder: Place) -> Newest | None:
    """Reads headers and one chunk; in an object store, that chunk alone. None for a lane without a chunk."""
    if isinstance(folder, ObjectPath):
        counted: Sequence[tuple[Place, int, Record]] = [found] if (found := last(folder)) else []
    else:
        counted = parts(folder)
    if not counted:
        return None
    chunk, end, header = counted[-1]
    told = sum(len(each["before"].get("finished", [])) for *_, each in counted)
    ended = header["before"].get("ended", told)
    return Newest(header, list(records_of(chunk, end))[1:], ended)


def scan(folder: Place, kinds: tuple[str, ...]) -> Iterator[tuple[Place, int, bytes]]:
    """(chunk, byte offset, line) of the records of these kinds, checked but not parsed."""
    wanted = tuple(b'{"kind":"%b"' % kind.encode() for kind in kinds)
    for chunk, end, _ in parts(folder):
        for offset, line in chunks.lines(chunk, end):
            if line.startswith(wanted):
                yield chunk, offset, line


def verify(folder: Place) -> int:
    """Check every line, and every chunk against the digest that the next header states; chunks that count.

    Raises JournalDamagedError at the first thing that does not check out.
    """
    counted = parts(folder)
    for (chunk, end, _), (_, _, after) in pairwise(counted):
        if chunks.digest(chunk, end) != after["before"]["sha256"]:
            raise JournalDamagedError(f"{chunk}: does not match its digest in the next chunk's header")
    for chunk, end, _ in counted:
        for _ in chunks.lines(chunk, end):
            pass
    return len(counted)


def parts(folder: P) -> list[tuple[P, int, Record]]:
    """(chunk, bytes of it that count, header): as the next header says, the last up to its last whole line.

    The newest owner's last header names the chunk before it, that one's header the next, back to the first:
    what a taker found is the lane. Left out are a chunk that was torn in its header, and one that an owner
    began, or whose header it wrote, after it was overtaken.
    """
    found = chunks.of(folder)
    objects.read_all(each for each in found if isinstance(each, ObjectPath))
    headers = {chunks.number(each): (each, header) for each in found if (header := chunks.header(each))}
    if not headers:
        return []
    number = max(headers, key=lambda number: (headers[number][1]["epoch"], number))
    chunk, header = headers[number]
    counted = {number: (chunk, sum(len(line) for _, line in chunks.lines(chunk)), header)}
    while before := header["before"].get("chunk", 0):
        if before >= number or before not in headers:
            raise JournalDamagedError(f"{chunk}: follows chunk {before}, which is not there before it")
        end = header["before"]["bytes"]
        number, (chunk, header) = before, headers[before]
        counted[number] = (chunk, end, header)
    _check_left_out(headers, counted)
    return [counted[number] for number in sorted(counted)]


def _check_left_out(headers: dict[int, tuple[P, Record]], counted: Collection[int]) -> None:
    """An owner's own chunks follow each other; only its last ones may not count."""
    last = {tuple(headers[number][1]["epoch"]): number for number in sorted(counted)}
    for number, (chunk, header) in headers.items():
        if number not in counted and number < last.get(tuple(header["epoch"]), 0):
            raise JournalDamagedError(
                f"{chunk}: its owner went on, but the chunk after it does not follow it"
            )


def records_of(chunk: Place, end: int) -> Iterator[Record]:
    return (chunks.decode(chunk, offset, line) for offset, line in chunks.lines(chunk, end))


# -- in an object store, where chunks are small, many and counted without a gap --------------------

PAGE = 1000
"""Names that one request lists."""


def object_name(number: int) -> str:
    """Of a chunk in an object store; its digits make names sort as numbers do."""
    return f"{number:09d}.jsonl.zst"


def last(folder: ObjectPath) -> tuple[ObjectPath, int, Record] | None:
    """(chunk, its bytes, header) of the newest chunk of a lane."""
    chunk = _newest_object(folder)
    if chunk is None:
        return None
    header = chunks.header(chunk)
    if header is None:
        raise JournalDamagedError(f"{chunk}: holds no whole line: put the object back as it was")
    return chunk, len(chunks.whole(chunk)), header


def _newest_object(folder: ObjectPath) -> ObjectPath | None:
    """By asking for every PAGE-th number in growing strides, then listing what comes after the last found."""
    found, stride = 0, PAGE
    while (folder / object_name(found + stride)).is_file():
        found, stride = found + stride, stride * 2
    while stride > PAGE:
        stride //= 2
        if (folder / object_name(found + stride)).is_file():
            found += stride
    listed = folder.names_after(object_name(found), PAGE)
    if listed:
        return listed[-1]
    return folder / object_name(found) if found else None


def finished(folder: ObjectPath, header: Record) -> Iterator[list[Json]]:
    """[segment, steps, final state] of every segment that finished before a header, the newest chunks first.

    A header names the ones before it that tell of ends; the first of these names those before that.
    """
    yield from header["before"].get("finished", [])
    numbers = header["before"]["told"]
    while numbers:
        places = [folder / object_name(number) for number in numbers]
        objects.read_all(places)
        headers = [chunks.header(place) or {"before": {}} for place in places]
        for each in reversed(headers):
            yield from each["before"].get("finished", [])
        numbers = headers[0]["before"].get("told", [])


def bytes_of(folder: ObjectPath) -> tuple[int, int]:
    """(bytes of all chunks but the newest, of that one)"""
    found = last(folder)
    return (found[2]["before"].get("stored", 0), found[0].stat().st_size) if found else (0, 0)
