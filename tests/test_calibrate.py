"""`maker calibrate`: which steps it samples, what it holds answers against, and that it outlives a kill."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest

from maker import asked, assembly, calibration_picture, calibrator, plugins
from maker.calibration import Calibration
from maker.decomposers.hanoi import Hanoi
from maker.decomposers.sampled import Sampled, original
from maker.errors import UsageError
from maker.manifest import Source
from maker.nouns import Step
from maker.run_directory import RunDirectory
from maker.task import Task
from tests.conftest import Maker

HANOI = asked.source(plugins.DECOMPOSERS, "hanoi")


def hanoi(disks: int, steps: int, seed: int = 0, **parameters: Any) -> Sampled:
    return Sampled(HANOI, {"disks": disks, **parameters}, steps, seed)


def originals(sampled: Sampled) -> list[Step]:
    return [original(Step(each.id, 0, each.state)) for each in sampled.segments()]


# -- which steps -----------------------------------------------------------------------------------


def test_steps_come_from_all_over_the_task_and_are_the_same_each_time() -> None:
    steps = originals(hanoi(20, 400))
    assert steps == originals(hanoi(20, 400)) != originals(hanoi(20, 400, seed=1))
    quarters = [sum(q <= step.index >> 18 < q + 1 for step in steps) for q in range(4)]
    assert len({step.index for step in steps}) == 400
    assert min(quarters) > 60


def test_a_task_that_is_shorter_is_sampled_whole() -> None:
    steps = originals(hanoi(4, 100, waypoints=3))
    assert sorted((step.segment, step.index) for step in steps) == [
        (name, index) for name in "012" for index in range(5)
    ]


def test_a_sampled_step_is_the_one_that_a_walk_comes_by() -> None:
    task, seen = Hanoi(6, waypoints=3), {}
    through = Task(task, "hanoi")
    for segment in through.segments():
        step = Step(segment.id, 0, segment.state)
        while through.prompt(step):
            seen[step.segment, step.index] = step.state
            step, _ = through.advance(step, through.read(step, task.truth(step))[1])
    for step in task.sample(Random(1), 30):
        assert seen[step.segment, step.index] == through._json("sample", step, step.state)


FOREST = """
from maker import Fork, Message, Prompt, Segment

class Forest:
    '''Two segments; step 1 of each forks into two children of two steps, whose ends it joins.'''

    steps = 14

    def segments(self):
        return [Segment("a", 10), Segment("b", 20)]

    def prompt(self, step):
        last = 3 if "/" not in step.segment else 2
        asked = (Message("user", f"{step.state} + 1"),)
        return None if step.index == last else Prompt(asked, proposal=step.index == 2)

    def parse(self, step, text):
        return int(text)

    def advance(self, step, answer):
        return Fork([answer, answer]) if step.index == 1 and "/" not in step.segment else answer

    def join(self, step, finals):
        return sum(finals)

    def stitch(self, finals):
        return finals
"""
TRUTH = """
    def truth(self, step):
        return str(step.state + 1)

    def mistake(self, step, rank):
        return str(step.state + 2 + rank)
