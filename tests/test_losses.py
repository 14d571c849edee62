"""Actors that die of what they are given, that stop answering, and that there is no room for."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import psutil
import pytest

from benchmarks import cluster
from maker import history
from maker.cluster import placement
from maker.errors import MakerError, PluginError
from maker.run_directory import RunDirectory
from tests.conftest import SAME, WINDOW, Ended, Maker
from tests.test_cluster import actors, lost, on_ray, steps_written, wait_for

__all__ = ["on_ray"]

DEADLY = '''
import asyncio
import os
from pathlib import Path

from maker import Message, Prompt, Sample, Segment


class Count:
    """Eight segments of six steps; the parser dies of the fourth step of `s3`."""

    def segments(self):
        return [Segment(f"s{number}", 0) for number in range(8)]

    def prompt(self, step):
        return None if step.state == 6 else Prompt((Message("user", f"{step.segment} {step.state}"),))

    def parse(self, step, text):
        if (step.segment, step.index) == ("s3", 3) and not Path(__file__).with_name("cured").exists():
            os._exit(11)
        return int(text)

    def advance(self, step, answer):
        return step.state + 1

    def stitch(self, finals):
        return sum(finals.values())


class Says:
    name, temperatures = "says", (None, None)
    resources = {"num_cpus": 0.25}

    async def draw(self, request):
        for seat in request.seats:
            await asyncio.sleep(0.02)
            yield Sample(seat, "1", "stop", 1, 1, 0.0)

    async def aclose(self):
        pass


class Greedy(Says):
    resources = {"num_gpus": 1, "moon": 2}
'''
TASK = ("deadly.py:Count", "--model", "deadly.py:Says", "--json", "--run-dir", "r")


@pytest.fixture
def deadly(on_ray: Maker) -> Maker:
    (on_ray.folder / "deadly.py").write_text(DEADLY)
    return on_ray


def test_a_segment_that_kills_its_workers_is_parked_and_the_others_of_its_lane_go_on(deadly: Maker) -> None:
    ended = deadly("run", *TASK, "--workers", 1)
    assert (ended.code, ended.done["parked"], ended.done["lost_workers"]) == (3, 1, 3), ended.err
    [parked] = deadly("steps", "r", "--parked", "--json").events
    head = parked["index"]
    assert head == 3 if WINDOW == 1 else head <= 3, "what is ahead of the head may kill"
    assert parked["segment"] == "s3"
    assert ended.done["steps"] == 7 * 6 + head
    assert f"s3:{head}: its worker died 3 times in a row before step {head} was" in ended.done["reason"]
    assert [loss["in_a_row"] for loss in lost(ended)][-1] <= 3
    assert deadly("verify", "r").code == 0

    (deadly.folder / "cured").touch()
    again = deadly("run", *TASK)
    assert (again.code, again.done["steps"], again.done["result"]) == (0, 48, 48), again.err
    assert again.done["samples"] == 48 * 3


@pytest.mark.slow
def test_a_worker_that_stops_answering_is_replaced(on_ray: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=9", "-T", "waypoints=4", "--workers", 2, "--json", "--k", 3)
    slow = ("--model", "sim:error=0.01,flags=0.02,latency=10ms")
    process = on_ray.start(*words, *slow, "--lost-after", "3s", "--run-dir", "r")
    wait_for(lambda: steps_written(on_ray.folder / "r") > 40)
    max(actors(), key=psutil.Process.create_time).send_signal(signal.SIGSTOP)
    out, err = process.communicate(timeout=150)
    ended = Ended(process.returncode, out, err)
    assert (ended.code, ended.done["verified"], ended.done["lost_workers"]) == (0, True, 1), err
    assert "has not answered for 3 s" in err
    straight = on_ray(*words, "--model", "sim:error=0.01,flags=0.02", "--run-dir", "straight").done
    assert {name: ended.done[name] for name in SAME} == {name: straight[name] for name in SAME}
    assert on_ray("verify", "r").code == 0


def test_a_model_that_no_node_can_hold_is_refused_before_anything_is_drawn(deadly: Maker) -> None:
    words = [word.replace("Says", "Greedy") if isinstance(word, str) else word for word in TASK]
    ended = deadly("run", *words)
    assert ended.code == 1
    assert "its models need moon=2, num_gpus=1 on one node, the most that a node has is" in ended.err
    assert "Traceback" not in ended.err


def test_actors_that_there_is_no_room_for_hold_nothing_up(deadly: Maker) -> None:
    (deadly.folder / "cured").touch()
    path = deadly.folder / "deadly.py"
    path.write_text(path.read_text().replace('"num_cpus": 0.25', '"num_cpus": 2'))
    ended = deadly("run", *TASK, "--workers", 3)
    assert (ended.code, ended.done["result"], ended.done["lost_workers"]) == (0, 48, 0), ended.err
    assert "few_places" in ended.err


SLOW = """
import asyncio
from itertools import count

from maker import Sample

MADE = count()


