"""How long a step of a voted chain takes, in mean latencies of a call: `python -m benchmarks.latency`.

A simulated model answers after a lognormal time of 20 ms in the mean, on the wall clock; chains of 1,023
steps (ten disks), k = 3, 2 wrong answers in a thousand. The mean latency is that of the run's own calls, as
they were timed. An agent that does not vote takes 1.0 by definition.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

import maker
from benchmarks.record import keep
from maker import history
from maker.run_directory import RunDirectory

MEAN = 0.02
"""Seconds."""
SHORT = 3
"""Disks of a run of seven steps, whose time is taken off: a worker's start is no step's."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--windows", nargs="+", default=["1", "8", "64", "auto"])
    parser.add_argument("--sigmas", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--engine", default="inline", choices=["inline", "ray"])
    asked = parser.parse_args()
    rows = [
        _row(sigma, window, asked.runs, asked.engine) for sigma in asked.sigmas for window in asked.windows
    ]
    command = f"python -m benchmarks.latency --engine {asked.engine} --runs {asked.runs}"
    keep(f"latency-{asked.engine}", rows, command)


def _row(sigma: float, window: str, runs: int, engine: Any) -> dict[str, float | str]:
    timed = [_run(sigma, window, seed, engine) for seed in range(runs)]
    ended = [each for each, _ in timed]
    start, _ = _run(sigma, window, 0, engine, SHORT)
    steps = [(each.seconds - start.seconds) / (each.steps - start.steps) / mean for each, mean in timed]
    return {
        "sigma": sigma,
        "window": window,
        "ms/call": round(statistics.median(mean * 1e3 for _, mean in timed), 2),
        "latencies/step": round(statistics.median(steps), 3),
        "min": round(min(steps), 3),
        "max": round(max(steps), 3),
        "votes/step": round(statistics.median(each.votes / each.steps for each in ended), 4),
        "samples/step": round(statistics.median(each.samples / each.steps for each in ended), 4),
    }


def _run(sigma: float, window: str, seed: int, engine: Any, disks: int = 10) -> tuple[maker.RunResult, float]:
    """It, and the mean latency of its calls in seconds."""
    median = MEAN / math.exp(sigma**2 / 2)
    with tempfile.TemporaryDirectory() as folder:
        ended = maker.run(
            "hanoi",
            params={"disks": disks},
            model=f"benchmarks.timed:Timed:error=0.002,latency={median},sigma={sigma}",
            seed=seed,
            engine=engine,
            window=window,
            run_dir=Path(folder) / "run",
        )
        assert ended.verified, ended.reason
        run = RunDirectory(Path(folder) / "run")
        samples = (each for lane in run.lanes() for each in history.read(run.lane(lane), ("sample",)))
        return ended, statistics.mean(sample["latency"] for sample in samples)


if __name__ == "__main__":
    main()
