"""A lane's journal: chunks in order, one writer at a time, ownership by claims.

    lanes/<lane>/claims/<command>-<owner>    created exclusively: who owns the lane; the newest claim wins
    lanes/<lane>/<chunk>.jsonl*              see chunks.py

A chunk's header says how far the chunk before it counts (bytes and their digest), so what an older owner
appends after a takeover is ignored, and it holds all that a resume needs: one chunk per lane is read, not
the history. Invariant: a record is in the file (of a process that may die) when `append` returns, and on
the disk (of a machine that may die) when the next `sync` has. What could not be written once is not tried
again: the owner stops, and the next one cuts the torn tail.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from maker import chunks, history
from maker.disk import DISK, Disk
from maker.errors import FencedError, StorageError
from maker.nouns import Json
from maker.place import Place
from maker.records import FORMAT, Record

Epoch: TypeAlias = tuple[int, int]
"""Number of a lane's owner: (command of the run, owner in that command), both from 1; the greater wins."""
Durability: TypeAlias = Literal["group", "step"]
"""When records are synced: by whoever calls `sync`, now and then; or also with every decision."""

COPIED = 0
"""In place of a command's number: of the owner that copies a lane for a fork of its run."""
CHUNK_BYTES = 4 << 20
"""An open chunk that has grown so large is sealed: what a resume reads at most, about 8,000 samples."""
LONG_HEADER = CHUNK_BYTES // 2
"""A header of so many bytes (it holds the samples of many parked steps) is followed by as many, at least."""


def room(header: int) -> int:
    """Bytes that a chunk may grow to, given those of its header."""
    return CHUNK_BYTES if header < LONG_HEADER else 2 * header


@dataclass(frozen=True, slots=True)
class Seal:
    """How much may wait in memory where a chunk is written whole: what the death of its process costs."""

    seconds: float = 10.0
    """Since the first record that waits."""
    records: int = 5000


SEAL = Seal()


@dataclass(frozen=True, slots=True)
class Page:
    """What a header says beside its place: enough to go on from."""

    totals: dict[str, Json]
    """Of the lane, up to the header."""
    going: list[dict[str, Json]]
    """Unfinished segments: state, and the samples of the open step."""
    before: dict[str, Json] = field(default_factory=dict)
    """What the chunk before holds: counts, and the segments that finished in it."""
    seen: dict[str, Json] = field(default_factory=dict)
    """By a model's name: as what it last answered."""


class Journal(Protocol):
    """The seam: where an engine writes."""

    @property
    def full(self) -> bool:
        """It is time to turn the page."""
        ...

    def append(self, *records: Record) -> None: ...
    def turn(self, page: Page) -> None:
        """Seal what was written and go on with a new chunk."""
        ...


class OutrunError(Exception):
    """An older owner has made more durable since the lane was read: read it again."""


class OwnedLane(Journal, Protocol):
    """A lane in the hands of its owner: `last`, `turn` to the first page, `sync`, and it may write.

    Whoever claims it later is the newer owner. Of an older one nothing counts that came after the newer one's
    first `sync` had returned; its own next `sync` of a record raises FencedError, as may any `append`.
    `maker.testing.JournalSuite` checks that.
    """

    @property
    def is_open(self) -> bool:
        """Whether records may be appended before the next `turn`."""
        ...

    @property
    def due(self) -> bool:
        """Whether it is time for the next `sync`, as somebody asks once a second."""
        ...

    @property
    def rest(self) -> float:
        """Seconds to wait until a `sync` is worth its price."""
        ...

    def last(self) -> tuple[Record | None, Iterator[Record]]:
        """The newest header, with all that its page said, and the records after it: as the claim found it."""
        ...

    def finished(self) -> Iterator[list[Json]]:
        """[segment, steps, final state] of every segment told of by pages up to that one, in any order."""
        ...

    def sync(self) -> None:
        """Make all records durable. Raises FencedError when a newer owner has the lane; the first one after a
        claim may raise OutrunError."""
        ...

    def close(self) -> None:
        """Let go; what was not synced may be lost."""
        ...