"""


def forest(maker: Maker, truth: bool = True) -> Source:
    file = maker.folder / "forest.py"
    file.write_text(FOREST + TRUTH * truth)
    return asked.source(plugins.DECOMPOSERS, f"{file}:Forest")


def test_without_a_way_to_jump_the_right_path_is_walked_through_forks(maker: Maker) -> None:
    steps = originals(Sampled(forest(maker), {}, 100))
    walked = sorted((step.segment, step.index, step.state) for step in steps)
    assert walked[:6] == [
        ("a", 0, 10),
        ("a", 1, 11),
        ("a/1.0", 0, 12),
        ("a/1.0", 1, 13),
        ("a/1.1", 0, 12),
        ("a/1.1", 1, 13),
    ]
    assert len(walked) == 12, "proposals are not voted on, so not sampled"


def test_without_truth_chains_begin_where_segments_do(maker: Maker) -> None:
    sampled = Sampled(forest(maker, truth=False), {}, 6)
    assert sampled.origin == "votes"
    first, second = sampled.segments()
    assert {first.state["state"], second.state["state"]} == {10, 20}
    assert first.state["left"] == 2
    after = sampled.advance(Step(first.id, 0, first.state), 11)
    assert (after["index"], after["state"], after["left"]) == (1, 11, 1)
    assert sampled.advance(Step(first.id, 1, after), 12) is None, "a fork is not followed"


# -- what it finds ---------------------------------------------------------------------------------


def calibrated(maker: Maker, *words: object, code: int = 0) -> Calibration:
    ended = maker("calibrate", *words, "--json")
    assert ended.code == code, ended.err
    found = ended.events[-1]
    assert found.pop("event") == "calibration"
    kept = Calibration.model_validate_json((maker.folder / "calibration.json").read_text())
    assert kept == Calibration.model_validate(found)
    return kept


def test_a_calibration_finds_the_rates_of_a_simulated_model(maker: Maker) -> None:
    model = "sim:error=0.05,flags=0.1,rivals=2"
    found = calibrated(maker, "hanoi", "-T", "disks=12", "--model", model, "--steps", 300, "--draws", 4)
    assert (found.truth, found.steps, found.draws, found.length) == ("verifier", 300, 4, 4095)
    assert (found.task.spec, found.parameters) == ("hanoi", {"disks": 12})
    for share, truth in ((found.error, 0.05), (found.valid, 0.9), (found.collisions, 0.0025)):
        assert share.low <= truth <= share.high
    assert found.error.of == found.valid.count and found.valid.of == 1200
    assert found.rho.low <= 0 <= found.rho.high < 0.3
    assert found.flags == {"malformed": 1200 - found.valid.count}
    assert "whole task" in found.hidden and "no k helps" in found.hidden
    picture = ElementTree.parse(maker.folder / "calibration.svg").getroot()
    assert picture.tag.endswith("svg")


def test_hard_steps_show_as_correlation(maker: Maker) -> None:
    model = "sim:error=0.0,hard=0.1,hard_error=0.5"
    found = calibrated(maker, "arithmetic", "-T", "left=98765432109876", "-T", "right=12345678909876",
                       "-T", "op=multiply", "--model", model, "--steps", 200, "--draws", 3)  # fmt: skip
    assert found.steps == 196
    assert found.rho.low > 0
    assert found.rho.low <= 0.474 <= found.rho.high
    assert "path that the task's truth" in found.hidden


def test_without_truth_the_most_voted_answer_is_held_right_and_it_says_so(maker: Maker) -> None:
    forest(maker, truth=False)
    (maker.folder / "says.py").write_text(SAYS)
    found = calibrated(maker, "forest.py:Forest", "--model", "says.py:Says", "--steps", 4, "--draws", 3)
    assert found.truth == "disagreement"
    assert found.steps == 4
    assert (found.error.count, found.error.of) == (2, 12), "draw 1 of each first step says something else"
    assert found.contested.count == 2
    assert "cannot be seen" in found.hidden and "nothing behind a fork" in found.hidden
    assert maker("calibrate", "forest.py:Forest", "--model", "says.py:Says", "--draws", 2).code == 2


SAYS = """
from maker import Sample

class Says:
    name, temperatures = "says", (None, None)

    async def draw(self, request):
        number = int(request.prompt.messages[0].content.split()[0])
        for seat in request.seats:
            said = number + 1 if seat.draw != 1 or number not in (10, 20) else 0
            yield Sample(seat, str(said), finish="stop", tokens_in=1, tokens_out=1, latency=0.0)

    async def aclose(self):
        pass
