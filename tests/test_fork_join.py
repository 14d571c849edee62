"""A step that forks: its children are segments like any other, and it goes on when all have ended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from maker import (
    Fork,
    Message,
    Prompt,
    RedFlag,
    Sample,
    Segment,
    Step,
    api,
    journal,
    review,
    soundness,
    steps,
    summary,
)
from maker.chain import Chain, Commit, Draw, Finish, Park, Wait
from maker.errors import JournalDamagedError, UsageError
from maker.model import Request
from maker.nouns import Json
from maker.records import Record
from maker.result import RunResult
from maker.run_directory import RunDirectory
from maker.task import MAX_CHILDREN, MAX_DEPTH, Task
from tests.conftest import Maker
from tests.support import draws, forge, lines_of, panel, sample


class Tree:
    """Counts the leaves of a tree: a node asks for its number of branches, forks, and asks for the sum.

    depth: of forks within forks. broken: what goes wrong.
    """

    def __init__(self, depth: int = 2, branches: int = 3, roots: int = 2, broken: str = "") -> None:
        self.depth, self.branches, self.roots, self.broken = depth, branches, roots, broken

    def segments(self) -> Iterable[Segment]:
        return [Segment(f"root{number}", {"depth": self.depth}) for number in range(self.roots)]

    def prompt(self, step: Step) -> Prompt | None:
        if "leaves" in step.state:
            return None
        return Prompt((Message("user", json.dumps(step.state)),))

    def parse(self, step: Step, text: str) -> Json:
        if not text.isdecimal():
            raise RedFlag
        return int(text)

    def advance(self, step: Step, answer: Json) -> Json | Fork:
        if step.state["depth"] == 0 or "sum" in step.state:
            return {"leaves": answer}
        child = {"depth": step.state["depth"] - 1}
        if self.broken == "endless":
            child["depth"] += 1
        many = MAX_CHILDREN + 1 if self.broken == "wide" else answer
        return Fork("ab" if self.broken == "text" else [child] * many, step.state)

    def join(self, step: Step, finals: list[Json]) -> Json:
        if self.broken == "join":
            raise ValueError("cannot join")
        return {**step.state, "sum": [each["leaves"] for each in finals]}

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return {name: final["leaves"] for name, final in sorted(finals.items())}

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool | str:
        count = sum(1 for _ in decided)
        inner = sum(self.branches**depth for depth in range(self.depth))
        return count == self.roots * (2 * inner + self.branches**self.depth) or f"{count} steps"

    def truth(self, step: Step) -> str:
        if "sum" in step.state:
            return str(sum(step.state["sum"]))
        return str(self.branches if step.state["depth"] else 1)

    def mistake(self, step: Step, rank: int) -> str:
        return str(int(self.truth(step)) + 1 + rank)


class NoJoin(Tree):
    join = None  # type: ignore[assignment]


HERE = f"{__file__}:Tree"


def run(folder: Path, task: str = HERE, **how: Any) -> RunResult:
    params = {name: how.pop(name) for name in ("depth", "branches", "broken") if name in how}
    asked = {"model": "sim:error=0.1", "engine": "inline", "run_dir": folder / "r", "workers": 3}
    return api.run(task, params=params, **{**asked, **how})


# -- the chain -------------------------------------------------------------------------------------


def test_a_chain_waits_where_it_forks_and_goes_on_from_what_is_joined() -> None:
    subject = Task(Tree(), "tree")
    chain = Chain(subject, panel(), next(subject.segments()))
    chain.start()
    for draw in range(2):
        assert chain.receive(sample(draw, "3")) == []
    commit, wait = chain.receive(sample(2, "3"))
    assert isinstance(commit, Commit)
    assert commit.decision.children == 3
    assert isinstance(wait, Wait)
    assert [child.id for child in wait.children] == ["root0/0.0", "root0/0.1", "root0/0.2"]
    assert chain.start() == [wait], "it still waits"
    [draw_wish] = chain.join([{"leaves": 1}] * 3)
    assert isinstance(draw_wish, Draw)
    assert draw_wish.step == Step("root0", 1, {"depth": 2, "sum": [1, 1, 1]})
    for draw in range(2):
        chain.receive(sample(draw, "3"))
    *_, finish = chain.receive(sample(2, "3"))
    assert finish == Finish("root0", {"leaves": 3}, 2)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("wide", f"forked into {MAX_CHILDREN + 1} children, expected a list of states, at least 1 and"),
        ("text", "forked into a str as children"),
    ],
)
def test_a_fork_that_is_too_wide_or_no_list_parks_the_step(broken: str, message: str) -> None:
    subject = Task(Tree(broken=broken), "tree")
    chain = Chain(subject, panel(), next(subject.segments()))
    for wish in chain.start():
        for seat in draws([wish]):
            ended = chain.receive(sample(seat.draw, "3"))
    [park] = ended
    assert isinstance(park, Park)
    assert message in park.parked.reason


def test_a_task_that_forks_needs_a_join() -> None:
    chain = Chain(Task(NoJoin(), "tree"), panel(), next(Task(Tree(), "tree").segments()))
    chain.start()
    [*_, [park]] = [chain.receive(sample(draw, "3")) for draw in range(3)]
    assert isinstance(park, Park)
    assert "the task has no join(step, finals)" in park.parked.reason


# -- runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3, 7])
def test_children_at_any_depth_are_run_and_joined(tmp_path: Path, workers: int) -> None:
    result = run(tmp_path, workers=workers, depth=4)
    assert (result.status, result.verified) == ("done", True), result.reason
    assert result.result == {"root0": 81, "root1": 81}
    checked = soundness.check(RunDirectory(tmp_path / "r"))
    assert (checked.segments, checked.steps) == (242, 2 * (2 * 40 + 81))
    assert all(each.same for each in review.decided_again(tmp_path / "r"))
    assert review.judge(tmp_path / "r").verdict is True


def test_endless_recursion_is_stopped_with_a_clear_reason(tmp_path: Path) -> None:
    result = run(tmp_path, broken="endless", depth=1, branches=1)
    assert result.status == "parked"
    assert f"forked below {MAX_DEPTH} forks, expected at most {MAX_DEPTH}" in str(result.reason)


class Even:
    """Its votes are even at one step until draw 8."""

    name = "even"
    temperatures: tuple[float | None, float | None] = (None, None)

    def __init__(self, task: Tree, at: str = "root0/0.1/0.2:0") -> None:
        self.task, self.at = task, at

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        step = request.step
        for seat in request.seats:
            torn = f"{step.segment}:{step.index}" == self.at and seat.draw % 2 and seat.draw < 8
            text = self.task.mistake(step, 0) if torn else self.task.truth(step)
            yield Sample(seat, text, "stop", 1, 1, 0.0)

    async def aclose(self) -> None:
        pass


def parked_leaf(folder: Path) -> Path:
    result = run(folder, model=f"{__file__}:Even", max_samples=8)
    assert (result.status, result.parked) == ("parked", 1)
    assert "root0/0.1/0.2:0: undecided after 8 samples" in str(result.reason)
    return folder / "r"


def test_a_parked_child_keeps_its_ancestors_waiting_and_nobody_else(tmp_path: Path) -> None:
    parked = parked_leaf(tmp_path)
    found = summary.summarise(RunDirectory(parked))
    assert (found.waiting, found.going, list(found.parked)) == (2, set(), ["root0/0.1/0.2:0"])
    assert found.totals.steps == (2 * 4 + 9) * 2 - 3, "all but the leaf and the sums of its two ancestors"
    result = api.resume(parked, max_samples=20, engine="inline", workers=1)
    assert (result.status, result.verified, result.result) == ("done", True, {"root0": 9, "root1": 9})
    assert summary.summarise(RunDirectory(parked)).waiting == 0


def test_a_person_can_decide_a_child_and_even_how_a_step_forks(tmp_path: Path) -> None:
    result = run(tmp_path, model=f"{__file__}:Even:at=root1:0", max_samples=8)
    assert result.status == "parked"
    decision = api.decide(tmp_path / "r", ("root1", 0), 2)
    assert (decision.by, decision.children) == ("person", 2)
    assert api.resume(tmp_path / "r", engine="inline").result == {"root0": 9, "root1": 6}


def test_a_join_that_fails_parks_its_segment_and_is_tried_again_by_the_next_command(tmp_path: Path) -> None:
    result = run(tmp_path, broken="join", depth=1)
    assert (result.status, result.parked) == ("parked", 2)
    assert "join raised ValueError" in str(result.reason)
    path = tmp_path / "r"
    assert summary.summarise(RunDirectory(path)).parked.keys() == {"root0:1", "root1:1"}
    before = list(RunDirectory(path).records(("sample", "decision", "event")))
    assert api.resume(path, engine="inline").status == "parked"
    assert api.resume(path, retry_parked=True, engine="inline").status == "parked"
    assert list(RunDirectory(path).records(("sample", "decision", "event"))) == before
    with pytest.raises(UsageError, match="parked at the join of its children"):
        api.decide(path, ("root0", 1), 3)


@pytest.mark.parametrize("size", [1, 1500, 4 << 20])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_cut_anywhere_goes_on_and_joins_as_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, workers: int
) -> None:
    monkeypatch.setattr(journal, "CHUNK_BYTES", size)
    straight = run(tmp_path / "straight")
    lot, commands = Random(size + workers), 0
    while True:
        commands += 1
        calls = sum(1 for _ in RunDirectory(tmp_path / "r").records(("sample",))) if commands > 1 else 0
        cap = calls + lot.randint(1, 50) if commands < 6 else "none"
        result = run(tmp_path, workers=lot.randint(1, workers), max_calls=cap)
        if result.status == "done":
            break
        assert result.status == "budget"
    assert commands > 3
    same = ("steps", "votes", "samples", "flagged", "contested", "result", "verified")
    assert [getattr(result, name) for name in same] == [getattr(straight, name) for name in same]
    soundness.check(RunDirectory(tmp_path / "r"))
    assert all(each.same for each in review.decided_again(tmp_path / "r"))


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        (("root0", 0), {"root1": 5}),
        (("root0", 1), {"root0": 1, "root0/0.0": 1, "root0/0.1": 1, "root0/0.2": 1, "root1": 5}),
        (("root0/0.1", 0), {"root0": 1, "root0/0.0": 1, "root0/0.2": 1, "root1": 5}),
    ],
)
def test_a_fork_of_the_run_drops_what_came_of_the_step_and_joins_anew(
    tmp_path: Path, at: tuple[str, int], kept: dict[str, int]
) -> None:
    run(tmp_path, depth=1)
    copied = api.fork(tmp_path / "r", at, tmp_path / "new", seed=5)
    assert copied == sum(kept.values())
    segments = Counter(name for name, _, _ in steps.decided(RunDirectory(tmp_path / "new")))
    assert {name: count for name, count in segments.items() if "root0" in name} == {
        name: count for name, count in kept.items() if name != "root1"
    }
    result = api.resume(tmp_path / "new", engine="inline")
    assert (result.status, result.verified, result.result) == ("done", True, {"root0": 3, "root1": 3})
    soundness.check(RunDirectory(tmp_path / "new"))


def test_every_command_knows_steps_of_children(maker: Maker) -> None:
    run(maker.folder)
    assert "root0/0.1/0.0:0" in maker("steps", "r").out
    shown = maker("show", "r", "root0/0.1:1", "--json").events
    assert shown[-1]["segment"] == "root0/0.1"
    assert maker("replay", "r", "--step", "root0/0.1:1", "--json").events[0]["different"] == 0
    status = maker("status", "r", "--json").events[0]
    assert (status["segments_finished"], status["segments_waiting"]) == (26, 0)
    assert maker("verify", "r", "--task").code == 0
    assert [line["segment"] for line in maker("result", "r", "--json").events] == ["root0", "root1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(finals=record["finals"][:-1]), "2 children are joined"),
        (
            lambda record: record["finals"].__setitem__(0, {"leaves": 7}),
            "did not end in the state that was joined",
        ),
    ],
)
def test_a_forged_join_is_found(tmp_path: Path, change: Callable[[Record], None], message: str) -> None:
    run(tmp_path, depth=1, workers=1)
    [chunk] = (tmp_path / "r").glob("lanes/*/*.jsonl")
    records = lines_of(chunk)
    change(next(record for record in records if record.get("event") == "join"))
    forge(chunk, records)
    with pytest.raises(JournalDamagedError, match=message):
        soundness.check(RunDirectory(tmp_path / "r"))
