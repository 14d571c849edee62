"""Arithmetic by columns is what Python's integers say, every column is judged, and whole runs are right."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maker
from maker.decomposers.arithmetic import Arithmetic, columns, wording
from maker.decomposers.arithmetic.wording import Op
from maker.errors import UsageError
from maker.nouns import Json, RedFlag, Step
from tests.support import walk

NUMBERS = st.integers(-(10**30), 10**30) | st.integers(-20, 20)
OPS = st.sampled_from(["multiply", "add"])


def of(op: Op, left: int, right: int) -> int:
    return left * right if op == "multiply" else left + right


@given(OPS, NUMBERS, NUMBERS)
def test_the_columns_give_what_pythons_integers_give(op: Op, left: int, right: int) -> None:
    task = Arithmetic(str(left), str(right), op)
    decided, finals = walk(task)
    assert task.stitch(finals) == str(of(op, left, right))
    assert task.verify(decided) is True
    assert len(decided) == task.steps


@given(OPS, NUMBERS, NUMBERS)
def test_a_model_is_never_asked_for_more_than_two_digits(op: Op, left: int, right: int) -> None:
    task = Arithmetic(str(left), str(right), op)
    state = next(iter(task.segments())).state
    for index in range(task.steps):
        a, b, above, carry = columns.operands(op, state, index)
        assert all(0 <= each <= 9 for each in (a, b, above or 0, carry))
        total = a + b + carry if above is None else a * b + above + carry
        assert 0 <= total <= (19 if op == "add" else 99)
        state = columns.advance(op, state, index, total % 10, total // 10)


def test_the_numbers_may_be_longer_than_python_reads() -> None:
    task = Arithmetic("9" * 5000, "1", "add")
    decided, finals = walk(task)
    assert task.stitch(finals) == "1" + "0" * 5000
    assert task.verify(decided) is True


@pytest.mark.parametrize(
    ("left", "op", "right", "result"),
    [
        ("0", "multiply", "-7", "0"),
        ("-0012", "multiply", "+3", "-36"),
        ("5", "add", "-5", "0"),
        ("-1", "add", "1000", "999"),
        ("-1000", "add", "1", "-999"),
        ("-7", "add", "-8", "-15"),
    ],
)
def test_signs_and_leading_zeros_stay_outside_the_columns(left: str, op: Op, right: str, result: str) -> None:
    assert Arithmetic(left, right, op).stitch(walk(Arithmetic(left, right, op))[1]) == result


@pytest.mark.parametrize("op", ["multiply", "add"])
def test_no_planted_fault_passes_the_judge(op: Op) -> None:
    task, random = Arithmetic("-98706", "5403", op), Random(0)
    decided, _ = walk(task)
    for at, (name, index, answer) in enumerate(decided):
        wrong = random.choice([other for other in every_answer(op) if other != answer])
        assert task.verify([*decided[:at], (name, index, wrong), *decided[at + 1 :]]) is not True
        assert task.verify(decided[:at] + decided[at + 1 :]) is not True
        assert task.verify([*decided[: at + 1], *decided[at:]]) is not True
    assert "no such segment" in str(task.verify([*decided, ("other", 0, decided[0][2])]))
    assert "expected" in str(task.verify([]))


def every_answer(op: Op) -> list[Json]:
    carries = 2 if op == "add" else 10
    return [{"digit": digit, "carry": carry} for digit in range(10) for carry in range(carries)]


@pytest.mark.parametrize("op", ["multiply", "add"])
def test_mistakes_are_well_formed_wrong_and_many(op: Op) -> None:
    task = Arithmetic("9075", "386", op)
    for step in steps(task):
        right = task.parse(step, task.truth(step))
        wrong = [task.parse(step, task.mistake(step, rank)) for rank in range(19)]
        assert right not in wrong
        assert len({str(answer) for answer in wrong}) == 19


def steps(task: Arithmetic) -> list[Step]:
    state, found = next(iter(task.segments())).state, []
    for name, index, answer in walk(task)[0]:
        found.append(Step(name, index, state))
        state = task.advance(found[-1], answer)
    return found


def test_the_question_ends_with_what_a_model_is_trained_on() -> None:
    for op, expected in (
        ("multiply", "a = 7\nb = 8\nabove = 0\ncarry = 0"),
        ("add", "a = 7\nb = 8\ncarry = 0"),
    ):
        task = Arithmetic("7", "8", op)
        prompt = task.prompt(Step("question", 0, next(iter(task.segments())).state))
        assert prompt is not None
        assert prompt.messages[-1].content == expected
    assert wording.question(7, 8, 3, 5) == "a = 7\nb = 8\nabove = 3\ncarry = 5"
    assert wording.write(4, 6) == "digit = 4\ncarry = 6"


@pytest.mark.parametrize(
    "text",
    [
        "digit = 4\ncarry = 6",
        "Digit=4 CARRY=6.",
        "digit = 9, no:\ncarry = 1\n\ndigit = 4\ncarry = 6\nDone",
        "7 * 8 + 3 + 5 = 64. digit = 4; carry = 6",
    ],
)
def test_the_last_digit_and_carry_of_a_response_count(text: str) -> None:
    assert wording.parse(text, "multiply") == (4, 6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "digit = 4",
        "carry = 6",
        "digit = 64\ncarry = 6",
        "digit = 4\ncarry = -6",
        "digit = 4.5\ncarry = 6",
        "digit = 4\ncarry = 6x",
        "digit = ４\ncarry = 6",
        "digit = four\ncarry = 6",
        "digit = 4\ncarry = 6\ncarry = ",
        "mydigit = 4\ncarry = 6",
        "digit =" + " " * 50 + "4\ncarry = 6",
    ],
)
def test_what_is_not_well_formed_is_flagged(text: str) -> None:
    with pytest.raises(RedFlag, match="malformed"):
        wording.parse(text, "multiply")


def test_a_carry_of_an_addition_is_nought_or_one() -> None:
    assert wording.parse("digit = 4\ncarry = 1", "add") == (4, 1)
    with pytest.raises(RedFlag, match="malformed"):
        wording.parse("digit = 4\ncarry = 2", "add")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [4, 6],
        {"digit": 4},
        {"digit": 44, "carry": 6},
        {"digit": 4.0, "carry": 1},
        {"digit": "4", "carry": 1},
    ],
)
def test_an_answer_of_a_person_must_have_the_form_too(answer: Json) -> None:
    step = Step("question", 0, None)
    task = Arithmetic("12", "34", "multiply")
    assert task.check(step, answer) is False
    assert task.check(step, {"digit": 4, "carry": 6}) is True
    assert Arithmetic("12", "34", "add").check(step, {"digit": 4, "carry": 6}) is False


@pytest.mark.parametrize("given", [(), ("1", "2"), ("1", None, "add")])
def test_half_a_question_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="give one question"):
        Arithmetic(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize("left", ["", "1.5", "1e3", "twelve", "1 2", "--3"])
def test_what_is_no_whole_number_is_refused(tmp_path: Path, left: str) -> None:
    with pytest.raises(UsageError, match="expected a whole number"):
        run(tmp_path, 3, left=left, right="2", op="multiply")


def run(folder: Path, k: int, **params: object) -> maker.RunResult:
    return maker.run(
        "arithmetic",
        params=params,
        model="sim:error=0.01",
        k=k,
        engine="inline",
        run_dir=folder / f"run-{k}",
    )


def test_a_long_product_is_right_with_voting_and_wrong_without(tmp_path: Path) -> None:
    left, right = 3**60, -(7**30)
    voted, alone = (run(tmp_path, k, left=left, right=right, op="multiply") for k in (3, 1))
    assert (voted.status, voted.verified, voted.result) == ("done", True, str(left * right))
    assert voted.steps == 29 * 26
    assert (alone.status, alone.verified) == ("failed", False)
    assert alone.result != str(left * right)
    assert "expected {'digit'" in str(alone.reason)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_hundred_products_of_ten_digits_are_right(tmp_path: Path) -> None:
    random, file = Random(200), tmp_path / "questions.jsonl"
    with file.open("w") as lines:
        for number in range(200):
            left, right = (random.randrange(10**9, 10**10) for _ in range(2))
            question = f"Multiply the following numbers:\n{left} x {right}"
            print(json.dumps({"id": number, "question": question, "answer": left * right}), file=lines)
    voted, alone = (run(tmp_path, k, input=file) for k in (3, 1))
    assert (voted.status, voted.verified, voted.steps) == ("done", True, 20_000)
    assert voted.result["score"] == {"right": 200, "wrong": 0, "unknown": 0}
    assert alone.result["score"]["wrong"] > 50
