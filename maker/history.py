"""A lane's records as anybody may read them, owner or not; nothing is written and no claim is needed.

A chunk's header says how far the chunk before it counts, so what an older owner appended after a takeover is
left out. Invariant: what is read here is what a resume would go on from. Who may write: `journal.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from maker import chunks
from maker.errors import JournalDamagedError
from maker.records import Record


def read(folder: Path, kinds: tuple[str, ...] = ("sample", "decision", "event")) -> Iterator[Record]:
    """The records of a lane that count, in the order in which they were written.

    Raises JournalDamagedError with file and offset for anything but a torn last line.
    """
    for chunk, offset, line in scan(folder, kinds):
        yield chunks.decode(chunk, offset, line)


def newest(folder: Path) -> tuple[list[Record], list[Record]]:
    """(every header, the records of the newest chunk): what there is to know without reading the history."""
    counted = parts(folder)
    if not counted:
        return [], []
    chunk, end, _ = counted[-1]
    return [header for _, _, header in counted], list(records_of(chunk, end))[1:]


def scan(folder: Path, kinds: tuple[str, ...]) -> Iterator[tuple[Path, int, bytes]]:
    """(chunk, byte offset, line) of the records of these kinds, checked but not parsed."""
    wanted = tuple(b'{"kind":"%b"' % kind.encode() for kind in kinds)
    for chunk, end, _ in parts(folder):
        for offset, line in chunks.lines(chunk, end):
            if line.startswith(wanted):
                yield chunk, offset, line


def verify(folder: Path) -> int:
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


def parts(folder: Path) -> list[tuple[Path, int, Record]]:
    """(chunk, bytes of it that count, header): as the next header says, the last up to its last whole line.

    Left out are a chunk that was torn in its header and one that an owner began after it was overtaken.
    """
    counted: list[tuple[Path, int, Record]] = []
    for chunk in chunks.of(folder):
        header = chunks.header(chunk)
        if header is None or (counted and header["epoch"] < counted[-1][2]["epoch"]):
            continue
        before = header["before"].get("chunk", 0)
        while (
            counted and chunks.number(counted[-1][0]) > before and counted[-1][2]["epoch"] < header["epoch"]
        ):
            counted.pop()
        _follow(chunks.number(counted[-1][0]) if counted else 0, before, chunk)
        if counted:
            counted[-1] = (counted[-1][0], header["before"]["bytes"], counted[-1][2])
        counted.append((chunk, 0, header))
    if counted:
        chunk, _, header = counted[-1]
        counted[-1] = (chunk, sum(len(line) for _, line in chunks.lines(chunk)), header)
    return counted


def _follow(found: int, stated: int, chunk: Path) -> None:
    if found != stated:
        raise JournalDamagedError(f"{chunk}: follows chunk {stated}, but chunk {found} comes before it")


def records_of(chunk: Path, end: int) -> Iterator[Record]:
    return (chunks.decode(chunk, offset, line) for offset, line in chunks.lines(chunk, end))
