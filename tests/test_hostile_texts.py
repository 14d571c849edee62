"""Whatever a model writes, a built-in parser gives an answer or a red flag, and soon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated

import pytest
from pydantic import BaseModel

from maker import Canonical
from maker.decomposers.arithmetic import Arithmetic
from maker.decomposers.graph import Graph
from maker.decomposers.hanoi import Hanoi
from maker.decomposers.recursive import Recursive
from maker.decomposers.rows import Rows
from maker.decomposers.rows.answer_type import AnswerType
from maker.decomposers.sorting import Sorting
from maker.input_file import InputFile
from maker.nouns import RedFlag, Step
from maker.task import Task

SPLITS = [{"problems": ["a", "b"], "composition": "S1 S2"}] * 2
STAGES = {
    "atomic": "Well.\nATOMIC: yes",
    "propose": "SUBPROBLEM: 12 x 3\nSUBPROBLEM: 12 x 4\nCOMPOSITION: S1 + 10 S2",
    "choose": "CANDIDATE: 2",
    "solve": "Let me see.\nSOLUTION: [1, 2, 34]",
}


class Invoice(BaseModel):
    vendor: Annotated[str, Canonical(str.casefold)]
    total: float


def cases(folder: Path) -> Iterator[tuple[Task, Step, str]]:
    """Each built-in parser with a step and a text that it reads."""
    for decomposer in (
        Hanoi(5, check="legal"),
        Arithmetic("987", "654", "multiply"),
        Arithmetic("987", "654", "add"),
        Sorting([5, -3, 12]),
        Graph(nodes=32),
    ):
        task = Task(decomposer, type(decomposer).__name__)
        segment = next(task.segments())
        step = Step(segment.id, 0, segment.state)
        yield task, step, decomposer.truth(step)
    for stage, text in STAGES.items():
        state = {"problem": "12 x 43", "stage": stage, "splits": SPLITS}
        yield Task(Recursive("12 x 43"), "Recursive"), Step("problem", 0, state), text
    (folder / "rows.jsonl").write_text('{"text": "a"}\n')
    file = InputFile.at(folder / "rows.jsonl")
    row = Step("000000001", 0, {"text": "a"})
    typed = Rows(file, "{text}?", answer=AnswerType.at(f"{__file__}:Invoice"))
    yield Task(typed, "Rows"), row, '{"vendor": "Acme", "total": 12.5}'
    yield Task(Rows(file, "{text}?", choices=["digit", "carry"]), "Rows"), row, "digit"


WORDS = [
    "move",
    "next_state",
    "SOLUTION:",
    "\nCANDIDATE:",
    "digit",
    "carry",
    "next",
    "new",
    "left",
    "right",
    " = ",
    "=",
    ":",
    "[",
    "]",
    "[[",
    "]]",
]
ODD = ["\x00", "\x1b[31m", "\ud800", "\u202e", "１", "٣", "é", "\U0001f600", "\r\n", "\u2028", "ı", "K"]
NUMBERS = ["1e999", "NaN", "-Infinity", "9" * 5000, "-0", "0x10", "1_0", "1.0", "00", "+1", "²"]
HUGE = [
    "[" * 50_000,
    " " * 50_000,
    "digit = " * 5_000,
    "SOLUTION: " * 5_000,
    "\n \tATOMIC:" * 5_000,
    '{"a":' * 20_000,
    "new = [" * 5_000,
    "1," * 20_000,
    "next =" + "\n" * 50_000,
]
SECONDS = 1.0
"""The most that one text may take; the slowest takes a few milliseconds."""


def texts(truth: str, random: Random) -> Iterator[str]:
    """Truths that are cut, doubled and mixed up, and texts of pieces that parsers look for."""
    pieces = WORDS + ODD + NUMBERS + list("0123456789, \n")
    while True:
        yield "".join(random.choices(pieces, k=random.randrange(30)))
        yield truth[: random.randrange(len(truth))]
        at = random.randrange(len(truth))
        yield truth[:at] + random.choice(pieces) + truth[at + random.randrange(3) :]
        yield truth + "\n" + "".join(random.sample(truth, len(truth)))
        yield truth.replace(random.choice(truth), random.choice(pieces))
        yield random.choice([truth, ""]) + random.choice(HUGE) + random.choice([truth, ""])


def read_all(number: int, folder: Path) -> None:
    kinds = {"answers": 0, "flags": 0}
    for task, step, truth in cases(folder):
        source = texts(truth, Random(number))
        for _ in range(number):
            text, begun = next(source), time.perf_counter()
            try:
                task.read(step, text)
                kinds["answers"] += 1
            except RedFlag as flag:
                assert flag.reason in ("malformed", "illegal", "schema")
                kinds["flags"] += 1
            assert time.perf_counter() - begun < SECONDS, text[:200]
    assert min(kinds.values()) > number // 20, kinds


def test_a_thousand_hostile_texts_are_read_or_flagged(tmp_path: Path) -> None:
    read_all(1_000, tmp_path)


@pytest.mark.slow
def test_ten_thousand_hostile_texts_are_read_or_flagged(tmp_path: Path) -> None:
    read_all(10_000, tmp_path)
