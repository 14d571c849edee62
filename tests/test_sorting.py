"""Merging gives what Python's `sorted` gives, every comparison is judged, and whole runs are right."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maker
from maker.decomposers.sorting import Sorting, merging, wording
from maker.errors import UsageError
from maker.nouns import RedFlag, Step
from maker.task import Task
from tests.conftest import SAME, Maker
from tests.support import walk
from tests.test_cli import wait_for_steps

LISTS = st.lists(st.integers(-(10**9), 10**9) | st.integers(-3, 3), max_size=40)


@given(LISTS)
def test_merging_gives_what_python_gives(items: list[int]) -> None:
    task = Sorting(items)
    decided, finals = walk(task)
    assert task.stitch(finals) == sorted(items)
    assert task.verify(decided) is True


@given(st.lists(st.sampled_from("abAB"), max_size=30))
def test_merging_is_stable(letters: list[str]) -> None:
    state = merging.first([ord(letter) * 100 + place for place, letter in enumerate(letters)])
    while pair := merging.pair(state):
        left, right = (chr(item // 100).lower() for item in pair)
        state = merging.advance(state, "right" if right < left else "left")
    sorted_letters = [chr(item // 100) for item in merging.result(state)]
    assert sorted_letters == sorted(letters, key=str.lower)


@given(LISTS)
def test_no_state_is_changed_in_place(items: list[int]) -> None:
    state, random = merging.first(items), Random(0)
    while merging.pair(state):
        before = json.dumps(state)
        after = merging.advance(state, random.choice(["left", "right"]))
        assert json.dumps(state) == before
        state = after
    assert sorted(merging.result(state)) == sorted(items), "whatever is said, no integer is lost"


def test_the_steps_expected_are_those_of_lists_in_random_order() -> None:
    random = Random(5)
    for number in (1, 2, 5, 100):
        counts = [len(walk(Sorting(random.sample(range(10**6), number)))[0]) for _ in range(60)]
        assert sum(counts) / 60 == pytest.approx(merging.expected(number), rel=0.05)


def test_no_planted_fault_passes_the_judge() -> None:
    random = Random(1)
    task = Sorting([random.randrange(-50, 50) for _ in range(40)])
    decided, _ = walk(task)
    for at, (name, index, answer) in enumerate(decided):
        other = "left" if answer == "right" else "right"
        assert task.verify([*decided[:at], (name, index, other), *decided[at + 1 :]]) is not True
    for short in range(len(decided)):
        assert task.verify(decided[:short]) is not True
    assert "more steps" in str(task.verify([*decided, ("list", len(decided), "left")]))


def test_the_mistake_is_the_other_side() -> None:
    task = Sorting([2, 1])
    step = Step("list", 0, merging.first([2, 1]))
    assert (task.truth(step), task.mistake(step, 3)) == ("next = right", "next = left")
    prompt = task.prompt(step)
    assert prompt is not None
    assert prompt.messages[-1].content == "left = 2\nright = 1"
    assert wording.question(4071, -12) == "left = 4071\nright = -12"
    assert task.truth(Step("list", 0, merging.first([7, 7]))) == "next = left", "equal: the left one"


@pytest.mark.parametrize(
    "text", ["next = left", "NEXT=Left.", "next = right? No:\nnext = left\n", "x next = left"]
)
def test_the_last_side_of_a_response_counts(text: str) -> None:
    assert wording.parse(text) == "left"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "left",
        "next = ",
        "next = leftmost",
        "next = 12",
        "next: left",
        "next = left\nnext =",
        "context = left",
    ],
)
def test_what_is_not_well_formed_is_flagged(text: str) -> None:
    with pytest.raises(RedFlag, match="malformed"):
        wording.parse(text)


def test_an_answer_of_a_person_must_be_a_side_too() -> None:
    task, step = Sorting([2, 1]), Step("list", 0, merging.first([2, 1]))
    assert [task.check(step, answer) for answer in ("left", "right", "up", 1, None)] == [
        True,
        True,
        *[False] * 3,
    ]


def test_a_list_and_a_file_at_once_or_neither_are_refused() -> None:
    with pytest.raises(UsageError, match="give one list"):
        Sorting()


@pytest.mark.parametrize("numbers", [[True, 2], [1.0, 2], ["1", 2], "[true, 2]"])
def test_what_is_no_integer_is_not_sorted(tmp_path: Path, numbers: object) -> None:
    with pytest.raises(UsageError, match="valid integer"):
        maker.run("sorting", params={"numbers": numbers}, model="sim", run_dir=tmp_path / "r")


@pytest.mark.parametrize("numbers", [[], [5]])
def test_what_is_sorted_already_takes_no_step(tmp_path: Path, numbers: list[int]) -> None:
    result = run(tmp_path, 3, numbers)
    assert (result.status, result.verified, result.result, result.steps) == ("done", True, numbers, 0)


def run(folder: Path, k: int, numbers: list[int]) -> maker.RunResult:
    return maker.run(
        "sorting",
        params={"numbers": numbers},
        model="sim:error=0.01",
        k=k,
        engine="inline",
        run_dir=folder / f"run-{k}",
    )


def test_a_list_is_sorted_with_voting_and_not_without(tmp_path: Path) -> None:
    random = Random(7)
    numbers = [random.randrange(-999, 999) for _ in range(120)]
    voted, alone = (run(tmp_path, k, numbers) for k in (3, 1))
    assert (voted.status, voted.verified, voted.result) == ("done", True, sorted(numbers))
    assert (alone.status, alone.verified) == ("failed", False)


def test_a_killed_sort_goes_on_where_it_was(maker: Maker) -> None:
    numbers = Random(8).sample(range(10**6), 60)
    words = ("run", "sorting", "-T", f"numbers={numbers}", "--seed", 5, "--json")
    straight = maker(*words, "--model", "sim:error=0.01,flags=0.02", "--run-dir", "straight").done
    slow = ("--model", "sim:error=0.01,flags=0.02,latency=10ms", "--run-dir", "killed")
    process = maker.start(*words, *slow)
    wait_for_steps(maker.folder / "killed", 40)
    process.kill()
    process.communicate(timeout=30)
    resumed = maker(*words, *slow).done
    assert resumed["result"] == sorted(numbers)
    assert [resumed[name] for name in SAME] == [straight[name] for name in SAME]


def test_a_step_of_a_list_of_five_hundred_costs_little() -> None:
    """A state holds every integer and is hashed at every step. The bound is ten times what it takes."""
    random = Random(9)
    task = Sorting([random.randrange(-(10**9), 10**9) for _ in range(500)])
    through, begun = Task(task, "sorting"), time.process_time()
    decided, _ = walk(task)
    for segment in through.segments():
        for _ in range(len(decided)):
            through.digest(Step(segment.id, 0, segment.state))
    assert 3700 < len(decided) < 4000
    assert (time.process_time() - begun) / len(decided) < 0.005
