"""A disk in memory-backed files that can kill who writes, tear a line, fill up, fail, and lose power.

Each process has a handle of its own; what the machine would forget in an outage is shared by all.
"""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from maker.disk import Disk
from tests.simulation.world import Dead, Process

Plan: TypeAlias = dict[tuple[str, int], str]
"""(kind of operation, which of that kind, from 1) to what happens there."""
SITES = ("mkdir", "create", *["write"] * 3, *["fsync"] * 2, "fsync folder", "rename", "remove", "link")


class SimDisk(Disk):
    """One process's way to the disk. `plan` says at which operation of a kind something happens, and what:
    `before` and `after` (it dies there), `torn` (a part is written, and it dies), `full`, `eio`."""

    def __init__(self, process: Process, plan: Plan) -> None:
        self.process, self.machine, self.plan = process, process.world.machine, plan
        self.done: Counter[str] = Counter()

    def _do(self, site: str, action: Callable[[], object], torn: Callable[[], object] | None = None) -> None:
        self.process.check()
        self.done[site] += 1
        happens = self.plan.get((site, self.done[site]))
        if happens is None and self.machine.full and site in ("create", "write"):
            happens = "full"
        if happens is None or self.process.calm:
            action()
            return
        self.process.world.hits[f"{happens} {site}"] += 1
        if happens in ("torn", "full", "eio"):
            if torn is not None:
                torn()
            if happens != "torn":
                raise OSError(errno.ENOSPC if happens == "full" else errno.EIO, f"simulated {happens}")
        elif happens == "after":
            action()
        self.process.kill()
        raise Dead

    def make_folder(self, folder: Path) -> None:
        self._do("mkdir", lambda: super(SimDisk, self).make_folder(folder))

    def create(self, path: Path) -> int:
        made: list[int] = []

        def act() -> None:
            file = super(SimDisk, self).create(path)
            made.append(file)
            self.process.world.open_files.append(file)
            self.machine.paths[file], self.machine.synced[path] = path, 0
            self.machine.spoiled.discard(path)  # another file of the same name
            self.machine.names[path.parent].append(lambda: path.unlink(missing_ok=True))
            if path.parent.name == "claims" and "-" in path.name:
                epoch = tuple(map(int, path.name.split("-")))
                claim = (self.process.world.loop.now, self.process.name, path.parents[1].name, epoch)
                self.process.world.log.claims.append(claim)

        self._do("create", act)
        return made[0]

    def _note(self, data: bytes) -> None:
        """For the auditor: a sample or a decision is on the disk now."""
        world, log = self.process.world, self.process.world.log
        if data.startswith(b'{"kind":"sample"'):
            line = json.loads(data)
            seat = (line["segment"], line["step"], line["state"], line["draw"])
            log.written.append((world.loop.now, self.process.name, *seat))
            log.sampled.add((line["segment"], line["step"]))
            log.journaled.add((line["segment"], line["step"], line["text"]))
        elif data.startswith(b'{"kind":"decision"'):
            line = json.loads(data)
            log.decided.add((line["segment"], line["step"]))

    def write(self, file: int, data: bytes) -> None:
        part = data[: self.process.world.lot.randrange(len(data))]
        write = super().write

        def act(written: bytes) -> None:
            write(file, written)
            for line in written.splitlines(keepends=True):
                if line.endswith(b"\n"):
                    self._note(line)

        self._do("write", partial(act, data), partial(act, part))

    def sync(self, file: int) -> None:
        path = self.machine.paths.get(file)

        def act() -> None:
            if path is not None and path.exists() and path not in self.machine.spoiled:
                self.machine.synced[path] = path.stat().st_size

        def spoil() -> None:
            if path is not None:
                self.machine.spoiled.add(path)

        self._do("fsync", act, spoil)

    def sync_folder(self, folder: Path) -> None:
        self._do("fsync folder", self.machine.names[folder].clear)

    def close(self, file: int) -> None:
        self.process.check()  # the world closes it in the end: a number must not come twice

    def rename(self, old: Path, new: Path) -> None:
        def act() -> None:
            before = new.read_bytes() if new.exists() else None
            super(SimDisk, self).rename(old, new)
            self.machine.synced[new] = self.machine.synced.pop(old, 0)
            self.machine.names[new.parent].append(lambda: _restore(new, before))

        self._do("rename", act)

    def link(self, old: Path, new: Path) -> None:
        def act() -> None:
            super(SimDisk, self).link(old, new)
            self.machine.synced[new] = self.machine.synced.get(old, 0)
            self.machine.names[new.parent].append(lambda: new.unlink(missing_ok=True))

        self._do("link", act)

    def remove(self, path: Path) -> None:
        def act() -> None:
            before = path.read_bytes() if path.exists() else None
            super(SimDisk, self).remove(path)
            if before is not None:
                self.machine.names[path.parent].append(lambda: _restore(path, before))

        self._do("remove", act)


def _restore(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(before)
