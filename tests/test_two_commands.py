"""Two commands on one run directory at the same moment: one has the run, the other says so and stops."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ended, Maker

AT_ONCE = "import sys, maker.api, maker.cli; print(flush=True); sys.stdin.readline(); maker.cli.main()"
"""All is imported, then it waits for the word."""
WORDS = ("run", "hanoi", "-T", "disks=7", "-T", "waypoints=4", "--workers", 2, "--run-dir", "r", "--json")
SLOW = ("--model", "sim:error=0.02,flags=0.02,latency=90ms")
"""About three seconds, so that both are at work though one be late."""


def at_once(maker: Maker, *words: object) -> list[Ended]:
    """Two commands that begin when both are ready."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, *map(str, words)],
            cwd=maker.folder,
            env=maker.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in processes]
    return [Ended(process.returncode, *each) for process, each in zip(processes, said, strict=True)]


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_of_two_commands_that_begin_together_one_does_the_run_and_the_other_stops_fenced(
    maker: Maker, rounds: int
) -> None:
    undisturbed = maker(*WORDS[:-3], "--run-dir", "straight", *SLOW, "--json").done
    for number in range(rounds):
        folder = maker.folder / str(number)
        folder.mkdir()
        here = Maker(folder, MAKER_ENGINE="inline")
        done, fenced = sorted(at_once(here, *WORDS, *SLOW), key=lambda ended: ended.code)
        check(here, done, fenced, undisturbed)


def check(maker: Maker, done: Ended, fenced: Ended, undisturbed: dict[str, Any]) -> None:
    assert (done.code, fenced.code) == (0, 5), (done, fenced)
    same = ("status", "verified", "steps", "votes", "samples", "flagged", "contested", "result")
    assert {name: done.done[name] for name in same} == {name: undisturbed[name] for name in same}
    assert fenced.done["status"] == "fenced"
    assert "has taken" in fenced.done["reason"]
    assert "\n" not in fenced.done["reason"]
    assert "Traceback" not in fenced.err + done.err
    claims = maker.folder / "r" / "claims"
    assert sorted(path.name for path in claims.iterdir()) == ["000001.json", "000002.json"]
    assert len({json.loads(path.read_text())["pid"] for path in claims.iterdir()}) == 2
    before = files(maker.folder / "r")
    assert maker("verify", "r").code == maker("replay", "r").code == 0
    assert files(maker.folder / "r") == before