class Lane:
    """A lane on disk in its owner's hands: `claim`, read what is there, `turn` to the first page, write."""

    def __init__(
        self, folder: Path, run: str, epoch: Epoch, durability: Durability = "group", disk: Disk = DISK
    ) -> None:
        self.folder, self.run, self.epoch, self.durability = folder, run, epoch, durability
        self._disk = disk
        self._chunk: Path | None = None
        self._file = -1
        self._size = self._durable = self._crc = self._head = 0
        self._hash = hashlib.sha256()
        self._refused: StorageError | FencedError | None = None
        with self._writing():
            counted, self._cut = _sealed(folder, epoch, disk)
        self._before = counted[-1] if counted else None
        self._headers = [header for _, _, header in counted]

    @classmethod
    def claim(
        cls, folder: Path, run: str, command: int = 1, durability: Durability = "group", disk: Disk = DISK
    ) -> Lane:
        """Take the lane over, whoever owned it; what counts of it up to now is fixed here.

        Raises FencedError when a newer command of the run owns it.
        """
        with storage(folder):
            leftovers = list(folder.glob(".*"))  # of older owners; whoever claims it later has others
            epoch = cls._claim(folder, command, disk)
            for leftover in leftovers:
                disk.remove(leftover)
            return cls(folder, run, epoch, durability, disk)

    @classmethod
    def _claim(cls, folder: Path, command: int, disk: Disk) -> Epoch:
        claims = folder / "claims"
        disk.make_folder(claims)
        while True:
            newest = _newest(claims)
            epoch = (command, newest[1] + 1 if newest[0] == command else 1)
            if newest > epoch:
                raise overtaken(folder, newest, epoch)
            try:
                disk.close(disk.create(claims / "{:06d}-{:06d}".format(*epoch)))
            except FileExistsError:
                continue
            disk.sync_folder(claims)
            return epoch

    @property
    def is_open(self) -> bool:
        return self._file >= 0

    @property
    def due(self) -> bool:
        return True

    @property
    def rest(self) -> float:
        return 0.0

    @property
    def full(self) -> bool:
        return self._size >= room(self._head)

    def last(self) -> tuple[Record | None, Iterator[Record]]:
        """The newest header and the records after it: what a resume reads."""
        if self._before is None:
            return None, iter(())
        chunk, end, _ = self._before
        records = history.records_of(chunk, end)
        return next(records), records

    def finished(self) -> Iterator[list[Json]]:
        """[segment, steps, final state] of every segment that finished before the newest chunk."""
        for header in self._headers:
            yield from header["before"].get("finished", [])

    def append(self, *records: Record) -> None:
        data = b"".join(map(self._line, records))
        self._hash.update(data)
        self._size += len(data)
        if self._refused:
            raise self._refused
        try:
            self._disk.write(self._file, data)
            if self.durability == "step" and any(each["kind"] == "decision" for each in records):
                self._make_durable()
        except OSError as error:
            raise self._refuse(error) from None

    def _line(self, record: Record) -> bytes:
        line, self._crc = chunks.encode(record, self._crc)
        return line

    def turn(self, page: Page) -> None:
        """Begin a new chunk whose header carries `page`, and seal the one before."""
        with self._writing():
            self._turn(page)

    def _turn(self, page: Page) -> None:
        before, mine = self._before, self._chunk
        if mine is not None:
            self.sync()
            self.close()
            before = (mine, self._size, {})
        place = self._place(before) if before else {}
        header = {"format": FORMAT, "run": self.run, "lane": self.folder.name, "epoch": list(self.epoch)}
        self._chunk, self._file = self._create_next()
        self._size = self._durable = self._crc = 0
        self._hash = hashlib.sha256()
        before_it = {**place, **page.before}
        content = {"before": before_it, "totals": page.totals, "seen": page.seen, "going": page.going}
        self.append({"kind": "header", **header, "chunk": chunks.number(self._chunk), **content})
        self._head = self._size
        self.sync()
        self._disk.sync_folder(self.folder)
        if mine is not None and before is not None:
            chunks.seal(mine, before[1], self._disk)

    def _place(self, before: tuple[Path, int, Record]) -> dict[str, Json]:
        """Which chunk a header follows, how much of it counts and what that is."""
        chunk, end, _ = before
        mine = chunk == self._chunk
        sha256 = self._hash.hexdigest() if mine else chunks.digest(chunk, end)
        cut, self._cut = self._cut, 0
        return {"chunk": chunks.number(chunk), "bytes": end, "sha256": sha256, "cut": cut}

    def _create_next(self) -> tuple[Path, int]:
        """A new chunk after the newest one, open for appending; another owner may be doing the same."""
        found = chunks.of(self.folder)
        number = chunks.number(found[-1]) if found else 0
        while True:
            number += 1
            path = self.folder / f"{number:06d}.jsonl"
            try:
                return path, self._disk.create(path)
            except FileExistsError:
                continue

    def sync(self) -> None:
        """Make all records durable. Raises FencedError if another owner has claimed the lane."""
        with self._writing():
            self._make_durable()
            newest = _newest(self.folder / "claims")
        if newest > self.epoch:
            raise overtaken(self.folder, newest, self.epoch)

    def _make_durable(self) -> None:
        if self._durable < self._size:
            self._disk.sync(self._file)
            self._durable = self._size

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """After the first refusal of the file system, nothing more is written: a line may be torn there.

        A newer owner that clears away what was half written is no refusal.
        """
        if self._refused:
            raise self._refused
        try:
            yield
        except OSError as error:
            raise self._refuse(error) from None

    def _refuse(self, error: OSError) -> StorageError | FencedError:
        self._refused = self._overtaken() or refused(self.folder, error)
        return self._refused

    def _overtaken(self) -> FencedError | None:
        with suppress(OSError):
            newest = _newest(self.folder / "claims")
            return overtaken(self.folder, newest, self.epoch) if newest > self.epoch else None
        return None

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            self._disk.close(file)


