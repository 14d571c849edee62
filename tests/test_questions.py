"""Question files: each row a segment, scored against the file and judged by arithmetic, bad rows refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maker
from maker import questions
from maker.decomposers.arithmetic import Arithmetic
from maker.decomposers.sorting import Sorting
from maker.errors import IncompatibleResumeError, UsageError
from maker.input_file import InputFile
from maker.task import SEGMENT_ID
from tests.conftest import Maker
from tests.test_cli import wait_for_steps

PRODUCT = {"id": "q1", "question": "Multiply the following numbers:\n8479 x 2051", "answer": "17390429"}
SUM = {"id": "a sum/2", "question": "Add the following numbers: 12 + 30", "answer": "41"}
OPEN = {"id": 3, "question": "-5 * 6"}
SORTED = {
    "id": "s",
    "question": "Sort the following list of integers in ascending order, with commas: [3, 1, -2]",
    "answer": "[-2, 1, 3]",
}


def file(folder: Path, *rows: object, name: str = "questions.jsonl") -> Path:
    path = folder / name
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_file_is_solved_scored_and_verified(maker: Maker) -> None:
    file(maker.folder, PRODUCT, SUM, "", OPEN)
    ended = maker("run", "arithmetic", "--input", "questions.jsonl", "--model", "sim:error=0.01", "--json")
    assert ended.code == 0, ended.err
    assert ended.done["verified"] is True, "by arithmetic, whatever the file says"
    assert ended.done["result"] == {
        "score": {"right": 1, "wrong": 1, "unknown": 1},
        "questions": [
            {"id": "q1", "result": "17390429", "score": "right"},
            {"id": "a sum/2", "result": "42", "score": "wrong", "answer": "41"},
            {"id": 3, "result": "-30", "score": "unknown"},
        ],
    }


def test_a_wrong_result_is_found_even_where_the_file_has_the_same(tmp_path: Path) -> None:
    task = Arithmetic(input=InputFile.at(file(tmp_path, {"id": "q", "question": "2 + 2", "answer": 5})))
    assert task.stitch({"q": {"columns": "05"}})["score"] == {"right": 1, "wrong": 0, "unknown": 0}
    assert "expected" in str(task.verify([("q", 0, {"digit": 5, "carry": 0})]))


def test_lists_are_sorted_from_a_file_too(maker: Maker) -> None:
    file(
        maker.folder,
        SORTED,
        {**SORTED, "id": "t", "answer": [3, 2, 1]},
        {**SORTED, "id": "u", "answer": "1, 2"},
    )
    done = maker("run", "sorting", "--input", "questions.jsonl", "--model", "sim:error=0.05", "--json").done
    assert done["verified"] is True
    assert done["result"]["score"] == {"right": 1, "wrong": 2, "unknown": 0}
    assert [each["result"] for each in done["result"]["questions"]] == [[-2, 1, 3]] * 3


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "Invalid JSON"),
        ("[]", "the row: Input should be"),
        ({"question": "1 + 2"}, "id: Field required"),
        ({"id": "x"}, "question: Field required"),
        ({"id": 1.5, "question": "1 + 2"}, "id: "),
        ({"id": "x", "question": "1 and 2"}, "expected two whole numbers"),
        ({"id": "x", "question": "1 + 2 + 3"}, "expected two whole numbers"),
        ({"id": "x", "question": "1.5 x 2"}, "expected two whole numbers"),
        ({"id": "x", "question": "1 + 2", "answer": "three"}, "expected a whole number"),
        ({"id": "x", "question": "1 + 2", "answer": 3.5}, "answer: "),
        ({"id": "x", "question": "1 + 2", "answer": [3]}, "expected a whole number"),
        (PRODUCT, "the id 'q1' comes twice"),
        ('{"id": "\\ud800", "question": "1 + 2"}', "Invalid JSON"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_before_anything_is_drawn(
    maker: Maker, row: object, said: str
) -> None:
    file(maker.folder, PRODUCT, "", row)
    ended = maker("run", "arithmetic", "--input", "questions.jsonl", "--model", "sim", "--run-dir", "r")
    assert ended.code == 2
    assert f"{maker.folder}/questions.jsonl: bad rows: 1\n  line 3: " in ended.err
    assert said in ended.err
    assert not (maker.folder / "r").exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "Sort [1, 2] and [3]"}, "saw 2 lists"),
        ({"question": "Sort in descending order: [1, 2]"}, "in ascending order:', and nothing else"),
        ({"question": "Sort [1, 2.5]"}, "expected integers"),
        ({"question": "Sort [1, 1_0]"}, "expected integers"),
        ({"question": "Sort [2, 1]", "answer": 12}, "expected a list"),
        ({"question": "Sort [2, 1]", "answer": "one, two"}, "expected integers"),
    ],
)
def test_a_question_that_is_no_list_to_sort_is_refused(
    tmp_path: Path, row: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        Sorting(input=InputFile.at(file(tmp_path, {"id": "x"} | row)))


ASKED = "Multiply the following numbers:"


@pytest.mark.parametrize(
    ("question", "steps"),
    [
        ("Multiply the following numbers:\n8479902459 x 2051802512", 100),
        ("Multiply the following two numbers: 12 × -30.", 4),
        ("Add the following numbers: 12 + 30", 2),
        ("12 x 30", 4),
        ("12X30", 4),
        (" -12 + +30\n", 2),
        ("What is 12 + 30?", 2),
        ("what is -12 + 30 = ?", 2),
        ("12 x 30 =", 4),
        ("Compute: 12*30", 4),
        ("Calculate 12 * 30.", 4),
        ("Add 12 + 30", 2),
    ],
)
def test_an_expression_alone_or_in_a_known_wording_is_a_question(
    tmp_path: Path, question: str, steps: int
) -> None:
    row = {"id": "x", "question": question}
    assert Arithmetic(input=InputFile.at(file(tmp_path, row))).steps == steps


@pytest.mark.parametrize(
    "question",
    [
        "\u22123 x 4",
        "\u2013 3 x 4",
        "- 3 + 4",
        "What is - 3 + 4?",
        "What is -(3 x 4)?",
        "3 x - 4",
        "3 x 4\u00b2",
        "(3 x 4)!",
        "3 x 4!",
        "\u00bd + 3 x 4",
        "\uff13 x 4 + 2",
        "\uff13 x 4",
        "3 x 4 - x",
        "3 x 4 / y",
        "3 x 4, squared",
        "five plus 3 x 4",
        "the half of 3 + 4, squared",
        "Multiply3 x 4",
        "1,000 x 4",
        "3 x 4 %",
        "3 x 4 = = ",
        "1. 3 x 4",
        "What is not 3 x 4?",
        f"{ASKED} 3 + 4",
        "Add the following numbers: 3 x 4",
        "Multiply 3 + 4",
    ],
)
def test_a_question_that_is_more_than_one_expression_is_a_bad_row(tmp_path: Path, question: str) -> None:
    row = {"id": "x", "question": question}
    with pytest.raises(UsageError, match=r"line 1: question: saw .*, expected "):
        Arithmetic(input=InputFile.at(file(tmp_path, row)))


@pytest.mark.parametrize(
    "question",
    [
        "[2, 1]",
        "Sort [2, 1].",
        "Sort the following list of integers in ascending order: [2, 1]",
        "Sort the following numbers from smallest to largest:\n[2, 1]",
        "sort this list in increasing order [2, 1]",
    ],
)
def test_a_list_alone_or_in_a_known_wording_is_sorted(tmp_path: Path, question: str) -> None:
    task = Sorting(input=InputFile.at(file(tmp_path, {"id": "x", "question": question})))
    assert next(task.segments()).state["left"] == [2]


@pytest.mark.parametrize(
    "question",
    [
        "Sort from largest to smallest: [2, 1]",
        "Sort in reverse: [2, 1]",
        "Sort in decreasing order: [2, 1]",
        "Sort the absolute values of [2, 1]",
        "Sort the following list of integers in ascending order of their last digit: [2, 1]",
        "Sort [2, 1], largest first",
        "Sort [2, 1] and reverse it",
        "Do not sort [2, 1]",
        "What is the largest of [2, 1]?",
        "-[2, 1]",
        "Sort [\u22122, 1]",
        "Sort [- 2, 1]",
    ],
)
def test_a_list_in_any_other_wording_is_a_bad_row(tmp_path: Path, question: str) -> None:
    with pytest.raises(UsageError, match=r"line 1: question: saw .*, expected "):
        Sorting(input=InputFile.at(file(tmp_path, {"id": "x", "question": question})))


def test_only_the_first_bad_rows_are_listed_and_an_empty_file_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Arithmetic(input=InputFile.at(file(tmp_path, *["?\x1b[31m"] * 25)))
    assert len(str(refused.value).splitlines()) == 13
    assert "bad rows: 25" in str(refused.value)
    assert "and 15 more" in str(refused.value)
    with pytest.raises(UsageError, match="no questions"):
        Arithmetic(input=InputFile.at(file(tmp_path, "")))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=20))
def test_every_id_has_a_segment_of_its_own(ids: list[str]) -> None:
    segments = [questions._segment(name) for name in ids]
    assert len(set(segments)) == len(ids)
    assert all(SEGMENT_ID.fullmatch(segment) for segment in segments)
    assert all(
        segment == name for segment, name in zip(segments, ids, strict=True) if SEGMENT_ID.fullmatch(name)
    )


def test_a_file_that_has_changed_is_refused_by_every_command(maker: Maker) -> None:
    path = file(maker.folder, PRODUCT, SUM)
    given = ("--input", "questions.jsonl", "--model", "sim:latency=20ms", "--run-dir", "r")
    begun = ("run", "arithmetic", *given)
    process = maker.start(*begun, "--workers", 1)
    wait_for_steps(maker.folder / "r", 5)
    process.kill()
    process.communicate(timeout=30)
    kept = path.read_bytes()
    for changed in (kept.replace(b"8479", b"8478"), kept + b"no row\n"):
        path.write_bytes(changed)
        again = maker(*begun)
        assert again.code == 7
        assert "parameters.input.sha256" in again.err
        for command in (("resume", "r"), ("replay", "r")):
            ended = maker(*command)
            assert ended.code == 7
            assert f"{path} is not the file that the run began with" in ended.err
    path.unlink()
    gone = maker("resume", "r")
    assert gone.code == 2
    assert f"the input file {path} cannot be read: No such file or directory" in gone.err
    path.write_bytes(kept)
    done = maker("resume", "r", "--json").done
    assert (done["status"], done["verified"]) == ("done", True)


def test_the_path_is_made_absolute_and_shown(maker: Maker) -> None:
    path = file(maker.folder, OPEN)
    ended = maker("run", "arithmetic", "-T", "input=questions.jsonl", "--model", "sim", "--run-dir", "r")
    assert ended.code == 0
    assert f"input={path}" in ended.err
    manifest = json.loads((maker.folder / "r" / "manifest.json").read_text())
    assert manifest["parameters"]["input"] == {"path": str(path), "sha256": InputFile.at(path).sha256}


def test_a_task_that_reads_no_file_says_so_and_a_file_comes_once(maker: Maker) -> None:
    file(maker.folder, OPEN)
    ended = maker("run", "hanoi", "--input", "questions.jsonl", "--model", "sim")
    assert ended.code == 2
    assert "the task hanoi reads no file" in ended.err
    given = ("--input", "questions.jsonl", "-T", "input=questions.jsonl")
    ended = maker("run", "arithmetic", *given, "--model", "sim")
    assert ended.code == 2
    assert "given twice" in ended.err


def test_a_file_read_again_must_be_what_it_was(tmp_path: Path) -> None:
    path = file(tmp_path, OPEN)
    given = InputFile.at(path)
    assert given.read() == path.read_bytes()
    path.write_bytes(b"other")
    with pytest.raises(IncompatibleResumeError, match="is not the file that the run began with"):
        given.read()
    with pytest.raises(UsageError, match="cannot be read"):
        InputFile.at(tmp_path)


def test_from_python_the_file_is_a_parameter(tmp_path: Path) -> None:
    result = maker.run(
        "arithmetic",
        params={"input": file(tmp_path, OPEN)},
        model="sim",
        engine="inline",
        run_dir=tmp_path / "r",
    )
    assert result.result["questions"] == [{"id": 3, "result": "-30", "score": "unknown"}]
