"""What the file system refuses, at every operation of a run's life: the run ends and says so, keeps what it
has, and the same command ends it as if nothing had happened."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from maker import asked, assembly, journal
from maker.cluster.lane_worker import LaneWorker
from maker.cluster.messages import Orders
from maker.command import Command
from maker.disk import Disk
from maker.errors import MakerError
from maker.metrics import Change
from maker.result import RunResult, stored
from maker.run_directory import RunDirectory
from tests.simulation.auditor import lane_lines

MANIFEST = asked.manifest(
    "hanoi", {"disks": 3, "waypoints": 3}, "sim:error=0.1,flags=0.1", 2, None, "truncated", 5, 100
)
NEEDS_ROOM = ("mkdir", "create", "write")


@dataclass
class FaultyDisk(Disk):
    """Refuses its operation number `at`; with `full`, from then on all that need room. What it was asked to
    do, and what of that was refused, is in its log."""

    at: int = 0
    error: int = errno.EIO
    full: bool = False
    log: list[tuple[str, Path, bool]] = field(default_factory=list)
    """(operation, path, done)"""
    records: set[str] = field(default_factory=set)
    """Whose write was not refused: whoever wrote them goes on in that belief."""
    _paths: dict[int, Path] = field(default_factory=dict)
    """Of open files."""

    def _refuses(self, operation: str, path: Path) -> bool:
        number = len(self.log) + 1
        refused = number == self.at or (self.full and 0 < self.at < number and operation in NEEDS_ROOM)
        self.log.append((operation, path, not refused))
        return refused

    def _do(self, operation: str, path: Path) -> None:
        if self._refuses(operation, path):
            raise OSError(self.error, os.strerror(self.error))

    def make_folder(self, folder: Path) -> None:
        self._do("mkdir", folder)
        super().make_folder(folder)

    def create(self, path: Path) -> int:
        self._do("create", path)
        file = super().create(path)
        self._paths[file] = path
        return file

    def write(self, file: int, data: bytes) -> None:
        if self._refuses("write", self._paths[file]):
            super().write(file, data[: len(data) // 2])
            raise OSError(self.error, os.strerror(self.error))
        super().write(file, data)
        if data.startswith(b'{"kind":') and not data.startswith(b'{"kind":"header"'):
            self.records |= {content(json.loads(line)) for line in data.splitlines()}

    def sync(self, file: int) -> None:
        """Nothing is synced really: it would take most of the time, and no machine dies here."""
        self._do("fsync", self._paths[file])

    def sync_folder(self, folder: Path) -> None:
        self._do("fsync folder", folder)

    def rename(self, old: Path, new: Path) -> None:
        self._do("rename", new)
        super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        self._do("link", new)
        super().link(old, new)

    def remove(self, path: Path) -> None:
        self._do("remove", path)
        super().remove(path)

    def synced_again(self) -> set[Path]:
        """Files that were synced although a sync of them had failed before."""
        syncs = [(path, done) for operation, path, done in self.log if operation == "fsync"]
        return {path for n, (path, done) in enumerate(syncs) if not done and (path in dict(syncs[n + 1 :]))}


@dataclass
class OnDisk:
    """A crew of this process, as `InlineCrew`, on a disk of its own."""

    disk: Disk

    def hire(self, orders: Orders) -> LaneWorker:
        return LaneWorker(orders, self.disk)

    async def watch(self) -> None:
        await asyncio.Event().wait()

    def publish(self, changes: Sequence[Change]) -> None:
        pass


def run(path: Path, disk: Disk, unheard: list[Any] | None = None) -> RunResult:
    """What `maker run --engine inline` does; `unheard` gets the errors that nobody awaited."""
    directory = RunDirectory(path, disk)
    manifest = directory.begin(MANIFEST)
    if finished := stored(directory):
        return finished
    command = Command(directory, manifest, assembly.task(manifest))

    async def carry_out() -> RunResult:
        if unheard is not None:
            asyncio.get_running_loop().set_exception_handler(lambda _, what: unheard.append(what))
        return await command.carry_out(OnDisk(disk))

    return asyncio.run(carry_out())


def lines(path: Path) -> Iterator[dict[str, Any]]:
    for lane in sorted((path / "lanes").iterdir()) if (path / "lanes").exists() else []:
        yield from lane_lines(lane)


def decisions(path: Path) -> list[tuple[Any, ...]]:
    found = [line for line in lines(path) if line["kind"] == "decision"]
    return sorted((d["segment"], d["step"], json.dumps([d["answer"], d["votes"], d["flags"]])) for d in found)


def content(line: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in line.items() if name not in ("crc", "end")})


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that chunks are sealed in a run's short life."""
    monkeypatch.setattr(journal, "CHUNK_BYTES", 2500)


