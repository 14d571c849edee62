"""`maker calibrate`: which steps it samples, what it holds answers against, and that it outlives a kill."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest

from maker import asked, calibration_picture, calibrator, plugins, run
from maker.calibration import Calibration
from maker.decomposers.hanoi import Hanoi
from maker.decomposers.sampled import Sampled, kind, original
from maker.errors import IncompatibleResumeError, PluginError, UsageError
from maker.manifest import Source
from maker.nouns import Step
from maker.result import RunResult
from maker.run_directory import RunDirectory
from maker.task import Task
from tests.conftest import Maker

HANOI = asked.source(plugins.DECOMPOSERS, "hanoi")


def hanoi(disks: int, steps: int, seed: int = 0, each_kind: int = 0, **parameters: Any) -> Sampled:
    return Sampled(HANOI, {"disks": disks, **parameters}, steps, seed, each_kind)


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


def test_rare_kinds_of_steps_are_added_behind_those_from_all_over() -> None:
    plain, more = hanoi(10, 60), hanoi(10, 60, each_kind=4)
    first, all_of_them = originals(plain), originals(more)
    assert all_of_them[:60] == first, "what is chosen evenly does not hang on it"
    assert all_of_them == originals(hanoi(10, 60, each_kind=4))
    places = [(step.segment, step.index) for step in all_of_them]
    assert len(set(places)) == len(places)
    kinds = Counter(map(more.inner.decomposer.kind, all_of_them))  # type: ignore[attr-defined]
    assert [kinds[f"disk {disk:02}"] for disk in range(7, 11)] == [4, 4, 2, 1], (
        "two and one are all there are"
    )
    assert min(kinds[f"disk {disk:02}"] for disk in range(1, 9)) >= 4


def test_kinds_of_steps_need_a_task_that_tells_them() -> None:
    source = asked.source(plugins.DECOMPOSERS, "sorting")
    with pytest.raises(UsageError, match=r"sorting has no kind\(step\)"):
        Sampled(source, {"numbers": [3, 1, 2]}, 10, each_kind=3)


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


def forest(folder: Path, truth: bool = True) -> Source:
    file = folder / "forest.py"
    file.write_text(FOREST + TRUTH * truth)
    return asked.source(plugins.DECOMPOSERS, f"{file}:Forest")


def test_without_a_way_to_jump_the_right_path_is_walked_through_forks(tmp_path: Path) -> None:
    steps = originals(Sampled(forest(tmp_path), {}, 100))
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


def test_without_truth_chains_begin_where_segments_do(tmp_path: Path) -> None:
    sampled = Sampled(forest(tmp_path, truth=False), {}, 6)
    assert sampled.origin == "votes"
    first, second = sampled.segments()
    assert {first.state["state"], second.state["state"]} == {10, 20}
    assert first.state["left"] == 2
    after = sampled.advance(Step(first.id, 0, first.state), 11)
    assert (after["index"], after["state"], after["left"]) == (1, 11, 1)
    assert sampled.advance(Step(first.id, 1, after), 12) is None, "a fork is not followed"


# -- what it finds ---------------------------------------------------------------------------------


def calibrated(folder: Path, task: str = "hanoi", **asked: Any) -> tuple[RunResult, Calibration]:
    asked = {"params": {"disks": 12} if task == "hanoi" else {}, "run_dir": folder / "r", **asked}
    result, found = calibrator.calibrate(task, engine="inline", **asked)
    assert found is not None
    assert Calibration.model_validate_json(found.model_dump_json()) == found
    return result, found


def test_a_calibration_finds_the_rates_of_a_simulated_model(tmp_path: Path) -> None:
    model = "sim:error=0.05,flags=0.1,rivals=2"
    _, found = calibrated(tmp_path, model=model, steps=300, draws=4)
    assert (found.truth, found.steps, found.draws, found.length) == ("verifier", 300, 4, 4095)
    assert (found.task, found.parameters) == (HANOI, {"disks": 12})
    for share, truth in ((found.error, 0.05), (found.valid, 0.9), (found.collisions, 0.0025)):
        assert share.low <= truth <= share.high
    assert found.error.of == found.valid.count
    assert found.valid.of == 1200
    assert found.rho.low <= 0 <= found.rho.high < 0.3
    assert found.flags == {"malformed": 1200 - found.valid.count}
    assert "whole task" in found.hidden
    assert "no k helps" in found.hidden


@pytest.mark.parametrize(("name", "said"), [(None, "a NoneType"), (7, "a int"), ("", "an empty text")])
def test_a_kind_is_a_text(name: object, said: str) -> None:
    class Kinds(Hanoi):
        def kind(self, step: Step) -> str:
            return name  # type: ignore[return-value]

    where = rf"kind at step 0:0, state 0 \({re.escape(__file__)}:\d+\) gave {said}, expected a kind's name"
    with pytest.raises(PluginError, match=where):
        kind(Kinds(3), Step("0", 0, 0))


def test_kinds_of_steps_are_measured_apart_and_do_not_move_the_rest(tmp_path: Path) -> None:
    asked = {"model": "sim:error=0.1", "steps": 40}
    _, plain = calibrated(tmp_path / "plain", **asked)
    _, found = calibrated(tmp_path / "kinds", each_kind=3, **asked)
    assert found.steps == 40 == sum(kind.evenly for kind in found.kinds)
    assert [kind.name for kind in found.kinds] == [f"disk {disk:02}" for disk in range(1, 13)]
    assert [min(3, kind.steps) for kind in found.kinds] == [3] * 10 + [2, 1]
    assert all(kind.evenly == kind.steps for kind in plain.kinds)
    told = found.model_dump(exclude={"kinds", "latency", "latency_sigma"})
    assert told == plain.model_dump(exclude={"kinds", "latency", "latency_sigma"})


def test_hard_steps_show_as_correlation(tmp_path: Path) -> None:
    params = {"left": "98765432109876", "right": "12345678909876", "op": "multiply"}
    model = "sim:error=0.0,hard=0.1,hard_error=0.5"
    _, found = calibrated(tmp_path, "arithmetic", params=params, model=model, steps=200)
    assert found.steps == 196
    assert 0 < found.rho.low <= 0.474 <= found.rho.high
    assert "Every step of the whole task" in found.hidden


def test_without_truth_the_most_voted_answer_is_held_right_and_it_says_so(tmp_path: Path) -> None:
    task = forest(tmp_path, truth=False).spec
    (tmp_path / "says.py").write_text(SAYS)
    model = f"{tmp_path / 'says.py'}:Says"
    _, found = calibrated(tmp_path, task, model=model, steps=4)
    assert found.truth == "disagreement"
    assert found.steps == 4
    assert (found.error.count, found.error.of) == (2, 12), "draw 1 of each first step says something else"
    assert found.contested.count == 2
    assert "cannot be seen" in found.hidden
    assert "nothing behind a fork" in found.hidden
    with pytest.raises(UsageError, match="expected 3 or more"):
        calibrated(tmp_path, task, model=model, draws=2)


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


def test_an_ordinary_run_is_measured_by_the_votes_that_every_step_has(tmp_path: Path) -> None:
    model = "sim:error=0.1,flags=0.05"
    run("hanoi", params={"disks": 8}, model=model, run_dir=tmp_path / "r", k=3, engine="inline")
    found = calibrator.of_run(tmp_path / "r")
    assert found is not None
    assert (found.steps, found.draws, found.truth) == (255, 3, "verifier")
    assert found.valid.of == 765
    assert found.error.low <= 0.1 <= found.error.high
    assert "the run decided" in found.hidden


def test_where_every_step_was_looked_at_nothing_rarer_is_warned_of(tmp_path: Path) -> None:
    some, every = (
        calibrated(tmp_path / str(steps), model="sim", steps=steps, params={"disks": 6}) for steps in (30, 99)
    )
    assert [("may have been missed" in found.hidden) for _, found in (some, every) if found] == [True, False]


def test_a_budget_ends_it_early_with_what_was_seen_and_it_goes_on(tmp_path: Path) -> None:
    asked = {"model": "sim:error=0.05", "steps": 100}
    first, seen = calibrated(tmp_path, max_calls=150, **asked)
    assert first.status == "budget"
    assert 40 <= seen.steps <= 50
    second, whole = calibrated(tmp_path, max_calls="none", **asked)
    assert (second.status, second.samples, whole.steps) == ("done", 300, 100)
    with pytest.raises(IncompatibleResumeError, match="models"):
        calibrated(tmp_path, model="sim:error=0.1", steps=100)


def test_a_step_that_is_flagged_throughout_counts(tmp_path: Path) -> None:
    result, found = calibrated(tmp_path, model="sim:flags=0.5", steps=60, draws=2)
    assert result.status == "parked"
    assert found.steps == 60
    assert found.valid.of == 120
    assert found.collisions.of < found.collisions_unflagged.of == 60


def test_a_task_whose_file_has_changed_is_refused(tmp_path: Path) -> None:
    source = forest(tmp_path)
    calibrated(tmp_path, source.spec, model="sim", steps=12)
    file = tmp_path / "forest.py"
    file.write_text(file.read_text() + "\n# another\n")
    with pytest.raises(IncompatibleResumeError, match=r"forest\.py"):
        calibrator.of_run(tmp_path / "r")


def test_a_picture_holds_outside_text_escaped(tmp_path: Path) -> None:
    _, found = calibrated(tmp_path, model="sim:error=0.3", steps=20)
    source = Source(spec="<script>&\x1b[31m", sha256="")
    drawn = calibration_picture.svg(found.model_copy(update={"models": [source]}))
    assert "<script>" not in drawn
    assert "\x1b" not in drawn
    ElementTree.fromstring(drawn)


# -- the command -----------------------------------------------------------------------------------


def test_the_command_that_was_killed_goes_on_with_what_it_had(maker: Maker) -> None:
    model = "sim:error=0.05,latency=30ms"
    words = ("calibrate", "hanoi", "-T", "disks=10", "--model", model, "--steps", 200, "--run-dir", "r")
    process = maker.start(*words)
    deadline = time.monotonic() + 200
    run = RunDirectory(maker.folder / "r")
    while time.monotonic() < deadline and _samples(run) < 60:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert 60 <= _samples(run) < 600
    assert not (maker.folder / "calibration.json").exists()
    ended = maker(*words, "--json")
    assert [event["event"] for event in ended.events] == ["launch", "done", "calibration"]
    assert (ended.events[1]["samples"], ended.events[2]["steps"]) == (600, 200)
    assert _samples(run) == 600, "nothing was drawn twice"
    assert Calibration.model_validate_json((maker.folder / "calibration.json").read_text()).steps == 200
    assert ElementTree.parse(maker.folder / "calibration.svg").getroot().tag.endswith("svg")
    shown = maker("calibrate", "--from", "r", "--out", "again.json").out
    assert "200 steps, 3 samples each, held against the task's own truth" in shown
    assert "not seen: " in shown
    assert (maker.folder / "again.json").read_text() == (maker.folder / "calibration.json").read_text()
    assert maker("replay", "r", "--json").events[-1]["different"] == 0


def _samples(run: RunDirectory) -> int:
    return sum(1 for _ in run.records(("sample",))) if (Path(str(run.path)) / "lanes").is_dir() else 0


def test_it_is_a_task_or_a_run(maker: Maker) -> None:
    assert maker("calibrate").code == 2
    drawn = maker("calibrate", "--from", "r", "--draws", "5", "--model", "sim")
    assert (drawn.code, "leave out --draws, --model" in drawn.err) == (2, True)
    nowhere = maker("calibrate", "hanoi", "--model", "sim", "--out", "no/c.json")
    assert (nowhere.code, "there is no folder no" in nowhere.err) == (2, True)
