"""A run where it is kept, a directory or a prefix of an object store: a manifest, the lanes and, when it has
ended, a result.

Small files are written whole (on disk to a temporary name, synced, renamed). Reading a run never imports its
plug-ins.
"""

from __future__ import annotations

import errno
import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from maker import chunks, compatibility, history, journal
from maker.disk import DISK, Disk
from maker.errors import FencedError, IncompatibleResumeError, JournalDamagedError, UsageError, first_fault
from maker.manifest import Manifest
from maker.nouns import Json
from maker.objects import ObjectPath
from maker.place import Place, entries
from maker.records import FORMAT, Record

_FAULTS = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
"""Of the storage; any other refusal is of the place that was named."""


LOOK_SECONDS = 1.0
"""Between two looks at who owns a run, where a look is a request."""

_RESULT = (("status", str), ("steps", int), ("samples", int))
"""What every result has."""


class _TakenError(UsageError):
    """There is something in the directory."""


class RunDirectory:
    def __init__(self, path: Place, disk: Disk = DISK) -> None:
        self.path = path
        self._disk = disk

    def begin(self, manifest: Manifest) -> Manifest:
        """Write the manifest; or return the one of the same run, with what may change taken from this one.

        Raises IncompatibleResumeError when the run there is another.
        """
        try:
            return self.create(manifest)
        except _TakenError:
            if not (self.path / "manifest.json").is_file():
                raise
        stored = self.manifest()
        compatibility.check(self.path, stored, manifest)
        return stored.model_copy(update={"max_samples": manifest.max_samples})

    def check(self, manifest: Manifest) -> None:
        """Raises as `begin` would, but for the first prompt, which it takes the task to know."""
        if (self.path / "manifest.json").is_file():
            stored = self.manifest()
            asked = manifest.model_copy(update={"prompt": stored.prompt})
            compatibility.check(self.path, stored, asked)

    def create(self, manifest: Manifest) -> Manifest:
        """Write the manifest into a new or empty directory, if no other process is quicker.

        Raises UsageError when there is something in it or it cannot be made, StorageError when the file
        system fails.
        """
        try:
            self._make_folder(self.path)
            if not all(entry.name.startswith(".manifest.json.") for entry in entries(self.path)):
                raise _TakenError(f"{self.path} is not empty: give another --run-dir")
            self._put("manifest.json", manifest.model_dump(mode="json"), exclusively=True)
        except FileExistsError:
            raise _TakenError(f"{self.path} has just become another run: give another --run-dir") from None
        except OSError as error:
            if error.errno in _FAULTS:
                raise journal.refused(self.path, error) from None
            raise UsageError(f"{self.path}: {error.strerror}; give another --run-dir") from None
        return manifest

    def _make_folder(self, folder: Place) -> None:
        """In an object store there are none."""
        if isinstance(folder, Path):
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder} is no directory: give another --run-dir")
            self._disk.make_folder(folder)

    def manifest(self) -> Manifest:
        path = self.path / "manifest.json"
        if not path.is_file():
            raise UsageError(f"{self.path} is no run: it has no manifest.json")
        stored = self._read(path)
        if not isinstance(stored, dict) or type(stored.get("format")) is not int or stored["format"] < 1:
            raise JournalDamagedError(f"{path} is no manifest of a run: it states no format")
        if stored["format"] > FORMAT:
            raise IncompatibleResumeError(
                f"{path}: format {stored['format']}, this version reads up to {FORMAT}: update maker"
            )
        try:
            return Manifest.model_validate(stored)
        except ValidationError as error:
            raise JournalDamagedError(f"{path}: {first_fault(error)}: put back the file as it was") from None

    def claim(self, settings: dict[str, Json]) -> int:
        """Take the run over for a command, and record its settings; the command's number, from 1.

        Of two commands on one run the one with the greater number owns it.
        """
        with journal.storage(self.path):
            self._make_folder(self.path / "claims")
            while True:
                command = self._newest_claim() + 1
                with suppress(FileExistsError):
                    self._put(self._claim(command), self._signed(settings), exclusively=True)
                    return command

    def _signed(self, settings: dict[str, Json]) -> dict[str, Json]:
        """Unlike any other claim, so that its writer knows it again in an object store."""
        local = isinstance(self.path, Path)
        return settings if local else {**settings, "claim": secrets.token_hex(8)}

    def check_owner(self, command: int) -> None:
        """Raises FencedError if a newer command has claimed the run."""
        if (self.path / self._claim(command + 1)).is_file():
            raise FencedError(
                f"{self.path}: command {self._newest_claim()} has taken the run over from command {command}; "
                "this process stops, the newer one goes on"
            )

    def watch(self, command: int) -> Callable[[], None]:
        """`check_owner` for whoever asks often; in an object store it looks once a second."""
        look = partial(self.check_owner, command)
        return look if isinstance(self.path, Path) else _Seldom(look)

    def commands(self) -> list[dict[str, Json]]:
        """The settings of every command that has owned the run, in order."""
        return [self._read(self.path / self._claim(number)) for number in self._claims()]

    def newest_command(self) -> dict[str, Json] | None:
        """The settings of the one that owns the run."""
        newest = self._newest_claim()
        return self._read(self.path / self._claim(newest)) if newest else None

    @staticmethod
    def _claim(command: int) -> str:
        return f"claims/{command:06d}.json"

    def add_control(self, make: Callable[[int], dict[str, Json]]) -> int:
        """Leave a request for the command that owns the run, made of that one's number; the request's own,
        from 1."""
        with journal.storage(self.path):
            self._make_folder(self.path / "control")
            while True:
                number = len(self.controls()) + 1
                with suppress(FileExistsError):
                    self._put(self._control(number), make(self._newest_claim()), exclusively=True)
                    return number

    def controls(self, known: int = 0) -> list[dict[str, Json]]:
        """Every request so far but the first ones, in order; without a new one it costs one look."""
        found: list[dict[str, Json]] = []
        while (path := self.path / self._control(known + len(found) + 1)).is_file():
            found.append(self._read(path))
        return found

    @staticmethod
    def _control(number: int) -> str:
        return f"control/{number:06d}.json"

    def keep_limits(self, command: int, figures: dict[str, Json]) -> None:
        """How a command's requests to models go, in the place of what it last kept."""
        with journal.storage(self.path):
            self._make_folder(self.path / "limits")
            self._put(f"limits/{command:06d}.json", figures)

    def limits(self) -> dict[str, Json] | None:
        """What the newest command kept that made requests."""
        numbers = self._numbers("limits")
        return self._read(self.path / "limits" / f"{numbers[-1]:06d}.json") if numbers else None

    def _newest_claim(self) -> int:
        return max(self._claims(), default=0)

    def _claims(self) -> list[int]:
        return self._numbers("claims")

    def _numbers(self, folder: str) -> list[int]:
        """Of the numbered files in a folder."""
        names = [entry.name for entry in entries(self.path / folder)]
        return sorted(int(name[:-5]) for name in names if name[:-5].isdigit() and name.endswith(".json"))

    def lane(self, lane: str) -> Place:
        return self.path / "lanes" / lane

    def lanes(self) -> list[str]:
        return sorted(entry.name for entry in entries(self.path / "lanes"))

    def size(self) -> int:
        """Bytes of all chunks."""
        return sum(self._size(self.lane(lane)) for lane in self.lanes())

    def _size(self, lane: Place) -> int:
        if isinstance(lane, ObjectPath):
            return sum(history.bytes_of(lane))
        return sum(map(self._bytes, chunks.of(lane)))

    def sealed(self) -> tuple[int, int]:
        """(bytes of all chunks but each lane's newest, samples in them)"""
        found = samples = 0
        for lane in self.lanes():
            there = chunks.of(self.lane(lane))
            if there and (header := chunks.header(there[-1])):
                found += sum(map(self._bytes, there[:-1]))
                samples += header["totals"]["samples"]
        return found, samples

    def _bytes(self, chunk: Place) -> int:
        with suppress(FileNotFoundError):  # sealed since it was listed
            return int(chunk.stat().st_size)
        return 0

    def records(self, kinds: tuple[str, ...]) -> Iterator[Record]:
        for lane in self.lanes():
            yield from history.read(self.lane(lane), kinds)

    def result(self) -> dict[str, Json] | None:
        path = self.path / "result.json"
        if not path.is_file():
            return None
        found = self._read(path)
        if not isinstance(found, dict) or any(type(found.get(name)) is not kind for name, kind in _RESULT):
            raise JournalDamagedError(f"{path} is no result of a run: remove it, a resume writes it again")
        return found

    def write_result(self, result: dict[str, Json]) -> None:
        with journal.storage(self.path):
            self._put("result.json", result)

    def progress(self) -> dict[str, Json] | None:
        """What the newest command last left of where it is (see pulse.py)."""
        path = self.path / "progress.json"
        found = self._read(path) if path.is_file() else None
        return found if isinstance(found, dict) else None

    def write_progress(self, progress: dict[str, Json]) -> None:
        with journal.storage(self.path):
            self._put("progress.json", progress)

    def _put(self, name: str, value: Json, exclusively: bool = False) -> None:
        data, path = f"{json.dumps(value, indent=1)}\n".encode("ascii"), self.path / name
        if isinstance(path, Path):
            self._disk.put(path, data, exclusively)
        elif isinstance(path, ObjectPath):
            path.put(data, exclusively)

    def _read(self, path: Place) -> dict[str, Json]:
        try:
            value: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
            return value
        except ValueError as error:
            raise JournalDamagedError(f"{path} is no JSON ({error}): put the file back as it was") from None


class _Seldom:
    """Does something when it was last done a while ago."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look, self._last = look, -math.inf

    def __call__(self) -> None:
        if time.monotonic() - self._last >= LOOK_SECONDS:
            self._look()
            self._last = time.monotonic()
