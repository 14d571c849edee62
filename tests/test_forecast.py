"""The disk that a run will still need is told before it runs out."""

from __future__ import annotations

from pathlib import Path

import pytest

from maker import api, forecast, journal
from maker.cluster.coordinator import Progress
from maker.run_directory import RunDirectory
from maker.totals import Totals
from tests.conftest import Maker


def test_what_is_to_come_grows_with_the_steps_that_are_left_and_with_the_lanes() -> None:
    totals, chunk = Totals(steps=1000, samples=3000), journal.CHUNK_BYTES
    assert forecast.to_come((100_000, 2500), totals, 11_000, 2) == (33_000 - 2500) * 40 + 2 * chunk
    assert forecast.to_come((0, 0), totals, 2000, 1) == 6000 * 90 + chunk
    assert forecast.to_come((0, 0), Totals(), 2000, 1) == 0
    assert forecast.to_come((120_000, 3000), totals, 1000, 1) == chunk


def test_a_forecast_after_a_fifth_of_a_run_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CHUNK_BYTES", 100_000)
    monkeypatch.setattr(forecast, "CHUNK_BYTES", 100_000)
    run, forecasts = RunDirectory(tmp_path / "r"), []

    def look(progress: Progress) -> None:
        if progress.totals.steps > 800:
            sealed = run.sealed()
            forecasts.append(sealed[0] + forecast.to_come(sealed, progress.totals, 4095, 1))

    model = "sim:error=0.01,latency=1ms"
    api.run("hanoi", params={"disks": 12}, model=model, engine="inline", run_dir=run.path, on_progress=look)
    assert run.size() <= forecasts[0] < 1.5 * run.size()


def test_progress_and_status_tell_what_the_journal_takes(maker: Maker) -> None:
    ended = maker("run", "hanoi", "-T", "disks=8", "--model", "sim:latency=1ms", "--run-dir", "r")
    assert "journal " in ended.err
    files = list((maker.folder / "r" / "lanes").glob("*/*.jsonl*"))
    [status] = maker("status", "r", "--json").events
    assert status["journal_bytes"] == sum(path.stat().st_size for path in files) > 0