"""


def test_an_ordinary_run_is_measured_by_the_votes_that_every_step_has(maker: Maker) -> None:
    maker("run", "hanoi", "-T", "disks=8", "--model", "sim:error=0.1,flags=0.05", "--run-dir", "r", "--k", 3)
    found = calibrated(maker, "--from", "r")
    assert (found.steps, found.draws, found.truth) == (255, 3, "verifier")
    assert found.valid.of == 765
    assert found.error.low <= 0.1 <= found.error.high
    assert "the run decided" in found.hidden


def test_a_calibration_that_was_killed_goes_on_with_what_it_had(maker: Maker) -> None:
    words = ("calibrate", "hanoi", "-T", "disks=10", "--model", "sim:error=0.05,latency=30ms", "--steps", 200,
             "--run-dir", "r", "--json")  # fmt: skip
    process = maker.start(*words)
    deadline = time.monotonic() + 120
    run = RunDirectory(maker.folder / "r")
    while time.monotonic() < deadline and _samples(run) < 60:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    had = _samples(run)
    assert 60 <= had < 600
    ended = maker(*words)
    assert ended.events[-1]["steps"] == 200
    assert ended.events[-2]["samples"] == 600
    assert _samples(run) == 600, "nothing was drawn twice"


def _samples(run: RunDirectory) -> int:
    return sum(1 for _ in run.records(("sample",))) if (Path(str(run.path)) / "lanes").is_dir() else 0


def test_a_budget_ends_it_early_with_what_was_seen(maker: Maker) -> None:
    words = ("hanoi", "-T", "disks=10", "--model", "sim:error=0.05", "--steps", 100, "--run-dir", "r")
    found = calibrated(maker, *words, "--max-calls", 150, code=4)
    assert 40 <= found.steps <= 50
    assert calibrated(maker, *words).steps == 100


def test_a_calibration_replays_and_resumes_like_any_run(maker: Maker) -> None:
    maker(
        "calibrate",
        "hanoi",
        "-T",
        "disks=8",
        "--model",
        "sim:error=0.1,flags=0.5",
        "--steps",
        50,
        "--run-dir",
        "r",
    )
    assert maker("replay", "r", "--json").events[-1]["different"] == 0
    assert maker("verify", "r").code == 0
    again = maker(
        "calibrate", "hanoi", "-T", "disks=8", "--model", "sim:error=0.1", "--steps", 50, "--run-dir", "r"
    )
    assert again.code == 7
    assert "models" in again.err


def test_a_task_whose_file_has_changed_is_refused(maker: Maker) -> None:
    forest(maker)
    words = ("calibrate", "forest.py:Forest", "--model", "sim", "--steps", 12, "--run-dir", "r")
    assert maker(*words).code == 0
    file = maker.folder / "forest.py"
    file.write_text(file.read_text() + "\n# another\n")
    assert maker(*words).code == 7
    assert maker("calibrate", "--from", "r").code == 7


def test_it_is_a_task_or_a_run(maker: Maker) -> None:
    assert maker("calibrate").code == 2
    assert maker("calibrate", "hanoi", "--from", "r").code == 2


def test_a_picture_holds_outside_text_escaped(maker: Maker) -> None:
    found = calibrated(maker, "hanoi", "-T", "disks=5", "--model", "sim:error=0.3", "--steps", 20)
    source = Source(spec="<script>&\x1b[31m", sha256="")
    drawn = calibration_picture.svg(found.model_copy(update={"models": [source]}))
    assert "<script>" not in drawn and "\x1b" not in drawn
    ElementTree.fromstring(drawn)


def test_from_python() -> None:
    assert callable(calibrator.calibrate)
    with pytest.raises(UsageError, match="2 or more"):
        hanoi(5, 1)


def test_a_calibration_is_an_ordinary_run_of_sampled_steps(maker: Maker) -> None:
    maker("calibrate", "hanoi", "-T", "disks=5", "--model", "sim", "--steps", 5, "--run-dir", "r")
    manifest = RunDirectory(maker.folder / "r").manifest()
    assert manifest.task.spec == "maker.decomposers.sampled:Sampled"
    assert isinstance(assembly.task(manifest).decomposer, Sampled)
    assert json.loads((maker.folder / "calibration.json").read_text())["seed"] == 0
