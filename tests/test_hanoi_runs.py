"""Whole runs of Hanoi, odd and even disks, by the simulated and the embedded model, all verified."""

from __future__ import annotations

from pathlib import Path

import pytest

import maker


@pytest.mark.parametrize("disks", range(1, 13))
def test_the_simulated_model_solves_odd_and_even_disks(tmp_path: Path, disks: int) -> None:
    result = run(tmp_path, disks, "sim:error=0.005,flags=0.01", k=4)
    assert (result.status, result.verified, result.steps) == ("done", True, 2**disks - 1)


@pytest.mark.parametrize("disks", range(1, 13))
def test_the_embedded_model_solves_odd_and_even_disks(tmp_path: Path, disks: int) -> None:
    result = run(tmp_path, disks, "embedded", k=4)
    assert (result.status, result.verified, result.steps) == ("done", True, 2**disks - 1)


def run(folder: Path, disks: int, model: str, k: int) -> maker.RunResult:
    parts = min(16, 2**disks - 1)
    return maker.run(
        "hanoi",
        params={"disks": disks, "waypoints": parts},
        model=model,
        k=k,
        seed=1,
        engine="inline",
        run_dir=folder / "run",
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_dependent_steps_as_one_chain(tmp_path: Path) -> None:
    result = maker.run(
        "hanoi", params={"disks": 20}, model="sim:error=0.002", k=3, seed=1, run_dir=tmp_path / "run"
    )
    assert (result.status, result.verified, result.steps) == ("done", True, 2**20 - 1)
