"""A run on disk: one directory with a manifest, the lanes and, when it has ended, a result.

Small files are written whole (to a temporary name, synced, renamed). Reading a run never imports its
plug-ins.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from maker import chunks, compatibility, history, journal
from maker.disk import DISK, Disk
from maker.errors import FencedError, IncompatibleResumeError, JournalDamagedError, UsageError
from maker.manifest import Manifest
from maker.nouns import Json
from maker.records import FORMAT, Record

_FAULTS = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
"""Of the storage; any other refusal is of the place that was named."""


_RESULT = (("status", str), ("steps", int), ("samples", int))
"""What every result has."""


class _TakenError(UsageError):
    """There is something in the directory."""


class RunDirectory:
    def __init__(self, path: Path, disk: Disk = DISK) -> None:
        self.path = path
        self._disk = disk

    def begin(self, manifest: Manifest) -> Manifest:
        """Write the manifest; or return the one of the same run, with what may change taken from this one.

        Raises IncompatibleResumeError when the run there is another.
        """
        try:
            return self.create(manifest)
        except _TakenError:
            if not (self.path / "manifest.json").exists():
                raise
        stored = self.manifest()
        compatibility.check(self.path, stored, manifest)
        return stored.model_copy(update={"max_samples": manifest.max_samples})

    def check(self, manifest: Manifest) -> None:
        """Raises as `begin` would, but for the first prompt, which it takes the task to know."""
        if (self.path / "manifest.json").exists():
            stored = self.manifest()
            asked = manifest.model_copy(update={"prompt": stored.prompt})
            compatibility.check(self.path, stored, asked)

    def create(self, manifest: Manifest) -> Manifest:
        """Write the manifest into a new or empty directory, if no other process is quicker.

        Raises UsageError when there is something in it or it cannot be made, StorageError when the file
        system fails.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is no directory: give another --run-dir")
        try:
            self._disk.make_folder(self.path)
            if not all(entry.name.startswith(".manifest.json.") for entry in self.path.iterdir()):
                raise _TakenError(f"{self.path} is not empty: give another --run-dir")
            self._put("manifest.json", manifest.model_dump(mode="json"), exclusively=True)
        except FileExistsError:
            raise _TakenError(f"{self.path} has just become another run: give another --run-dir") from None
        except OSError as error:
            if error.errno in _FAULTS:
                raise journal.refused(self.path, error) from None
            raise UsageError(f"{self.path}: {error.strerror}; give another --run-dir") from None
        return manifest

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
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise JournalDamagedError(
                f"{path}: {place}: {first['msg']}: put back the file as it was"
            ) from None

    def claim(self, settings: dict[str, Json]) -> int:
        """Take the run over for a command, and record its settings; the command's number, from 1.

        Of two commands on one run the one with the greater number owns it.
        """
        with journal.storage(self.path):
            self._disk.make_folder(self.path / "claims")
            while True:
                command = self._newest_claim() + 1
                with suppress(FileExistsError):
                    self._put(f"claims/{command:06d}.json", settings, exclusively=True)
                    return command

    def check_owner(self, command: int) -> None:
        """Raises FencedError if a newer command has claimed the run."""
        if (newest := self._newest_claim()) > command:
            raise FencedError(
                f"{self.path}: command {newest} has taken the run over from command {command}; "
                "this process stops, the newer one goes on"
            )

    def commands(self) -> list[dict[str, Json]]:
        """The settings of every command that has owned the run, in order."""
        return [self._read(self.path / "claims" / f"{number:06d}.json") for number in self._claims()]

    def _newest_claim(self) -> int:
        return max(self._claims(), default=0)

    def _claims(self) -> list[int]:
        folder = self.path / "claims"
        names = os.listdir(folder) if folder.is_dir() else []
        return sorted(int(name[:-5]) for name in names if name[:-5].isdigit() and name.endswith(".json"))

    def lane(self, lane: str) -> Path:
        return self.path / "lanes" / lane

    def lanes(self) -> list[str]:
        folder = self.path / "lanes"
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def size(self) -> int:
        """Bytes of all chunks."""
        return sum(self._bytes(chunk) for lane in self.lanes() for chunk in chunks.of(self.lane(lane)))

    def sealed(self) -> tuple[int, int]:
        """(bytes of all chunks but each lane's newest, samples in them)"""
        found = samples = 0
        for lane in self.lanes():
            there = chunks.of(self.lane(lane))
            if there and (header := chunks.header(there[-1])):
                found += sum(map(self._bytes, there[:-1]))
                samples += header["totals"]["samples"]
        return found, samples

    def _bytes(self, chunk: Path) -> int:
        with suppress(FileNotFoundError):  # sealed since it was listed
            return chunk.stat().st_size
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

    def _put(self, name: str, value: Json, exclusively: bool = False) -> None:
        self._disk.put(self.path / name, f"{json.dumps(value, indent=1)}\n".encode("ascii"), exclusively)

    def _read(self, path: Path) -> dict[str, Json]:
        try:
            value: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
            return value
        except ValueError as error:
            raise JournalDamagedError(f"{path} is no JSON ({error}): put the file back as it was") from None
