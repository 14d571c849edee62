"""One run as a user's shell would have it, killed (SIGKILL) at random moments until it is left alone to end.

It judges nothing. It kills only what this process has started: its child, and Ray's actors below that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil

from benchmarks.kill_audit import Kill
from benchmarks.memory import name
from benchmarks.stored import OnDisk
from tests.faultd import Faultd

ORPHANS = 60.0
"""Seconds that an actor may outlive its killed command."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When to kill."""

    start: float
    """Seconds that a command takes before it draws."""
    between: float
    """Seconds of drawing between two kills, on average."""
    actors: float
    """Share of the kills that hit an actor."""
    most: int
    """Kills of one run."""


@dataclass(slots=True)
class Killed:
    """A command and what has become of it; what it says goes to files beside its run."""

    path: Path
    words: list[str]
    """Of `maker run`, all but the run's directory."""
    server: Faultd | None
    """Whose requests are counted when a kill is sent."""
    storage: OnDisk = field(default_factory=OnDisk)
    done: dict[str, Any] = field(default_factory=dict)
    """The result that the last start has printed."""
    code: int | None = None
    kills: list[Kill] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _remains: list[psutil.Process] = field(default_factory=list)
    """What killed commands had started: parts of Ray that live on for a minute or so, and draw nothing."""

    def until_done(self, pace: Pace, lot: Random) -> None:
        """Start the command, kill it or its actors, start it again."""
        while self.code is None or self.code == -9 or self._ended_by_losses():
            self.once(pace, lot)
        self._clear()
        self.storage.fetch(self.path)

    def once(self, pace: Pace, lot: Random) -> None:
        """One start, to its end by itself or by a kill."""
        with self._started() as process:
            while process.returncode is None and self._moment(process, pace, lot):
                victim = self._kill_actor if lot.random() < pace.actors else self._kill_command
                self.kills += victim(process, lot)
            self.code = process.wait()
        if self.code != -9:
            self.done = self._said()

    def _ended_by_losses(self) -> bool:
        """Of many losses in a row it blames a segment, or gives up; the same command goes on."""
        reason = str(self.done.get("reason"))
        return self.code in (1, 3) and ("workers in a row" in reason or "its worker died" in reason)

    # -- moments -----------------------------------------------------------------------------------

    def _moment(self, process: subprocess.Popen[bytes], pace: Pace, lot: Random) -> bool:
        """Wait for the next kill's: now and then while something starts, else while it draws.

        False when there is none before the command ends.
        """
        if len(self.kills) >= pace.most:
            return False
        if lot.random() < 0.2:
            return _lives(process, lot.uniform(0.05, pace.start))
        before = self.storage.owners(self.path)
        while self.storage.owners(self.path) == before:
            if not _lives(process, 0.02):
                return False
        return _lives(process, lot.uniform(0.0, 2 * pace.between))

    # -- kills -------------------------------------------------------------------------------------

    def _kill_command(self, process: subprocess.Popen[bytes], lot: Random) -> Iterator[Kill]:
        """Its actors die a little later, of themselves; what they have written by then counts."""
        started = psutil.Process(process.pid).children(recursive=True)
        actors = [child for child in started if "LaneWorker" in name(child)]
        sent, running = time.monotonic(), self._running()
        process.kill()
        if process.wait() != -9:  # it was quicker
            return
        _, left = psutil.wait_procs(actors, ORPHANS)
        gone = time.monotonic()
        self.wrong += [f"an actor outlived its killed command by {ORPHANS} s" for _ in left]
        self._remains += [child for child in started if child.is_running()]
        yield Kill("command", sent, gone, running)

    def _kill_actor(self, process: subprocess.Popen[bytes], lot: Random) -> Iterator[Kill]:
        children = psutil.Process(process.pid).children(recursive=True)
        actors = sorted(
            (child for child in children if "LaneWorker" in name(child)), key=lambda each: each.pid
        )
        if actors:  # there may be none just now
            actor = lot.choice(actors)
            sent, running = time.monotonic(), self._running()
            actor.kill()
            psutil.wait_procs([actor], ORPHANS)
            yield Kill("actor", sent, time.monotonic(), running)

    def _running(self) -> int:
        return self.server.running if self.server else 0

    def _clear(self) -> None:
        for process in self._remains:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    # -- the process -------------------------------------------------------------------------------

    @contextmanager
    def _started(self) -> Iterator[subprocess.Popen[bytes]]:
        words = [sys.executable, "-m", "maker", *self.words, "--run-dir", self.storage.where(self.path)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKER_")}
        environment["RAY_TMPDIR"] = str(self.path.parent)
        with self.path.with_suffix(".out").open("wb") as out, self.path.with_suffix(".err").open("ab") as err:
            process = subprocess.Popen(words, stdout=out, stderr=err, cwd=self.path.parent, env=environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _said(self) -> dict[str, Any]:
        lines = self.path.with_suffix(".out").read_text().splitlines()
        return json.loads(lines[-1]) if lines else {}


def _lives(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """It has not ended after so long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False
