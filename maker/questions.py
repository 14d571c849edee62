"""Question files: many problems for one task, a JSON object a line, each solved as a segment and scored.

    {"id": "q1", "question": "Multiply the following numbers:\\n12 x 30", "answer": "360"}

What a question means is the task's to say. Invariant: a file with a bad row is refused as a whole, with the
numbers of such lines, before anything is drawn; an answer of the file that is wrong only changes the score.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Generic, TypeVar

from pydantic import BaseModel, StrictInt, StrictStr, ValidationError

from maker.errors import UsageError, inert
from maker.input_file import InputFile
from maker.nouns import Json
from maker.task import SEGMENT_ID

P = TypeVar("P")

SHOWN = 10
"""Bad rows that an error lists."""


@dataclass(frozen=True, slots=True)
class Question(Generic[P]):
    id: str | int
    """As the file has it."""
    segment: str
    """The segment that solves it: the id where it can be one, else the like of it."""
    problem: P
    answer: Json
    """What the file says it is, in the form of a result; None where it does not say."""


class _Row(BaseModel):
    """Other fields are the file's own and are left alone."""

    id: StrictStr | StrictInt
    question: StrictStr
    answer: StrictStr | StrictInt | list[StrictInt] | None = None


def read(file: InputFile, problem: Callable[[str], P], answer: Callable[[Json], Json]) -> list[Question[P]]:
    """Questions in the order of the file; UsageError lists the rows that are none.

    problem: from a question's text, answer: from the file's value to the form of a result; both raise
    ValueError with what was seen and what was expected.
    """
    found: dict[str, Question[P]] = {}
    bad: list[str] = []
    for number, line in enumerate(file.read().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            question = _question(line, problem, answer)
            if question.segment in found:
                raise ValueError(f"the id {question.id!r} comes twice")
            found[question.segment] = question
        except ValueError as error:
            bad.append(f"  line {number}: {inert(_reason(error))}")
    if bad or not found:
        raise UsageError("\n".join(_refusal(file.path, bad)))
    return list(found.values())


def scored(questions: Sequence[Question[P]], results: Mapping[str, Json]) -> Json:
    """Each question's result beside the file's answer, and how many agree; `results` by segment."""
    rows = [_scored(question, results[question.segment]) for question in questions]
    counts = Counter(row["score"] for row in rows)
    return {"score": {name: counts[name] for name in ("right", "wrong", "unknown")}, "questions": rows}


def judged(
    problems: Mapping[str, P],
    decided: Iterable[tuple[str, int, Json]],
    judge: Callable[[P, Iterable[Json]], str | None],
) -> bool | str:
    """True if `judge` finds nothing wrong with the answers of any segment; else what is wrong, and where."""
    waiting = dict(problems)
    for name, steps in groupby(decided, key=itemgetter(0)):
        if name not in waiting:
            return f"{name}: no such segment, or it comes twice"
        if wrong := judge(waiting.pop(name), (answer for _, _, answer in steps)):
            return f"{name}: {wrong}"
    without_steps = ((name, judge(problem, ())) for name, problem in waiting.items())
    return next((f"{name}: {wrong}" for name, wrong in without_steps if wrong), True)


def _question(line: bytes, problem: Callable[[str], P], answer: Callable[[Json], Json]) -> Question[P]:
    row = _Row.model_validate_json(line)
    right = None if row.answer is None else answer(row.answer)
    return Question(row.id, _segment(str(row.id)), problem(row.question), right)


def _segment(name: str) -> str:
    """A segment's id for a question's: other ones for others."""
    if SEGMENT_ID.fullmatch(name):
        return name
    digest = hashlib.blake2b(name.encode("utf-8"), digest_size=8).hexdigest()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60] + f"-{digest}"


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_input=False, include_url=False)[0]
    place = str(first["loc"][0]) if first["loc"] else "the row"
    return f"{place}: {first['msg']}"


def _refusal(path: str, bad: Sequence[str]) -> Iterable[str]:
    yield f"{path}: {f'bad rows: {len(bad)}' if bad else 'no questions'}"
    yield from bad[:SHOWN]
    if len(bad) > SHOWN:
        yield f"  and {len(bad) - SHOWN} more"
    yield 'expected on each line: {"id": "q1", "question": "...", "answer": "..."}; the answer may be missing'


def _scored(question: Question[P], result: Json) -> dict[str, Json]:
    row = {"id": question.id, "result": result}
    if question.answer is None:
        return {**row, "score": "unknown"}
    if question.answer == result:
        return {**row, "score": "right"}
    return {**row, "score": "wrong", "answer": question.answer}
