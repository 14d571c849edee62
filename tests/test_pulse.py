"""Where a run is just now, as it is left beside its journal for who looks on from elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from maker.cli.following import progress_line
from maker.errors import StorageError
from maker.nouns import Json
from maker.pulse import PULSE_SECONDS, Pulse
from maker.run_directory import RunDirectory
from maker.totals import Totals


@dataclass(frozen=True)
class Now:
    """A coordinator's report."""

    totals: Totals
    expected: int | None = None
    going: int = 1
    lost_workers: int = 0


def at(steps: int, expected: int | None = None) -> Now:
    return Now(Totals(steps=steps), expected)


@dataclass
class Kept(RunDirectory):
    """A run of which only the progress is kept."""

    path: Path = Path()
    lines: list[dict[str, Json]] = field(default_factory=list)
    refuses: bool = False

    def write_progress(self, progress: dict[str, Json]) -> None:
        if self.refuses:
            raise StorageError("full")
        self.lines.append(progress)


def test_what_is_left_is_read_again(tmp_path: Path) -> None:
    ticks = iter([100.0, 105.0, 110.0])
    run = RunDirectory(tmp_path)
    pulse = Pulse(run, 3, lambda: next(ticks))
    pulse(at(1_000))
    pulse(at(1_010))
    assert run.progress() is None
    pulse(Now(Totals(steps=1_050, faults=Counter({"http-503": 4})), 2_050))
    progress = run.progress()
    assert progress is not None
    assert (progress["command"], progress["steps_per_second"], progress["eta_seconds"]) == (3, 5.0, 200)
    assert "  faults 4  " in progress_line(progress)


def test_steps_that_were_read_back_are_no_part_of_the_rate() -> None:
    clock, kept = [0.0], Kept()
    pulse = Pulse(kept, 1, lambda: clock[0])
    pulse(at(1_000_000, 1_000_100))
    clock[0] = 10.0
    pulse(at(1_000_000, 1_000_100))
    assert (kept.lines[0]["steps_per_second"], kept.lines[0]["eta_seconds"]) == (0.0, None)


def test_storage_that_refuses_is_not_asked_again_and_ends_nothing() -> None:
    clock, kept = [0.0], Kept(refuses=True)
    pulse = Pulse(kept, 1, lambda: clock[0])
    for second in range(0, 100, 10):
        clock[0] = float(second)
        pulse(at(second))
        kept.refuses = second < 20
    assert kept.lines == []


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 50)), max_size=60))
def test_pulses_are_ten_seconds_apart_and_their_rate_is_that_of_the_last_minute(
    reports: list[tuple[float, int]],
) -> None:
    clock, steps, kept = [0.0], 0, Kept()
    pulse = Pulse(kept, 1, lambda: clock[0])
    seen = [(0.0, 0)]
    pulse(at(0))
    for wait, more in reports:
        clock[0] += wait
        steps += more
        before = len(kept.lines)
        pulse(at(steps))
        assert len(kept.lines) == before + (clock[0] - seen[-1][0] >= PULSE_SECONDS)
        if len(kept.lines) > before:
            seen.append((clock[0], steps))
            began, first = seen[-7:][0]
            assert kept.lines[-1]["steps_per_second"] == round((steps - first) / (clock[0] - began), 3)
