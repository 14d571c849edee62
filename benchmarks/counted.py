"""The simulated model with a meter: how many samples it was asked for, whoever was killed in between.

A plug-in of `benchmarks/resume.py`. The count is 8 bytes in a file mapped into memory, which a killed
process leaves as they were; the moment of each process's first draw is a line of another file.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from maker.model import Request
from maker.nouns import Sample
from maker.workers.simulated import Simulated, Truthful


class Counted(Simulated):
    """error, flags: as of `sim`. meter: the folder where it counts."""

    def __init__(self, task: Truthful, meter: str, error: float = 0.0, flags: float = 0.0) -> None:
        super().__init__(task, error=error, flags=flags)
        self._folder, self._map = Path(meter), None

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        count = self._map or self._first()
        drawn = int.from_bytes(count[:8], "little") + len(request.seats)
        count[:8] = drawn.to_bytes(8, "little")
        async for sample in super().draw(request):
            yield sample

    def _first(self) -> mmap.mmap:
        with (self._folder / "first").open("a") as file:
            file.write(f"{os.getpid()} {time.time():.6f}\n")
        with (self._folder / "count").open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)
        return self._map


def make(folder: Path) -> None:
    """An empty meter."""
    folder.mkdir()
    (folder / "count").write_bytes(bytes(8))
    (folder / "first").touch()


def drawn(folder: Path) -> int:
    return int.from_bytes((folder / "count").read_bytes(), "little")


def first_draws(folder: Path) -> dict[int, float]:
    """Process id to the moment of its first draw, in seconds since 1970."""
    lines = (line.split() for line in (folder / "first").read_text().splitlines())
    return {int(pid): float(moment) for pid, moment in lines}
