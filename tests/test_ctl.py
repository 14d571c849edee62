"""`maker ctl` and what it leads to: real commands, paused, slowed down and let go on while they run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maker.control import MOST, Control, Settings, request, settled
from maker.errors import JournalDamagedError, UsageError
from maker.run_directory import RunDirectory
from tests.conftest import Ended, Maker
from tests.support import ROOT
from tests.test_cluster import on_ray  # noqa: F401

SLOW = ("run", "hanoi", "-T", "disks=9", "--model", "sim:latency=20ms", "--run-dir", "r", "--json")


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


def samples(run: Path) -> int:
    return sum(1 for _ in RunDirectory(run).records(("sample",)))


def status(maker: Maker, run: str = "r") -> dict[str, Any]:
    shown: dict[str, Any] = maker("status", run, "--json").events[0]
    return shown


def test_a_run_is_paused_stays_paused_over_a_restart_and_goes_on_to_the_same_end(maker: Maker) -> None:
    run = maker.folder / "r"
    process = maker.start(*SLOW)
    wait_for(lambda: samples(run) > 30)
    ended = maker("ctl", "r", "--pause", "--json")
    assert ended.events == [{"event": "control", "run": "r", "number": 1, "paused": True}]
    time.sleep(2.0)
    still = samples(run)
    time.sleep(1.0)
    assert samples(run) == still
    assert status(maker)["status"] == "paused"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    process = maker.start(*SLOW)
    wait_for(lambda: (run / "claims" / "000002.json").exists())
    time.sleep(2.0)
    assert samples(run) == still
    assert maker("ctl", "r", "--resume").code == 0
    out, err = process.communicate(timeout=100)
    done = Ended(process.returncode, out, err).done
    assert (done["status"], done["steps"], done["verified"]) == ("done", 511, True)
    assert "paused" in err
    assert done["samples"] == 511 * 3


def test_a_request_that_makes_no_sense_is_refused_with_exit_code_2(maker: Maker) -> None:
    maker("run", "hanoi", "-T", "disks=3", "--model", "sim", "--run-dir", "r")
    assert "nothing to control" in maker("ctl", "r", "--pause").err
    for words in (
        ("ctl", "nowhere", "--pause"),
        ("ctl", "r", "--pause"),
        ("run", "hanoi", "--model", "sim", "--max-concurrency", 0),
    ):
        assert maker(*words).code == 2


@pytest.mark.parametrize(
    ("pause", "resume", "most", "model"),
    [(True, True, None, None), (False, False, None, None), (True, False, None, "m"), (False, False, 0, None)],
)
def test_what_is_asked_must_be_clear(pause: bool, resume: bool, most: int | None, model: str | None) -> None:
    with pytest.raises(UsageError):
        request(1, pause, resume, most, model)


def test_the_last_word_counts_and_a_commands_own_option_comes_after_what_was_asked_before_it() -> None:
    def asked(command: int, **what: Any) -> dict[str, Any]:
        return Control(command=command, at="", **what).model_dump()

    assert settled([]) == Settings(False, MOST)
    assert settled([], 1, 7) == Settings(False, 7)
    slow, paused = asked(1, max_concurrency=5), asked(1, paused=True)
    assert settled([slow, paused], 1, 7) == Settings(True, 5)
    assert settled([slow, paused], 2, 7) == Settings(True, 7)
    assert settled([slow, paused, asked(2, paused=False)], 2) == Settings(False, 5)
    one = settled([slow, asked(1, max_concurrency=3, model="m")], 1)
    assert (one.of("m"), one.of("n")) == (3, 5)
    assert settled([asked(1, max_concurrency=3, model="m"), slow], 1).of("m") == 5


def test_a_request_of_an_unknown_form_is_damage_that_says_what_to_do() -> None:
    with pytest.raises(JournalDamagedError, match="max_concurrency"):
        settled([{"command": 1, "at": "", "max_concurrency": "many"}])


def test_two_who_ask_at_once_are_both_heard(maker: Maker) -> None:
    maker("run", "hanoi", "-T", "disks=6", "--model", "sim", "--run-dir", "r", "--max-calls", 20)
    words = [sys.executable, "-m", "maker", "ctl", "r", "--max-concurrency"]
    asking = [subprocess.Popen([*words, str(number)], cwd=maker.folder) for number in (3, 4, 5)]
    assert [each.wait() for each in asking] == [0, 0, 0]
    asked = RunDirectory(maker.folder / "r").controls()
    assert sorted(each["max_concurrency"] for each in asked) == [3, 4, 5]


# --- at an endpoint that keeps its own log


@contextmanager
def rationed(log: Path, *words: object) -> Iterator[str]:
    script = [sys.executable, ROOT / "tests" / "rationed_endpoint.py", log, *map(str, words)]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.terminate()
        process.wait(timeout=10)


def calls(log: Path) -> list[tuple[float, int, int]]:
    """(when, status, under way) of each request."""
    rows = (line.split() for line in log.read_text().splitlines())
    return sorted((float(when), int(code), int(busy)) for when, code, busy, _ in rows)


def ask(maker: Maker, url: str, *words: object) -> subprocess.Popen[str]:
    task = (f"{ROOT / 'benchmarks' / 'limit.py'}:Asking", "-T", "segments=40")
    return maker.start("run", *task, "--model", "openai:any", "--base-url", url, "--run-dir", "r", *words)


def end(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    return err


def test_four_workers_share_what_the_endpoint_takes_and_a_person_changes_it(maker: Maker) -> None:
    log = maker.folder / "log"
    with rationed(log, 0.2, "", 12) as url:
        process = ask(maker, url, "--workers", 4)
        wait_for(log.exists)
        wait_for(lambda: calls(log))
        time.sleep(12)
        shown = status(maker)["requests"]
        assert maker("ctl", "r", "--max-concurrency", 4).code == 0
        told = time.time()
        time.sleep(4)
        paused = status(maker)["requests"]
        end(process)
    seen = calls(log)
    first = seen[0][0]
    late = [code for when, code, _ in seen if when > first + 5 and when < told]
    assert late.count(429) / len(late) < 0.03
    assert late.count(200) * 0.2 / (told - first - 5) > 0.5 * 12
    assert max(busy for when, _, busy in seen if when > told + 2.3) <= 4
    model = shown["models"]["openai:any"]
    assert 8 <= model["limit"] <= 14 and model["most"] == MOST and model["answered"] > 100
    assert "cut" in {change["cause"] for change in shown["changes"]}
    assert (paused["models"]["openai:any"]["most"], paused["changes"][-1]["cause"]) == (4, "person")


def test_a_ceiling_given_at_the_start_holds(maker: Maker) -> None:
    log = maker.folder / "log"
    with rationed(log, 0.1, "", 50) as url:
        process = ask(maker, url, "--workers", 3, "--max-concurrency", 5)
        wait_for(log.exists)
        wait_for(lambda: len(calls(log)) > 60)
        end(process)
    assert max(busy for _, _, busy in calls(log)) == 5


@pytest.mark.slow
def test_four_actors_share_what_the_endpoint_takes(on_ray: Maker) -> None:  # noqa: F811
    log = on_ray.folder / "log"
    with rationed(log, 0.2, "", 20) as url:
        process = ask(on_ray, url, "--workers", 4)
        wait_for(log.exists)
        wait_for(lambda: calls(log))
        time.sleep(45)
        end(process)
    seen = calls(log)
    first = seen[0][0]
    late = [code for when, code, _ in seen if first + 15 < when < first + 45]
    assert late.count(429) / len(late) < 0.03
    assert late.count(200) * 0.2 / 30 > 0.8 * 20
