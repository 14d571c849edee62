"""A whole run as processes: paused and overtaken, out of space, killed again and again."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from maker import history
from maker.run_directory import RunDirectory
from tests.conftest import SAME, Ended, Maker, command

WORDS = ("run", "hanoi", "-T", "disks=8", "-T", "waypoints=3", "--k", 4, "--seed", 3, "--json")
SLOW = ("--model", "sim:error=0.02,flags=0.02,latency=8ms")


@pytest.fixture
def undisturbed(maker: Maker) -> dict[str, object]:
    done = maker(*WORDS, "--model", "sim:error=0.02,flags=0.02", "--run-dir", "straight").done
    assert done["status"] == "done"
    return {name: done[name] for name in SAME}


def steps_written(run: Path) -> int:
    return sum(r["kind"] == "decision" for lane in RunDirectory(run).lanes() for r in readable(run, lane))


def readable(run: Path, lane: str) -> list[dict]:
    try:
        return list(history.read(RunDirectory(run).lane(lane)))
    except OSError:
        return []


def wait_for_steps(run: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while steps_written(run) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_paused_owner_that_wakes_after_a_takeover_stops_and_disturbs_nothing(
    maker: Maker, undisturbed: dict[str, object]
) -> None:
    paused = maker.start(*WORDS, *SLOW, "--run-dir", "r")
    wait_for_steps(maker.folder / "r", 10)
    paused.send_signal(signal.SIGSTOP)
    newer = maker.start(*WORDS, *SLOW, "--run-dir", "r")
    wait_for_steps(maker.folder / "r", 60)
    paused.send_signal(signal.SIGCONT)
    out, _ = paused.communicate(timeout=60)
    assert paused.returncode == 5
    assert json.loads(out.splitlines()[-1])["status"] == "fenced"
    out, err = newer.communicate(timeout=60)
    done = Ended(newer.returncode, out, err).done
    assert {name: done[name] for name in SAME} == undisturbed
    assert maker("verify", "r").code == maker("replay", "r").code == 0


def test_a_run_without_space_stops_blocked_and_goes_on_when_there_is_some(
    maker: Maker, undisturbed: dict[str, object]
) -> None:
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))

    words = command(*WORDS, *SLOW, "--run-dir", "r", "--workers", 1)
    ended = subprocess.run(
        words,
        cwd=maker.folder,
        env=maker.environment,
        preexec_fn=no_room,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    stopped = json.loads(ended.stdout.splitlines()[-1])
    assert stopped["status"] == "blocked"
    assert "cannot be written" in stopped["reason"]
    assert "Traceback" not in ended.stderr
    done = maker(*WORDS, *SLOW, "--run-dir", "r", "--workers", 1).done
    assert {name: done[name] for name in SAME} == undisturbed


def test_a_run_killed_five_times_is_the_run_that_was_not(
    maker: Maker, undisturbed: dict[str, object]
) -> None:
    lot = random.Random(5)
    for kill in range(5):
        process = maker.start(*WORDS, *SLOW, "--run-dir", "r", "--workers", lot.randint(1, 3))
        wait_for_steps(maker.folder / "r", 30 * (kill + 1))
        process.kill()
        process.communicate()
    done = maker(*WORDS, *SLOW, "--run-dir", "r").done
    assert {name: done[name] for name in SAME} == undisturbed
    steps = [(step["segment"], step["index"]) for step in maker("steps", "r", "--json").events]
    assert len(steps) == len(set(steps)) == 255
    assert maker("verify", "r").code == maker("replay", "r").code == 0
