"""Calibrations of the embedded model beside its exact error rates: `python -m benchmarks.calibrated`.

A calibration sees samples; what is exact is the chance of the right answer at the same steps, by one pass of
the model over it. A sample that is flagged is not the right answer, either. The interval is about all steps
of the task, so it holds the mean of the few that were sampled more often than it says.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import keep
from maker import calibrator
from maker.calibration import Calibration
from maker.decomposers.sampled import original
from maker.nouns import Segment, Step
from maker.run_directory import RunDirectory
from maker.theory.clusters import share
from maker.workers.embedded.dialects.hanoi import DIALECT
from training.exact import exact
from training.lessons.hanoi import path, rows

STEPS = 400


def main() -> None:
    table = [_row(disks, temperature) for disks in (10, 20) for temperature in (1.0, 1.5, 2.0)]
    keep("calibrated", table, "python -m benchmarks.calibrated")


def _row(disks: int, temperature: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        model = f"embedded:temperature={temperature}"
        asked = {"params": {"disks": disks}, "model": model, "steps": STEPS, "seed": 1}
        _, found = calibrator.calibrate("hanoi", run_dir=run, engine="inline", **asked)
        assert found is not None
        segments = [record for record in RunDirectory(run).records(("event",)) if record["event"] == "open"]
    moves = [_move(Segment(each["segment"], each["state"])) for each in segments]
    right = exact(DIALECT, rows(path(disks, np.array(sorted(moves)))), temperature).right
    of_votes = [(each.wrong + each.flagged, found.draws) for each in found.votes for _ in range(each.steps)]
    interval, lost = share(of_votes), sum(hits for hits, _ in of_votes)
    return {
        "disks": disks,
        "T": temperature,
        "wrong": found.error.count,
        "flagged": found.valid.of - found.valid.count,
        "of": found.valid.of,
        "share, %": _percent(lost / found.valid.of),
        "low, %": _percent(interval.low),
        "high, %": _percent(interval.high),
        "exact, %": _percent(float(1 - right.mean())),
        "holds": bool(interval.low <= 1 - right.mean() <= interval.high),
        **_of_valid(found),
    }


def _of_valid(found: Calibration) -> dict[str, str]:
    error = [_percent(each) for each in (found.error.value, found.error.low, found.error.high)]
    return {
        "error, %": f"{error[0]}, {error[1]}-{error[2]}",
        "rho": f"{found.rho.low:.2f}-{found.rho.high:.2f}",
    }


def _move(segment: Segment) -> int:
    """The number of moves before the sampled step."""
    return original(Step(segment.id, 0, segment.state)).index


def _percent(value: float) -> float:
    return float(f"{100 * value:.3g}")


if __name__ == "__main__":
    main()