class Uneven:
    \"\"\"The one that the first lane makes is twenty times as slow as the others.\"\"\"

    name, temperatures = "uneven", (None, None)

    def __init__(self):
        self.latency = 0.4 if next(MADE) == 1 else 0.02

    async def draw(self, request):
        for seat in request.seats:
            await asyncio.sleep(self.latency)
            yield Sample(seat, "1", "stop", 1, 1, 0.0)

    async def aclose(self):
        pass
"""


def test_a_slow_worker_does_not_hold_the_run(maker: Maker) -> None:
    (maker.folder / "uneven.py").write_text(SLOW)
    count = DEADLY.replace("range(8)", "range(400)").replace("state == 6", "state == 1")
    (maker.folder / "count.py").write_text(count)
    words = ("run", "count.py:Count", "--model", "uneven.py:Uneven", "--workers", 2, "--k", 1, "--json")
    ended = maker(*words, "--run-dir", "r")
    assert (ended.code, ended.done["result"]) == (0, 400), ended.err
    run = RunDirectory(maker.folder / "r")
    slow, fast = (sum(1 for _ in history.read(run.lane(lane), ("decision",))) for lane in run.lanes())
    assert slow <= 96 < 300 <= fast


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_cluster_whose_nodes_and_head_are_killed_gives_the_run_that_nobody_disturbed() -> None:
    model = "sim:error=0.01,flags=0.01,latency=300ms"  # it takes longer than the 15 s until a head is missed
    asked = cluster.Asked(11, 8, model, workers=4, kills=2, between=(3.0, 8.0), seed=1)
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # Ray keeps the token that it was given first
        row, wrong = apart.submit(cluster.measure, asked, head=True).result()
    assert not wrong
    assert (row["nodes killed"], row["raylets only"], row["head killed"]) == (1, 1, 1)


# -- what an actor takes ---------------------------------------------------------------------------


class Named:
    def __init__(self, resources: object) -> None:
        self.name, self.resources = "named", resources


def test_an_actor_takes_what_all_its_models_take() -> None:
    found = placement.needs([Named({"num_gpus": 0.25}), Named({"num_gpus": 0.5, "num_cpus": 1}), Named({})])  # type: ignore[list-item]
    assert found == {"num_gpus": 0.75, "num_cpus": 1}
    assert placement.options(found) == {"num_gpus": 0.75, "num_cpus": 1}
    assert placement.options({"moon": 2.0}) == {"num_cpus": 0, "resources": {"moon": 2.0}}
    assert placement.options({}) == {"num_cpus": 0}


@pytest.mark.parametrize(
    "resources", [None, 3, {"num_gpus": -1}, {"num_gpus": "1"}, {"num_gpus": float("nan")}]
)
def test_resources_that_are_none_are_refused(resources: object) -> None:
    with pytest.raises(PluginError, match="expected names and amounts"):
        placement.needs([Named(resources)])  # type: ignore[list-item]


def test_workers_go_to_the_node_with_the_fewest_that_lends_cpus() -> None:
    nodes = {"head": {"CPU": 0.0}, "a": {"CPU": 2.0}, "b": {"CPU": 1.0}}
    assert placement.emptiest(nodes, {}) == "a"
    assert placement.emptiest(nodes, {"a": 1}) == "b"
    assert placement.emptiest({"head": {}}, {"head": 3}) == "head"
    assert placement.emptiest({}, {}) == ""


def test_room_is_counted_node_by_node() -> None:
    nodes = [{"CPU": 4.0, "GPU": 1.0}, {"CPU": 2.0}, {"CPU": 8.0, "GPU": 2.0}]
    assert placement.room({}, nodes, 5) == 5
    assert placement.room({"num_gpus": 0.1}, nodes, 100) == 30
    assert placement.room({"num_gpus": 0.5, "num_cpus": 3}, nodes, 100) == 1 + 2
    with pytest.raises(
        MakerError, match="need num_gpus=3 on one node, the most that a node has is num_gpus=2"
    ):
        placement.room({"num_gpus": 3}, nodes, 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_ray_whose_calls_fail_at_random_ends_as_one_whose_calls_do_not(maker: Maker) -> None:
    """Each of Ray's calls fails with 5 % before, on and after its way, driver and daemons alike."""
    share = {"num_failures": -1, "req_failure_prob": 5, "resp_failure_prob": 5, "in_flight_failure_prob": 5}
    words = ("run", "hanoi", "-T", "disks=12", "-T", "waypoints=8", "--json", "--k", 3)
    model = ("--model", "sim:error=0.01,flags=0.02")
    straight = maker(*words, *model, "--run-dir", "straight").done
    ray = {"MAKER_ENGINE": "ray", "RAY_AUTH_TOKEN_PATH": str(maker.folder / "ray" / "token")}
    failing = Maker(maker.folder, **ray, RAY_testing_rpc_failure=json.dumps({"*": share}))
    process = failing.start(*words, *model, "--run-dir", "r")
    out, err = process.communicate(timeout=800)
    ended = Ended(process.returncode, out, err)
    assert ended.code == 0, err
    same = (*SAME, "result")
    assert {name: ended.done[name] for name in same} == {name: straight[name] for name in same}
    assert maker("verify", "r").code == 0
