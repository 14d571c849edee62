"""A lane's journal in plain files: JSON lines that are appended, checked when read, and owned by claims.

    lanes/<lane>/claims/<epoch>    created exclusively: who owns the lane; the newest claim wins
    lanes/<lane>/<chunk>.jsonl     a header line, then records; one chunk for each owner

Every line ends in a CRC-32 of its bytes that continues the line before it, so a line that was changed,
lost or moved is found. A header says how far the chunk before it was read: what an older owner appends
later is ignored. Invariant: a record is in the file (of a process that may die) when `append` returns,
and on the disk (of a machine that may die) at most `SYNC_SECONDS` later.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from maker.errors import FencedError, JournalDamagedError
from maker.records import FORMAT, Record

SYNC_SECONDS = 1.0
"""Between two fsyncs at most, while records come in."""


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Journal(Protocol):
    """The seam: where an engine writes."""

    def append(self, record: Record) -> None: ...


class Lane:
    """The open chunk of one owner: made by `claim`, written until `close`."""

    def __init__(self, folder: Path, run: str, epoch: int) -> None:
        self.folder, self.epoch = folder, epoch
        before = _extents(folder)
        after = {"chunk": before[-1][0].stem, "bytes": before[-1][1]} if before else None
        self._file, self._crc = _create_next(folder), 0
        self._synced = time.monotonic()
        header = {"format": FORMAT, "run": run, "lane": folder.name, "epoch": epoch, "after": after}
        self.append({"kind": "header", **header})
        self.sync()
        _sync_folder(folder)

    @classmethod
    def claim(cls, folder: Path, run: str) -> Lane:
        """Take the lane over, whoever owned it."""
        claims = folder / "claims"
        claims.mkdir(parents=True, exist_ok=True)
        while True:
            epoch = _newest(claims) + 1
            try:
                os.close(os.open(claims / f"{epoch:06d}", os.O_CREAT | os.O_EXCL, 0o644))
            except FileExistsError:
                continue
            _sync_folder(claims)
            return cls(folder, run, epoch)

    def append(self, record: Record) -> None:
        body = _encode(record)[:-1].encode("ascii")
        self._crc = zlib.crc32(body, self._crc)
        line = b'%b,"crc":%d}\n' % (body, self._crc)
        while line:
            line = line[os.write(self._file, line) :]

    def tick(self) -> None:
        """To be called now and then: makes records durable when it is time, and sees a takeover."""
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Make all records durable. Raises FencedError if another owner has claimed the lane."""
        os.fsync(self._file)
        self._synced = time.monotonic()
        newest = _newest(self.folder / "claims")
        if newest > self.epoch:
            raise FencedError(
                f"lane {self.folder.name}: epoch {newest} has taken over from epoch {self.epoch}; "
                "this process stops, the newer one goes on"
            )

    def close(self) -> None:
        os.fsync(self._file)
        os.close(self._file)


def read(folder: Path, kinds: tuple[str, ...] = ("sample", "decision", "event")) -> Iterator[Record]:
    """The records of a lane that count, in the order in which they were written.

    Raises JournalDamagedError with file and offset for anything but a torn last line.
    """
    for chunk, offset, line in scan(folder, kinds):
        yield parse(chunk, offset, line)


def scan(folder: Path, kinds: tuple[str, ...]) -> Iterator[tuple[Path, int, bytes]]:
    """(chunk, byte offset, line) of the records of these kinds, checked but not parsed."""
    wanted = tuple(b'{"kind":"%b"' % kind.encode() for kind in kinds)
    for chunk, end in _extents(folder):
        for offset, line in _lines(chunk, end):
            if line.startswith(wanted):
                yield chunk, offset, line


def _extents(folder: Path) -> list[tuple[Path, int]]:
    """Each chunk with the bytes of it that count: as its successor's header says, or all whole lines."""
    counted: list[tuple[Path, int]] = []
    epoch = 0
    for chunk in _chunks(folder):
        end = _whole(chunk)
        header = _header(chunk) if end else None
        if header is None or header["epoch"] < epoch:
            continue
        if counted:
            counted[-1] = (counted[-1][0], header["after"]["bytes"])
        epoch = header["epoch"]
        counted.append((chunk, end))
    return counted


def _header(chunk: Path) -> Record:
    for offset, line in _lines(chunk, chunk.stat().st_size):
        header = parse(chunk, offset, line)
        if header.get("kind") != "header":
            raise JournalDamagedError(f"{chunk}: begins with a {header.get('kind')}, expected a header")
        if header["format"] > FORMAT:
            raise JournalDamagedError(
                f"{chunk}: written in format {header['format']}, this version reads up to {FORMAT}: "
                "update maker"
            )
        return header
    raise JournalDamagedError(f"{chunk}: is empty, expected a header")


def _whole(chunk: Path) -> int:
    """Bytes up to the end of the last whole line."""
    with chunk.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        while at > 0:
            start = max(0, at - 65_536)
            file.seek(start)
            newline = file.read(at - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            at = start
    return 0


def _lines(chunk: Path, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every whole line up to `end`, each checked against its CRC."""
    crc = offset = 0
    with chunk.open("rb") as file:
        for line in file:
            if offset + len(line) > end:
                return
            body, _, stated = line.rpartition(b',"crc":')
            crc = zlib.crc32(body, crc)
            if stated != b"%d}\n" % crc:
                raise JournalDamagedError(f"{chunk}: the line at byte {offset} does not match its checksum")
            yield offset, line
            offset += len(line)
    if offset < end:
        raise JournalDamagedError(f"{chunk}: ends at byte {offset}, expected {end}")


def parse(chunk: Path, offset: int, line: bytes) -> Record:
    """The record in a line of a chunk."""
    try:
        record: Record = json.loads(line)
    except ValueError as error:
        raise JournalDamagedError(f"{chunk}: the line at byte {offset} is no JSON: {error}") from None
    record.pop("crc", None)
    return record


def _chunks(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.jsonl"))


def _create_next(folder: Path) -> int:
    """A new chunk after the newest one, open for appending; another owner may be doing the same."""
    chunks = _chunks(folder)
    number = int(chunks[-1].stem) if chunks else 0
    while True:
        number += 1
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
            return os.open(folder / f"{number:06d}.jsonl", flags, 0o644)
        except FileExistsError:
            continue


def _newest(claims: Path) -> int:
    return max((int(name) for name in os.listdir(claims) if name.isdigit()), default=0)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