@dataclass(frozen=True)
class Straight:
    """The run that nothing is refused."""

    log: list[tuple[str, Path, bool]]
    decisions: list[tuple[Any, ...]]
    done: dict[str, Any]


@pytest.fixture
def straight(tmp_path: Path, small_chunks: None) -> Straight:
    disk = FaultyDisk()
    done = run(tmp_path / "straight", disk)
    assert done.verified is True
    return Straight(disk.log, decisions(tmp_path / "straight"), comparable(done))


def comparable(result: RunResult) -> dict[str, Any]:
    return {name: value for name, value in result.to_json().items() if name not in ("seconds", "run")}


def test_every_kind_of_operation_is_tried(straight: Straight) -> None:
    kinds = {"mkdir", "create", "write", "fsync", "fsync folder", "rename", "link", "remove"}
    assert {operation for operation, _, _ in straight.log} == kinds
    sealed = [path for operation, path, _ in straight.log if operation == "rename" and path.suffix == ".zst"]
    assert sealed


@pytest.mark.parametrize(("error", "full"), [(errno.EIO, False), (errno.ENOSPC, True)])
def test_a_refusal_at_any_operation_ends_the_run_in_order_and_the_same_command_ends_it_well(
    tmp_path: Path, straight: Straight, error: int, full: bool
) -> None:
    wrong = []
    for at, (operation, path, _) in enumerate(straight.log, 1):
        broken = refused(tmp_path / f"run{at}", FaultyDisk(at, error, full), straight)
        wrong += [f"{operation} of {path.name} (operation {at}): {what}" for what in broken]
    assert not wrong


def test_the_same_holds_for_a_command_that_goes_on(tmp_path: Path, straight: Straight) -> None:
    half, disk, wrong = tmp_path / "half", FaultyDisk(), []
    ended(half, FaultyDisk(len(straight.log) * 2 // 3), [])
    assert run(shutil.copytree(half, tmp_path / "second"), disk).verified is True
    for at, (operation, path, _) in enumerate(disk.log, 1):
        folder = shutil.copytree(half, tmp_path / f"run{at}")
        broken = refused(folder, FaultyDisk(at, errno.EIO), straight)
        wrong += [f"{operation} of {path.name} (operation {at}): {what}" for what in broken]
    assert not wrong


def refused(folder: Path, disk: FaultyDisk, straight: Straight) -> list[str]:
    """What is not as it should be with a command on this disk, and one on a sound disk after it."""
    unheard: list[Any] = []
    code, said = ended(folder, disk, unheard)
    kept = {content(line) for line in lines(folder)}
    again = run(folder, FaultyDisk())
    checks = {
        f"exit code {code}": code == 1,
        f"{said!r} is the storage's": said.startswith(("blocked", "StorageError")),
        f"{said!r} says where and what to do": str(folder) in said and "same command again" in said,
        f"{said!r} is one line": "\n" not in said and "Traceback" not in said,
        f"nobody hears of {unheard}": not unheard,
        "a record that was written is lost": disk.records <= kept,
        "a record is lost later": kept <= {content(line) for line in lines(folder)},
        "a file is synced again after an error": not disk.synced_again(),
        f"ends otherwise: {again.reason}": comparable(again) == straight.done,
        "decides otherwise": decisions(folder) == straight.decisions,
    }
    return [what for what, holds in checks.items() if not holds]


def ended(folder: Path, disk: FaultyDisk, unheard: list[Any]) -> tuple[int, str]:
    """Exit code and reason of the command."""
    try:
        result = run(folder, disk, unheard)
        return result.exit_code, f"{result.status}: {result.reason}"
    except MakerError as error:
        return error.exit_code, f"{type(error).__name__}: {error}"
