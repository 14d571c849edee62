"""Runs as processes over real HTTP, killed at random moments: `benchmarks/kills.py` on small sizes, and its
audit on what it must find."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.kill_audit import Kill, paid, same, written
from benchmarks.kills import KINDS, Straight, measure, undisturbed
from maker import chunks, history, journal
from tests.faultd import Call

K = KINDS["endpoint"].k


@pytest.mark.timeout(300)
def test_a_run_killed_three_times_has_lost_only_what_was_in_flight() -> None:
    runs = measure(KINDS["endpoint"], kills=3, disks=6, seed=1)
    assert sum(len(judged.run.kills) for judged in runs) == 3
    for judged in runs:
        assert not judged.wrong
        assert judged.paid is not None
        assert judged.paid.calls == judged.run.done["samples"] + judged.paid.lost
        assert judged.paid.lost <= len(judged.run.kills) * K


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_runs_killed_twenty_times_have_lost_only_what_was_in_flight(kind: str) -> None:
    runs = measure(KINDS[kind], kills=20, disks=10, seed=2)
    assert not [sentence for judged in runs for sentence in judged.wrong]
    assert sum(len(judged.run.kills) for judged in runs) >= 20


# -- what the audit finds --------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """An undisturbed run, and the calls it has made."""

    straight: Straight
    run: Path
    calls: list[Call]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("straight")
    straight = undisturbed(KINDS["endpoint"], disks=4, seed=1, folder=folder)
    calls = [
        Call(number, "", {}, {"seed": seed}, 1, started=number, ended=number + 0.5, verdict="answered")
        for number, (seed, _) in enumerate(straight.written.samples.values())
    ]
    return Done(straight, folder / f"straight{straight.seed}", calls)


def again(call: Call, late: float) -> Call:
    return replace(call, started=call.started + late, ended=call.started + late + 0.1)


def test_a_call_made_twice_is_laid_to_the_kill_in_between_or_found(done: Done) -> None:
    calls = sorted([*done.calls, again(done.calls[3], 0.4)], key=lambda call: call.started)
    cost, wrong = paid(done.straight.written, calls, [Kill("command", 3.1, 3.2)], K)
    assert (cost.lost, cost.redrawn, wrong) == (1, 1, [])
    for kills in ([], [Kill("command", 2.0, 2.1)], [Kill("command", 3.9, 4.0)]):
        _, wrong = paid(done.straight.written, calls, kills, K)
        assert ["no kill was in between" in sentence for sentence in wrong] == [True]


def test_calls_of_two_steps_lost_at_one_kill_are_found(done: Done) -> None:
    calls = sorted([*done.calls, again(done.calls[0], 20), again(done.calls[9], 20)], key=lambda c: c.started)
    _, wrong = paid(done.straight.written, calls, [Kill("command", 15.0, 15.0)], K)
    assert len(wrong) == 2


def test_a_seat_that_the_undisturbed_run_does_not_have_is_found(done: Done) -> None:
    _, wrong = paid(done.straight.written, [*done.calls, replace(done.calls[0], body={"seed": -1})], [], K)
    assert len(wrong) == 1


@pytest.mark.parametrize("kind", ["sample", "decision"])
def test_a_step_decided_or_a_seat_written_twice_is_found(done: Done, tmp_path: Path, kind: str) -> None:
    run = shutil.copytree(done.run, tmp_path / "run")
    [lane] = (run / "lanes").iterdir()
    [chunk] = chunks.of(lane)
    *_, (_, last) = chunks.lines(chunk)
    line, _ = chunks.encode(next(history.read(lane, (kind,))), int(last[last.rindex(b":") + 1 : -2]))
    with chunk.open("ab") as file:
        file.write(line)
    found = written(run)
    assert len(found.twice) == 1
    assert not list(same(found, done.straight.written))


def test_another_tally_is_found(done: Done, tmp_path: Path) -> None:
    run = tmp_path / "run"
    lane = journal.Lane.claim(run / "lanes" / "0", "r")
    lane.turn(journal.Page({}, []))
    for record in history.read(done.run / "lanes" / "0000"):
        if record["kind"] == "decision" and record["step"] == 5:
            record["votes"][0]["draws"].append(99)
        lane.append(record)
    lane.close()
    assert [sentence[:11] for sentence in same(written(run), done.straight.written)] == ["1 decisions"]
