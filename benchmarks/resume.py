"""How a killed run goes on: `python -m benchmarks.resume [DISKS ...]`.

A chain of 2**disks - 1 dependent steps by the simulated model is killed (SIGKILL) at three random points and
started again by the same command; what it ends in is compared with the undisturbed run. Each row is one
start: how long until it drew something new, counted from the start of the process (which is mostly Python's
imports) and from its claim of the run (which is what the journal costs), the most memory it had in its life,
and how many draws the kill at its end has wasted. Exit code 1 if more was wasted than was in flight.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil

from benchmarks import counted
from benchmarks.memory import resident
from benchmarks.record import keep
from maker import summary
from maker.run_directory import RunDirectory
from maker.totals import Totals
from tests.support import ROOT

KILLS = 3
K = 3
SAME = ("status", "verified", "steps", "votes", "samples", "flagged", "contested", "flags", "result")
"""What of a result no kill may change."""


def main() -> int:
    sizes = [int(word) for word in sys.argv[1:]] or [16, 18, 20]
    rows, wrong = [], []
    for disks in sizes:
        killed, odd = measure(disks)
        rows += killed.rows
        wrong += odd
    keep("resume", rows, f"python -m benchmarks.resume {' '.join(map(str, sizes))}")
    print("\n".join(wrong) or "every run ended as the undisturbed one, and wasted no more than was in flight")
    return 1 if wrong else 0


@dataclass(slots=True)
class Life:
    """A run and its starts up to now."""

    folder: Path
    disks: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)
    """The result, once it has ended."""

    def __post_init__(self) -> None:
        self.folder.mkdir()
        counted.make(self._meter)

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.folder / "run")

    def start(self, until: int | None = None) -> None:
        """Start the command; kill it once it has drawn and that many samples have been drawn in all."""
        steps = self._totals().steps
        began, process = time.time(), self._process()
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, resident(psutil.Process(process.pid)))
            drew = process.pid in counted.first_draws(self._meter)
            if drew and until is not None and counted.drawn(self._meter) >= until:
                process.kill()
            time.sleep(0.01)
        out, _ = process.communicate()
        if process.returncode != -9:
            self.done = json.loads(out.splitlines()[-1])
        self.rows.append(self._row(steps, process, began, peak))

    def _process(self) -> subprocess.Popen[str]:
        model = f"benchmarks.counted:Counted:meter={self._meter},error=0.002"
        words = ["run", "hanoi", "-T", f"disks={self.disks}", "--model", model, "--k", str(K), "--seed", "1"]
        words += ["--engine", "inline", "--json", "--run-dir", str(self.run.path)]
        started = [sys.executable, "-m", "maker", *words]
        return subprocess.Popen(
            started, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def _row(self, steps: int, process: subprocess.Popen[str], began: float, peak: float) -> dict[str, Any]:
        drew = counted.first_draws(self._meter)[process.pid]
        claimed = max(path.stat().st_mtime for path in (self.run.path / "claims").iterdir())
        read = time.perf_counter()
        samples = self._totals().samples
        read = time.perf_counter() - read
        wasted = counted.drawn(self._meter) - samples - sum(row["wasted"] for row in self.rows)
        size = sum(path.stat().st_size for path in self.run.path.rglob("*.jsonl*"))
        return {
            "disks": self.disks,
            "steps before": steps,
            "first draw s": round(drew - began, 3),
            "after claim s": round(drew - claimed, 3),
            "peak MiB": round(peak, 1),
            "wasted": wasted,
            "end": "killed" if process.returncode == -9 else self.done["status"],
            "status s": round(read, 3),
            "journal MB": round(size / 1e6, 1),
        }

    def _totals(self) -> Totals:
        return summary.summarise(self.run).totals

    @property
    def _meter(self) -> Path:
        return self.folder / "meter"


def measure(disks: int, kills: int = KILLS) -> tuple[Life, list[str]]:
    """The run that was killed, and a sentence for each thing that is not as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = Life(Path(folder) / "straight", disks), Life(Path(folder) / "killed", disks)
        straight.start()
        lot = Random(disks)
        for share in sorted(lot.random() for _ in range(kills)):
            if not killed.done:  # a short run may be quicker than its kill
                killed.start(until=round(share * straight.done["samples"]))
        if not killed.done:
            killed.start()
    wrong = [
        f"{disks} disks: {name} is {killed.done[name]}, undisturbed {straight.done[name]}"
        for name in SAME
        if killed.done[name] != straight.done[name]
    ]
    wrong += [
        f"{disks} disks: a kill wasted {row['wasted']} draws" for row in killed.rows if row["wasted"] > K
    ]
    return killed, wrong


if __name__ == "__main__":
    sys.exit(main())
