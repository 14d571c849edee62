"""A run on disk: one directory with a manifest, the lanes and, when it has ended, a result.

Small files are written whole (to a temporary name, synced, renamed). Reading a run never imports its
plug-ins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from maker import journal
from maker.errors import IncompatibleResumeError, JournalDamagedError, UsageError
from maker.manifest import Manifest
from maker.nouns import Json
from maker.records import FORMAT, Record


class RunDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, manifest: Manifest) -> Manifest:
        """Write the manifest; or return the one of the same run, with what may change taken from this one.

        Raises IncompatibleResumeError when the run there is another.
        """
        try:
            return self.create(manifest)
        except UsageError:
            if not (self.path / "manifest.json").exists():
                raise
        stored = self.manifest()
        if differences := stored.differences(manifest):
            raise IncompatibleResumeError(
                f"{self.path} holds another run; what differs:\n  " + "\n  ".join(differences)
            )
        return stored.model_copy(update={"max_samples": manifest.max_samples})

    def create(self, manifest: Manifest) -> Manifest:
        """Write the manifest into a new or empty directory, if no other process is quicker.

        Raises UsageError when there is something in it.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is no directory: give another --run-dir")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not all(entry.name.startswith(".manifest.json.") for entry in self.path.iterdir()):
                raise UsageError(f"{self.path} is not empty: give another --run-dir")
            self._write("manifest.json", manifest.model_dump(mode="json"), exclusively=True)
        except FileExistsError:
            raise UsageError(f"{self.path} has just become another run: give another --run-dir") from None
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}; give another --run-dir") from None
        return manifest

    def manifest(self) -> Manifest:
        path = self.path / "manifest.json"
        if not path.is_file():
            raise UsageError(f"{self.path} is no run: it has no manifest.json")
        stored = self._read(path)
        if isinstance(stored, dict) and stored.get("format", 0) > FORMAT:
            raise IncompatibleResumeError(
                f"{path}: format {stored['format']}, this version reads up to {FORMAT}: update maker"
            )
        try:
            return Manifest.model_validate(stored)
        except ValidationError as error:
            raise JournalDamagedError(f"{path}: {error.errors()[0]['msg']}") from None

    def lane(self, lane: str) -> Path:
        return self.path / "lanes" / lane

    def lanes(self) -> list[str]:
        folder = self.path / "lanes"
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def records(self, kinds: tuple[str, ...]) -> Iterator[Record]:
        for lane in self.lanes():
            yield from journal.read(self.lane(lane), kinds)

    def result(self) -> dict[str, Json] | None:
        path = self.path / "result.json"
        return self._read(path) if path.is_file() else None

    def write_result(self, result: dict[str, Json]) -> None:
        with journal.storage(self.path):
            self._write("result.json", result)

    def _write(self, name: str, value: Json, exclusively: bool = False) -> None:
        """Write a small file whole; `exclusively` raises FileExistsError when it is there already."""
        temporary = self.path / f".{name}.{os.getpid()}"
        with temporary.open("w", encoding="ascii") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        if exclusively:
            try:
                os.link(temporary, self.path / name)
            finally:
                temporary.unlink()
        else:
            temporary.replace(self.path / name)

    def _read(self, path: Path) -> dict[str, Json]:
        try:
            value: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
            return value
        except ValueError as error:
            raise JournalDamagedError(f"{path}: {error}") from None
