"""A chunk of a lane: a header line and record lines, plain while it grows, compressed when sealed.

    <number>.jsonl                the open chunk, appended line by line
    <number>.<bytes>.jsonl.zst    sealed: its first so many bytes, compressed, immutable
    <number>.jsonl.zst            in an object store: sealed from the start, and all of it counts

The length is in the name because an overtaken owner may seal a chunk too, at what it saw of it: the longest
holds what anybody saw.
Every line is a JSON object that ends in a CRC-32 of its bytes, which continues the line before it: a line
that was changed, lost or moved is found, with its offset. This file knows lines and files; who may write
and what a header means is `journal.py`'s.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import zstandard
from pydantic_core import PydanticSerializationError, from_json, to_json

from maker.disk import Disk
from maker.errors import JournalDamagedError
from maker.place import P, Place, entries
from maker.records import FORMAT, Record

LEVEL = 1
"""Of compression: 6 saves a tenth of the space for ten times the time (docs/LOG.md)."""

ALL_AHEAD, HEADER_AHEAD = 1 << 18, 1 << 14
"""Bytes read at a time, where all of a chunk is wanted, and where its first line is."""

_NAME = re.compile(r"(\d+)\.(?:jsonl|(?:(\d+)\.)?jsonl\.zst)")
"""(number, bytes sealed)"""
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode(record: Record, crc: int) -> tuple[bytes, int]:
    """A record's line, and the checksum that the next line continues."""
    try:
        body = to_json(record, ensure_ascii=True)[:-1]
    except PydanticSerializationError:  # a lone surrogate
        body = _encode(record)[:-1].encode("ascii")
    crc = zlib.crc32(body, crc)
    return b'%b,"crc":%d}\n' % (body, crc), crc


def decode(chunk: Place, offset: int, line: bytes) -> Record:
    """The record in a line of a chunk."""
    try:
        record = parsed(line)
    except ValueError as error:
        raise JournalDamagedError(f"{chunk}: the line at byte {offset} is no JSON: {error}") from None
    record.pop("crc", None)
    return record


def parsed(line: bytes) -> Record:
    """What is in a line; ValueError where that is no JSON."""
    record: Record
    try:
        record = from_json(line)
    except ValueError:  # a lone surrogate
        record = json.loads(line)
    return record


def of(folder: P) -> list[P]:
    """A lane's chunks by number; of several forms the longest sealed one counts."""
    forms = ((_NAME.fullmatch(each.name), each) for each in entries(folder))
    ranked = ((int(form[1]), int(form[2] or -1), chunk) for form, chunk in forms if form)
    return list({number: chunk for number, _, chunk in sorted(ranked, key=itemgetter(0, 1))}.values())


def number(chunk: Place) -> int:
    return int(chunk.name.partition(".")[0])


def is_sealed(chunk: Place) -> bool:
    return chunk.suffix == ".zst"


def lines(chunk: Place, end: int | None = None, ahead: int = ALL_AHEAD) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every whole line, up to byte `end` of the uncompressed chunk, each checked; so many
    bytes are read ahead.

    Raises JournalDamagedError, with file and offset, for a line that does not match its checksum and for a
    chunk that ends before `end`. Without `end`, a torn last line is left out.
    """
    crc = offset = 0
    with _open(chunk, ahead) as file:
        for line in file:
            if (end is not None and offset + len(line) > end) or not line.endswith(b"\n"):
                break
            body, _, stated = line.rpartition(b',"crc":')
            crc = zlib.crc32(body, crc)
            if stated != b"%d}\n" % crc:
                raise JournalDamagedError(f"{chunk}: the line at byte {offset} does not match its checksum")
            yield offset, line
            offset += len(line)
    if offset < (end or 0):
        raise JournalDamagedError(f"{chunk}: ends at byte {offset}, expected {end}")


def header(chunk: Place) -> Record | None:
    """A chunk's first line, None when it was torn; JournalDamagedError when it is no header or newer."""
    first = next(lines(chunk, ahead=HEADER_AHEAD), None)
    if first is None:
        return None
    found = decode(chunk, *first)
    if found.get("kind") != "header":
        raise JournalDamagedError(f"{chunk}: begins with a {found.get('kind')}, expected a header")
    if found["format"] > FORMAT:
        raise JournalDamagedError(
            f"{chunk}: written in format {found['format']}, this version reads up to {FORMAT}: update maker"
        )
    return found


def digest(chunk: Place, end: int) -> str:
    """SHA-256, in hex, of the first `end` bytes of the uncompressed chunk."""
    with _open(chunk) as file:
        return hashlib.sha256(file.read(end)).hexdigest()


def seal(chunk: Path, end: int, disk: Disk) -> bool:
    """Put the compressed form of the first `end` bytes in the place of the plain one, durably.

    False when there are not so many any more: another owner has sealed it shorter.
    """
    with _open(chunk) as file:
        data = file.read(end)
    if len(data) < end:
        return False
    sealed = chunk.with_name(f"{number(chunk):06d}.{end}.jsonl.zst")
    disk.put(sealed, compressed(data))
    disk.remove(chunk)
    return True


def compressed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(data)


def whole(chunk: Place) -> bytes:
    """All bytes of the uncompressed chunk."""
    with _open(chunk) as file:
        return file.read()


def _open(chunk: Place, ahead: int = ALL_AHEAD) -> BinaryIO:
    try:
        file = chunk.open("rb")
    except FileNotFoundError:  # sealed since it was listed
        chunk = next((each for each in of(chunk.parent) if number(each) == number(chunk)), chunk)
        file = chunk.open("rb")
    if not is_sealed(chunk):
        return file
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_size=ahead, closefd=True)
    return io.BufferedReader(_Sealed(reader, chunk), ahead)


class _Sealed(io.RawIOBase):
    """A sealed chunk's bytes; what does not decompress is damage."""

    def __init__(self, reader: zstandard.ZstdDecompressionReader, chunk: Place) -> None:
        self._reader, self._chunk = reader, chunk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            return self._reader.readinto(buffer)
        except zstandard.ZstdError as error:
            raise JournalDamagedError(f"{self._chunk}: does not decompress: {error}") from None

    def close(self) -> None:
        self._reader.close()  # type: ignore[no-untyped-call]
        super().close()
