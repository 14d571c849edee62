"""On Ray: the same run as without it, workers that die are replaced, older owners are fenced."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import maker as package
from maker import asked
from maker.cluster.coordinator import Progress
from maker.cluster.lane_worker import LaneWorker
from maker.cluster.messages import Orders
from maker.errors import FencedError
from maker.manifest import Manifest
from maker.run_directory import RunDirectory
from maker.suspects import GoOn
from tests.conftest import SAME, Ended, Maker

SIM = ("--model", "sim:error=0.01,flags=0.02")


def actors() -> list[psutil.Process]:
    """Lane actors on the cluster that this process started, and no others."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "LaneWorker" in command_line(child)]


def command_line(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):  # or a zombie
        return " ".join(process.cmdline())
    return ""


def test_maker_starts_a_ray_of_its_own_with_authentication_on(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=6", "-T", "waypoints=5", *SIM, "--json", "--run-dir", "r")
    token = maker.folder / "ray" / "token"
    on_ray = maker(*words, "--engine", "ray", RAY_AUTH_TOKEN_PATH=str(token))
    assert on_ray.code == 0, on_ray.err
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    inline = maker(*words[:-1], "inline")
    same = (*SAME, "result")
    assert {name: on_ray.done[name] for name in same} == {name: inline.done[name] for name in same}


@pytest.fixture
def on_ray(maker: Maker, ray_cluster: str) -> Maker:
    return Maker(
        maker.folder,
        MAKER_ENGINE="ray",
        RAY_ADDRESS=ray_cluster,
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN_PATH=os.environ["RAY_AUTH_TOKEN_PATH"],
    )


ON_NO_NODE = """
import asyncio, sys
import ray
from maker.cluster.ray_crew import LaneWorkerActor, _onto, _RayWorker
ray.init(address=sys.argv[1], log_to_driver=False)
actor = ray.remote(LaneWorkerActor).options(scheduling_strategy=_onto("e" * 56), num_cpus=0).remote(None)
asyncio.run(_RayWorker(actor, 60).start())
"""


def test_a_worker_whose_node_has_gone_before_it_came_is_lost(ray_cluster: str) -> None:
    words = [sys.executable, "-c", ON_NO_NODE, ray_cluster]
    ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert ended.stderr.splitlines()[-1].startswith("maker.cluster.crew.WorkerLostError: "), ended.stderr


def lost(ended: Ended) -> list[dict[str, object]]:
    """Ray may write behind a line of ours before it has ended."""
    found = (line for line in ended.err.splitlines() if line.startswith("{"))
    lines = (json.JSONDecoder().raw_decode(line)[0] for line in found)
    return [line for line in lines if line["event"] == "worker_lost"]


def test_killed_actors_are_replaced_and_no_step_is_decided_twice(on_ray: Maker) -> None:
    slow = ("--model", "sim:error=0.01,flags=0.02,latency=10ms")
    words = ("run", "hanoi", "-T", "disks=8", "-T", "waypoints=4", "--workers", 2, "--json")
    process = on_ray.start(*words, *slow, "--run-dir", "killed")
    for kill in range(2):
        wait_for(lambda count=20 * (kill + 1): steps_written(on_ray.folder / "killed") > count)
        for actor in actors():
            actor.send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    ended = Ended(process.returncode, out, err)
    assert ended.code == 0, err
    assert ended.done["lost_workers"] >= 2
    losses = lost(ended)
    assert {event["lane"] for event in losses} <= {"0000", "0001"}
    assert len(losses) == ended.done["lost_workers"]
    straight = on_ray(*words, *SIM, "--run-dir", "straight").done
    assert {name: ended.done[name] for name in SAME} == {name: straight[name] for name in SAME}


def test_a_budget_holds_for_three_actors_one_of_which_dies(on_ray: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=8", "-T", "waypoints=6", "--workers", 3, "--json")
    slow = ("--model", "sim:error=0.01,flags=0.02,latency=10ms", "--run-dir", "r")
    process = on_ray.start(*words, *slow, "--max-calls", 400)
    wait_for(lambda: steps_written(on_ray.folder / "r") > 30)
    actors()[0].send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    ended = Ended(process.returncode, out, err)
    assert (ended.code, ended.done["status"], ended.done["lost_workers"]) == (4, "budget", 1), err
    journaled = sum(1 for _ in RunDirectory(on_ray.folder / "r").records(("sample",)))
    assert 397 < journaled == ended.done["samples"] <= 400
    done = on_ray(*words, *slow, "--max-calls", 1000).done
    straight = on_ray(*words, *SIM, "--run-dir", "straight").done
    assert {name: done[name] for name in SAME} == {name: straight[name] for name in SAME}
    steps = [on_ray("steps", name, "--json").events for name in ("r", "straight")]
    assert steps[0] == steps[1]


def steps_written(run: Path) -> int:
    return sum(chunk.read_bytes().count(b'"kind":"decision"') for chunk in run.glob("lanes/*/*.jsonl"))


def wait_for(condition) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_users_own_files_run_on_ray(on_ray: Maker) -> None:
    from tests.test_cli import TORN

    (on_ray.folder / "torn.py").write_text(TORN)
    ended = on_ray("run", "torn.py:Torn", "--model", "torn.py:Even", "--max-samples", 8, "--json")
    assert (ended.code, ended.done["parked"], ended.done["steps"]) == (3, 1, 10)


def test_a_ray_that_is_not_there_is_said_in_one_line(maker: Maker) -> None:
    ended = maker("run", "hanoi", *SIM, "--engine", "ray", "--address", "127.0.0.1:1")
    assert ended.code == 1
    assert "Ray at 127.0.0.1:1 cannot be joined" in ended.err
    assert "Traceback" not in ended.err


def manifest(disks: int, waypoints: int = 1) -> Manifest:
    params = {"disks": disks, "waypoints": waypoints}
    return asked.manifest("hanoi", params, "sim:latency=2ms", None, None, "truncated", 0, 100)


def test_an_owner_that_was_overtaken_stops_and_the_newer_one_is_not_disturbed(tmp_path: Path) -> None:
    orders = Orders(manifest(7), str(tmp_path), "0000", command=1)
    segment = next(iter(package_task().segments()))

    async def race() -> tuple[object, int]:
        numbers = itertools.count(2)
        old = LaneWorker(orders)
        await old.start()
        await old.exchange(1, [segment], 0.1)
        new = LaneWorker(orders)
        report = await new.start()
        assert list(report.going) == [segment.id]
        await new.exchange(1, [GoOn((segment.id,))], 0.1)
        for _ in range(40):
            overtaken = await old.exchange(next(numbers), [], 0.1)
            if overtaken.error:
                break
        while (await new.exchange(next(numbers), [], 0.2)).going:
            pass
        ended = await new.stop()
        return overtaken.error, ended.totals.steps

    error, steps = asyncio.run(race())
    assert isinstance(error, FencedError)
    assert steps == 127


def package_task():
    from maker.decomposers.hanoi import Hanoi

    return Hanoi(7)


def test_a_worker_count_may_change_from_one_command_to_the_next(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=8", "-T", "waypoints=9", "--run-dir", "r", "--json")
    slow = ("--model", "sim:error=0.01,latency=4ms")
    process = maker.start(*words, *slow, "--workers", 4)
    wait_for(lambda: steps_written(maker.folder / "r") > 40)
    process.kill()
    process.communicate()
    ended = maker(*words, *slow, "--workers", 1)
    assert (ended.code, ended.done["steps"]) == (0, 255)


def test_the_api_runs_a_task_and_returns_a_typed_result(tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = package.run(
        "hanoi",
        params={"disks": 5},
        model="sim:error=0.05",
        k=3,
        engine="inline",
        run_dir=tmp_path / "r",
        on_progress=seen.append,
    )
    assert (result.status, result.exit_code, result.verified, result.steps) == ("done", 0, True, 31)
    assert seen[-1].totals.steps == 31
    assert seen[-1].expected == 31


def test_the_api_takes_classes_and_works_off_the_main_thread(tmp_path: Path) -> None:
    from maker.decomposers.hanoi import Hanoi
    from maker.workers.simulated import Simulated

    results = []

    def go() -> None:
        results.append(
            package.run(Hanoi, params={"disks": 4}, model=Simulated, engine="inline", run_dir=tmp_path / "r")
        )

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    assert results[0].status == "done"