@contextmanager
def storage(where: Place) -> Iterator[None]:
    """What the file system refuses is a StorageError: the run stops, and goes on when there is room again."""
    try:
        yield
    except OSError as error:
        raise refused(where, error) from None


def refused(where: Place, error: OSError) -> StorageError:
    return StorageError(
        f"{where} cannot be written: {error.strerror or error}; nothing is lost, see to it and run the "
        "same command again"
    )


def _sealed(folder: Path, mine: Epoch, disk: Disk) -> tuple[list[tuple[Path, int, Record]], int]:
    """What counts, all of it sealed and so durable, whoever else still writes; and the bytes of a cut tail.

    Only then may a header state it: what an older owner wrote last may be gone when the power fails.
    Raises FencedError when a newer owner has begun a chunk: that one must stay open.
    """
    cut = 0
    while True:
        counted = history.parts(folder)
        if counted and (newest := tuple(counted[-1][2]["epoch"])) > mine:
            raise overtaken(folder, newest, mine)
        open_ones = [(chunk, end) for chunk, end, _ in counted if not chunks.is_sealed(chunk)]
        if not open_ones:
            return counted, cut
        if not chunks.is_sealed(counted[-1][0]):
            with suppress(FileNotFoundError):
                cut = counted[-1][0].stat().st_size - counted[-1][1]
        for chunk, end in open_ones:
            chunks.seal(chunk, end, disk)


_CLAIM = re.compile(r"(\d+)-(\d+)")


def _newest(claims: Path) -> Epoch:
    found = map(_CLAIM.fullmatch, os.listdir(claims))
    return max(((int(claim[1]), int(claim[2])) for claim in found if claim), default=(0, 0))


def overtaken(folder: Place, newest: Epoch, mine: Epoch) -> FencedError:
    return FencedError(
        f"lane {folder.name}: epoch {newest[0]}-{newest[1]} has taken over from epoch {mine[0]}-{mine[1]}; "
        "this process stops, the newer one goes on"
    )
