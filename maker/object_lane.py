"""A lane in an object store: records wait in memory until a chunk is *sealed*: one conditional write.

    lanes/<lane>/<number>.jsonl.zst    a header and records, written once, if nobody has written that number

That write is ownership too. A taker reads the newest chunk and writes the next number with an epoch of its
own; whoever comes second there reads what it lost to: its own bytes (the response was lost), a newer owner
(it stops), an older one (it reads the lane again). Invariant: chunks are numbered 1, 2, 3, ... and each was
written by somebody who knew all before it, so nothing is ever cut, and a paused owner can write no more.
What was not sealed is lost with its process, and drawn again: at most what `Seal` lets wait.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from maker import chunks, history, journal
from maker.errors import FencedError, JournalDamagedError, StorageError
from maker.journal import Durability, Epoch, OutrunError, Page, Seal
from maker.nouns import Json
from maker.objects import ObjectPath
from maker.records import FORMAT, Record

TELL_SECONDS = 0.5
"""At least so long after a seal the next end of a segment is told, for what is told must be sealed."""
LINKS = 256
"""Chunks that a header names at most as telling of ends; the first of them names those before."""


@dataclass(slots=True)
class _Past:
    """What the next header says of all chunks before it."""

    number: int = 0
    """Of the newest chunk."""
    size: int = 0
    """Its bytes."""
    sha256: str = ""
    stored: int = 0
    """Compressed bytes of all chunks."""
    ended: int = 0
    """Segments that headers say have finished."""
    told: list[int] = field(default_factory=list)
    """Which headers say so, the oldest first; see `history.finished`."""

    @classmethod
    def of(cls, chunk: ObjectPath, header: Record) -> _Past:
        data, before = chunks.whole(chunk), header["before"]
        past = cls(chunks.number(chunk), len(data), hashlib.sha256(data).hexdigest())
        past.stored = before["stored"] + chunk.stat().st_size
        past.ended, past.told = before["ended"], list(before["told"])
        past.note(past.number, before.get("finished", []))
        return past

    def note(self, number: int, finished: list[Json]) -> None:
        """A header has told of ends; `ended` counts them already."""
        if finished:
            self.told = [*(self.told if len(self.told) < LINKS else self.told[-1:]), number]


class ObjectLane:
    """In the hands of its owner as `journal.Lane` is; owned once the first `sync` has returned."""

    def __init__(
        self,
        folder: ObjectPath,
        run: str,
        command: int = 1,
        durability: Durability = "group",
        seal: Seal = journal.SEAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.run, self.durability = folder, run, durability
        self._seal, self._clock = seal, clock
        self._owner = secrets.token_hex(8)
        self._last = history.last(folder)
        newest: Epoch = tuple(self._last[2]["epoch"]) if self._last else (0, 0)
        self.epoch: Epoch = (command, newest[1] + 1 if newest[0] == command else 1)
        if newest > self.epoch:
            raise journal.overtaken(folder, newest, self.epoch)
        self._past = _Past.of(self._last[0], self._last[2]) if self._last else _Past()
        self._lines: list[bytes] | None = None
        self._finished: list[Json] = []
        """What the open chunk's header tells."""
        self._records = self._size = self._head = self._crc = 0
        self._owned = self._decided = False
        self._since = self._sealed = clock()
        self._refused: StorageError | FencedError | None = None

    @property
    def is_open(self) -> bool:
        return self._lines is not None

    @property
    def full(self) -> bool:
        """It is time to seal what waits."""
        if not self._records:
            return False
        late = self._clock() - self._since >= self._seal.seconds
        big = self._size >= journal.room(self._head)
        return late or big or self._records >= self._seal.records or self._decided

    @property
    def due(self) -> bool:
        return self.full

    @property
    def rest(self) -> float:
        return max(0.0, self._sealed + TELL_SECONDS - self._clock())

    def last(self) -> tuple[Record | None, Iterator[Record]]:
        """The newest header and the records after it."""
        if self._last is None:
            return None, iter(())
        chunk, end, header = self._last
        records = history.records_of(chunk, end)
        next(records)
        return header, records

    def finished(self) -> Iterator[list[Json]]:
        """[segment, steps, final state] of every segment that finished before the newest chunk."""
        return history.finished(self.folder, self._last[2]) if self._last else iter(())

    def append(self, *records: Record) -> None:
        if self._refused:
            raise self._refused
        if not self._records:
            self._since = self._clock()
        for record in records:
            self._write(record)
            self._decided |= self.durability == "step" and record["kind"] == "decision"
        self._records += len(records)

    def _write(self, record: Record) -> None:
        assert self._lines is not None, "a page is turned before anything is written"
        line, self._crc = chunks.encode(record, self._crc)
        self._lines.append(line)
        self._size += len(line)

    def turn(self, page: Page) -> None:
        """Seal what waits, and begin a chunk whose header carries `page`; it waits in its turn."""
        if self.is_open and self._records:
            self.sync()
        if not self.is_open:
            self._begin(page)

    def _begin(self, page: Page) -> None:
        past = self._past
        self._lines, self._crc, self._size, self._records, self._decided = [], 0, 0, 0, False
        self._finished = page.before.get("finished", [])
        place: dict[str, Json] = {"stored": past.stored, "ended": past.ended + len(self._finished)}
        place["told"] = past.told
        if past.number:
            place |= {"chunk": past.number, "bytes": past.size, "sha256": past.sha256, "cut": 0}
        header: dict[str, Any] = {"format": FORMAT, "run": self.run, "lane": self.folder.name}
        header |= {"epoch": list(self.epoch), "owner": self._owner, "chunk": past.number + 1}
        content = {"before": {**place, **page.before}, "totals": page.totals, "seen": page.seen}
        self._write({"kind": "header", **header, **content, "going": page.going})
        self._head = self._size

    def sync(self) -> None:
        """Seal what waits, if anything does; then a page must be turned before the next record.

        Raises FencedError when a newer owner has the lane, OutrunError when it was never ours and an older
        owner has sealed more.
        """
        if self._refused:
            raise self._refused
        if self._lines is None or not (self._records or not self._owned):
            return
        data = b"".join(self._lines)
        packed = chunks.compressed(data)
        chunk = self.folder / history.object_name(self._past.number + 1)
        try:
            chunk.put(packed, exclusively=True)
        except FileExistsError:
            self._refused = self._lost(chunk)
            raise self._refused from None
        except StorageError as error:
            self._refused = error
            raise
        past = self._past
        past.number, past.size, past.sha256 = past.number + 1, len(data), hashlib.sha256(data).hexdigest()
        past.stored, past.ended = past.stored + len(packed), past.ended + len(self._finished)
        past.note(past.number, self._finished)
        self._lines, self._records, self._decided, self._owned = None, 0, False, True
        self._sealed = self._clock()

    def _lost(self, chunk: ObjectPath) -> FencedError:
        """Why a number was somebody else's."""
        header = chunks.header(chunk)
        newest: Epoch = tuple(header["epoch"]) if header else (0, 0)
        if newest > self.epoch:
            return journal.overtaken(self.folder, newest, self.epoch)
        if self._owned:
            raise JournalDamagedError(
                f"{chunk}: written by epoch {newest[0]}-{newest[1]} while the lane was epoch {self.epoch[0]}-"
                f"{self.epoch[1]}'s: the store lets two conditional writes of one name succeed"
            )
        raise OutrunError

    def close(self) -> None:
        """Let go; what waits is lost."""
        self._lines, self._records = None, 0
