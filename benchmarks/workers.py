"""Two workers beside two inline processes: `python -m benchmarks.workers [DISKS] [ROUNDS]`.

The same chain, cut at a waypoint into two halves: by one run with `--workers 2` on Ray, and by two processes
at once that each walk one half without Ray. The simulated model answers at once, so only our own work counts.
Both ways take turns in every round; steps/s is of the run itself, without the start of Python and Ray, and
without that of workers: the time of a run of seven steps is taken off. Nor is the result verified, which the
command does when its workers have ended. The ratio is of the medians.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import maker
from benchmarks.record import keep
from maker.decomposers.hanoi import Hanoi
from tests.support import ROOT

TASK, MODEL = f"{__file__}:Unverified", "sim:error=0.002"
SHORT = 3
"""Disks of a run whose time is a worker's start."""


class Unverified(Hanoi):
    verify = None  # type: ignore[assignment]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers")
    parser.add_argument("disks", type=int, nargs="?", default=15)
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    parser.add_argument("--half", type=int, nargs=2, help="walk this part")
    asked = parser.parse_args()
    disks, rounds = asked.disks, asked.rounds
    if asked.half:
        print(_inline(disks, *asked.half))
        return
    rates: dict[str, list[float]] = {"ray, 2 workers": [], "inline, 2 processes": []}
    for _ in range(rounds):
        rates["inline, 2 processes"].append(_apart(disks))
        rates["ray, 2 workers"].append(_together(disks))
    base = median(rates["inline, 2 processes"])
    rows: list[dict[str, Any]] = [
        {
            "way": way,
            "steps/s": round(median(each)),
            "min": round(min(each)),
            "max": round(max(each)),
            "ratio": round(median(each) / base, 3),
        }
        for way, each in rates.items()
    ]
    keep("workers", rows, f"python -m benchmarks.workers {disks} {rounds}")


def _together(disks: int) -> float:
    """Steps a second."""
    short, long = _on_ray(SHORT), _on_ray(disks)
    return (long.steps - short.steps) / (long.seconds - short.seconds)


def _on_ray(disks: int) -> maker.RunResult:
    with tempfile.TemporaryDirectory() as folder:
        params = {"disks": disks, "waypoints": 2}
        ended = maker.run(TASK, params=params, model=MODEL, workers=2, run_dir=Path(folder) / "run")
    assert ended.status == "done", ended.reason
    return ended


def _apart(disks: int) -> float:
    """Steps of both halves by the time of the slower one."""
    steps = (1 << disks) - 1
    halves = [(0, steps // 2), (steps // 2, steps)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", str(disks), "--half", *map(str, half)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for half in halves
    ]
    took = [float(process.communicate()[0].splitlines()[-1]) for process in processes]
    return steps / max(took)


def _inline(disks: int, first: int, last: int) -> float:
    """Seconds."""
    with tempfile.TemporaryDirectory() as folder:
        params = {"disks": disks, "first": first, "last": last}
        run = Path(folder) / "run"
        ended = maker.run(TASK, params=params, model=MODEL, engine="inline", workers=1, run_dir=run)
    assert ended.status == "done", ended.reason
    return ended.seconds


if __name__ == "__main__":
    main()
