"""What the embedded model knows besides Hanoi: how its questions are found, and how well it answers them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker.decomposers.arithmetic import Arithmetic
from maker.decomposers.arithmetic import wording as arithmetic_wording
from maker.decomposers.graph import Graph
from maker.decomposers.graph import wording as graph_wording
from maker.decomposers.sorting import Sorting
from maker.decomposers.sorting import wording as sorting_wording
from maker.errors import UsageError
from maker.model import Request
from maker.nouns import Message, Prompt, Sample, Seat, Step
from maker.workers.embedded import Embedded, load, weights
from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.dialects import KNOWN, arithmetic, find, graph, sorting
from maker.workers.embedded.transformer import CONTEXT
from maker.workers.embedded.vocabulary import ANSWER, BOS, EOS, PAD
from training.exact import exact
from training.lesson import Problem, rows
from training.lessons import arithmetic as arithmetic_lesson
from training.lessons import graph as graph_lesson
from training.lessons import sorting as sorting_lesson

LESSONS: dict[str, Any] = {
    "arithmetic": arithmetic_lesson,
    "sorting": sorting_lesson,
    "graph": graph_lesson,
}


def read(asked: str) -> tuple[Dialect, str]:
    """The dialect of a prompt, and what of it the model sees."""
    dialect, tokens = find((Message("system", "rules"), Message("user", asked)))
    return dialect, dialect.words.decode(tokens)


# -- words -------------------------------------------------------------------------------------------

digits = st.integers(0, 9)
numbers = st.integers(-(10**9) + 1, 10**9 - 1)
nodes = st.integers(0, 31)


@given(digits, digits, st.none() | digits, st.integers(0, 1))
def test_every_column_is_read(a: int, b: int, above: int | None, carry: int) -> None:
    asked = arithmetic_wording.question(a, b, above, carry)
    assert read("Work it out.\n" + asked) == (arithmetic.DIALECT, f"<bos>{asked}<answer>")


@given(numbers, numbers)
def test_every_pair_of_integers_is_read_place_by_place(left: int, right: int) -> None:
    asked = sorting_wording.question(left, right)
    dialect, tokens = find((Message("user", "Which one is next?\n" + asked),))
    assert dialect == sorting.DIALECT
    assert (len(tokens), tokens[0], tokens[-1]) == (12, BOS, ANSWER)
    assert _pair(tokens[1:-1]) == [left, right]


@given(st.lists(nodes, max_size=8, unique=True), st.lists(nodes, max_size=32, unique=True))
def test_every_node_of_a_small_graph_is_read_and_its_answer_fits(
    neighbours: list[int], seen: list[int]
) -> None:
    asked = graph_wording.question(neighbours, seen)
    assert read(asked) == (graph.DIALECT, f"<bos>seen = {seen}\nneighbours = {neighbours}<answer>")
    answer = graph.WORDS.encode(graph_wording.write(neighbours))
    assert len(find((Message("user", asked),))[1]) + len(answer) < CONTEXT


@pytest.mark.parametrize(
    "asked",
    [
        "a = 7\nb = 8\ncarry = 2",
        "a = 7\nb = 18\nabove = 1\ncarry = 2",
        "a = 7\nb = 8\nabove = 1",
        "alpha = 7\nb = 8\ncarry = 1",
        "a = 7\nb = 8\ncarry = 1\n",
        "a = ٧\nb = 8\ncarry = 1",
        "left = 4071\nright = 1234567890",
        "left = 007\nright = 3",
        "left = +7\nright = 3",
        "left = 1.5\nright = 3",
        "left = 1\nright = 3\nWhich one comes next?",
        "neighbours = [3, 32]\nseen = [0]",
        "neighbours = [3, 3]\nseen = [0]",
        "neighbours = [1, 2, 3, 4, 5, 6, 7, 8, 9]\nseen = [0]",
        "neighbours = [3,4]\nseen = [0]",
        "neighbours = [3, 04]\nseen = [0]",
        "neighbours = [3]\nseen = [0, 0]",
        "neighbours = [3]",
    ],
)
def test_what_the_weights_were_not_trained_on_is_refused(asked: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(asked)
    assert all(dialect.name in str(refused.value) for dialect in KNOWN)
    assert "--model openai:MODEL" in str(refused.value)


@given(st.text(), st.sampled_from([d.opening for d in KNOWN]), st.text(alphabet="[]0123456789-, =abcrys\n<>"))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(before: str, opening: str, behind: str) -> None:
    try:
        dialect, tokens = find((Message("user", before + opening + behind),))
    except UsageError:
        return
    assert dialect.words.decode(tokens[1:-1])
    assert set(tokens[1:-1]).isdisjoint(range(4)), "the special tokens are not to be had by a text"


@pytest.mark.parametrize("dialect", KNOWN, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("piece", ["{opening}", "{opening}0, ", "0, ", "[[", "9", "\n"])
def test_a_huge_prompt_is_refused_at_once(dialect: Dialect, piece: str) -> None:
    begun = perf_counter()
    with pytest.raises(UsageError):
        asyncio.run(drawn(Embedded(), dialect.opening + piece.format(opening=dialect.opening) * 300_000))
    assert perf_counter() - begun < 5


# -- one model, many tasks -----------------------------------------------------------------------------


async def drawn(model: Embedded, asked: str, seeds: int = 4) -> list[str]:
    seats = tuple(Seat(draw, "embedded", None, draw) for draw in range(seeds))
    request = Request(Step("0", 0, None), Prompt((Message("user", asked),)), seats)
    samples: list[Sample] = [sample async for sample in model.draw(request)]
    return [sample.text for sample in samples]


def test_chains_of_different_tasks_are_drawn_in_one_turn_as_each_on_its_own() -> None:
    asked = [
        f"a = {i}\nb = 7\ncarry = 1" if i % 3 == 0
        else f"left = {i}\nright = {7 * i - 20}" if i % 3 == 1
        else f"neighbours = [{i}, {i + 9}]\nseen = [{i}]"
        for i in range(10)
    ]  # fmt: skip

    async def both() -> tuple[list[list[str]], list[list[str]]]:
        model = Embedded(temperature=3.0)
        alone = [await drawn(model, one) for one in asked]
        return alone, await asyncio.gather(*(drawn(model, one) for one in asked))

    alone, together = asyncio.run(both())
    assert alone == together
    assert len({text for texts in alone for text in texts}) > 10


@pytest.mark.parametrize(
    ("name", "parameters"), [("arithmetic", 152_192), ("sorting", 160_640), ("graph", 155_584)]
)
def test_weights_are_small_and_those_that_were_shipped(name: str, parameters: int) -> None:
    file = weights.shipped(name)
    assert file.stat().st_size < 400_000
    assert sum(array.size for array in weights.read(file).values()) == parameters


@pytest.mark.parametrize("dialect", KNOWN, ids=lambda dialect: dialect.name)
def test_weights_fit_their_vocabulary(dialect: Dialect) -> None:
    assert len(weights.read(weights.shipped(dialect.name))["embed"]) == len(dialect.words.texts)
    assert load(dialect) is load(dialect)


# -- how right it is -----------------------------------------------------------------------------------


def test_no_multiplication_and_no_addition_is_mostly_wrong() -> None:
    every = arithmetic_lesson.multiplications() + arithmetic_lesson.additions()
    found = exact(arithmetic.DIALECT, rows(arithmetic.DIALECT, every, arithmetic_lesson.LENGTH), 1.0)
    assert (len(found.right), found.greedy.all()) == (10_200, True)
    assert found.right.min() > 0.6
    assert 0.0001 < 1 - found.right.mean() < 0.01


@pytest.mark.parametrize("name", ["sorting", "graph"])
def test_questions_that_it_never_saw_are_answered_like_those_that_it_saw(name: str) -> None:
    module = LESSONS[name]
    drawn_problems = list(module.draw(Random(7), 30_000))
    seen, unseen = (
        exact(module.DIALECT, rows(module.DIALECT, some[:300], module.LENGTH), 1.0)
        for some in (
            [one for one in drawn_problems if not one.held_out],
            [one for one in drawn_problems if one.held_out],
        )
    )
    assert len(seen.right) == len(unseen.right) == 300
    assert (~seen.greedy).sum() <= 1
    assert (~unseen.greedy).sum() <= 1
    assert 1 - unseen.right.mean() < 0.01


def test_temperature_makes_errors() -> None:
    some = rows(arithmetic.DIALECT, arithmetic_lesson.multiplications()[::37], arithmetic_lesson.LENGTH)
    errors = [1 - exact(arithmetic.DIALECT, some, heat).right.mean() for heat in (1.0, 1.5, 2.0, 3.0)]
    assert errors == sorted(errors)
    assert errors[-1] > 10 * errors[0]


# -- what it was trained on ----------------------------------------------------------------------------


def test_a_multiplication_is_held_out_with_all_that_follow_from_it_by_swapping() -> None:
    held = {one.question for one in LESSONS["arithmetic"].multiplications() if one.held_out}
    assert 100 < len(held) < 400
    for asked in held:
        a, b, above, carry = (line.split(" = ")[1] for line in asked.split("\n"))
        assert arithmetic_wording.question(int(b), int(a), int(carry), int(above)) in held


@pytest.mark.parametrize("name", LESSONS)
def test_no_training_row_is_held_out_and_its_answer_is_the_tasks_own(name: str) -> None:
    module, rng = LESSONS[name], np.random.default_rng(1)
    dialect: Dialect = module.DIALECT
    made = {tuple(row[row != PAD].tolist()) for row in module.fresh(rng, 3000, "main", 0.9)}
    for row in made:
        cut = row.index(ANSWER)
        asked = dialect.words.decode(list(row[1:cut]))
        problem = PROBLEMS[name](asked, row[1:cut])
        assert not problem.held_out
        assert dialect.words.decode(list(row[cut + 1 : -1])) == problem.answer
        assert row[: cut + 1] == tuple(find((Message("user", problem.question),))[1])
        assert row[-1] == EOS


def _numbers(asked: str) -> list[int]:
    return [int(number) for number in re.findall("[0-9]+", asked)]


def _arithmetic(asked: str, tokens: tuple[int, ...]) -> Problem:
    made = arithmetic_lesson.multiply if "above" in asked else arithmetic_lesson.add
    return made(*_numbers(asked))


def _sorting(asked: str, tokens: tuple[int, ...]) -> Problem:
    return sorting_lesson.problem(*_pair(tokens))


def _pair(tokens: Sequence[int]) -> list[int]:
    places = [sorting.WORDS.texts[token].removesuffix("|").split(":") for token in tokens]
    return [int("".join(numerals).replace(" ", "")) for numerals in zip(*places, strict=True)]


def _graph(asked: str, tokens: tuple[int, ...]) -> Problem:
    seen, neighbours = (_numbers(line) for line in asked.split("\n"))
    return graph_lesson.problem(neighbours, seen)


PROBLEMS: dict[str, Callable[[str, tuple[int, ...]], Problem]] = {
    "arithmetic": _arithmetic,
    "sorting": _sorting,
    "graph": _graph,
}


# -- runs ----------------------------------------------------------------------------------------------


def run(folder: Path, task: str, **params: Any) -> maker.RunResult:
    """By the model that the task suggests."""
    return maker.run(task, params=params, k=3, seed=1, engine="inline", run_dir=folder / "run")


@pytest.mark.parametrize("op", ["multiply", "add"])
def test_long_numbers_are_multiplied_and_added(tmp_path: Path, op: str) -> None:
    left, right = 8479902459, -2051802512
    result = run(tmp_path, "arithmetic", left=left, right=right, op=op)
    assert (result.status, result.verified) == ("done", True)
    assert result.result == str(left * right if op == "multiply" else left + right)


def test_a_file_of_multiplications_is_solved_in_one_batch(tmp_path: Path) -> None:
    file, rng = tmp_path / "questions.jsonl", Random(3)
    pairs = [(rng.randrange(10**8), rng.randrange(10**8)) for _ in range(5)]
    lines = [{"id": i, "question": f"{a} x {b}", "answer": str(a * b)} for i, (a, b) in enumerate(pairs)]
    file.write_text("\n".join(map(json.dumps, lines)))
    result = run(tmp_path, "arithmetic", input=str(file))
    assert (result.verified, result.result["score"]["right"]) == (True, 5)


def test_fifty_integers_are_sorted(tmp_path: Path) -> None:
    rng = Random(5)
    items = [rng.randrange(-(10**9) + 1, 10**9) for _ in range(40)] + [
        rng.randrange(-9, 10) for _ in range(10)
    ]
    result = run(tmp_path, "sorting", numbers=items)
    assert (result.verified, result.result) == (True, sorted(items))


def test_a_graph_of_32_nodes_is_searched(tmp_path: Path) -> None:
    result = run(tmp_path, "graph", nodes=32, degree=4, seed=2)
    assert (result.verified, len(result.result["hops"])) == (True, 32)


def test_what_is_too_large_for_it_is_not_suggested_to_it() -> None:
    assert Arithmetic("1" * 50, "2", "multiply").model == "embedded"
    assert Sorting([-999_999_999, 999_999_999]).model == "embedded"
    assert Sorting([3, 1_000_000_000]).model is None
    assert Graph(nodes=32, degree=8).model == "embedded"
    assert Graph(nodes=33).model is None
    assert Graph(edges=[(0, node) for node in range(1, 10)]).model is None
