"""Adding and multiplying numbers of any length by columns, one digit operation a step.

A multiplication goes over the digits of the right number, and for each over those of the left one, units
first: a * b + above + carry gives a digit, written in its column, and a carry. An addition goes once over
the columns. An answer is {"digit": 0-9, "carry": 0-9}: the code says where it goes, the model what it is.
Read next: `wording.py` (prompt and parser), `columns.py` (where digits go), `referee.py` (the verifier).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from maker import questions
from maker.decomposers.arithmetic import columns, referee, wording
from maker.decomposers.arithmetic.wording import Op
from maker.errors import UsageError
from maker.input_file import InputFile
from maker.nouns import Json, Message, Prompt, Segment, Step

MAX_TOKENS = 300
"""Of a response; the two lines take about ten."""

Digits = Annotated[str, Field(coerce_numbers_to_str=True)]
_QUESTION = re.compile(
    r"(?:(?P<verb>multiply|add)(?: the following(?: two)? numbers)?(?::\s{0,9}|\s{1,9})"
    r"|(?:what is|compute|calculate)(?::\s{0,9}|\s{1,9}))?"
    r"(?P<left>[+-]?[0-9]+)\s{0,9}(?P<sign>[x×*+])\s{0,9}(?P<right>[+-]?[0-9]+)\s{0,9}(?:=?\s?\?|[=.])?",
    re.IGNORECASE,
)
_OPS: dict[str, Op] = {"x": "multiply", "×": "multiply", "*": "multiply", "+": "add"}
Problem = tuple[Op, str, str]
"""(op, left, right), the numbers in decimal."""


class Arithmetic:
    """One question (`left`, `right` and `op`), or those of a question file (`input`), each a segment.

    left, right: whole numbers of any length, with or without a sign. op: `multiply` takes a step for each
    pair of digits, `add` one for each column. input: a file of lines such as
    {"id": "q1", "question": "Multiply the following numbers:\\n12 x 30", "answer": "360"}.
    """

    def __init__(
        self,
        left: Digits | None = None,
        right: Digits | None = None,
        op: Op | None = None,
        input: InputFile | None = None,
    ) -> None:
        one = (op, left, right)
        if one.count(None) != (0 if input is None else 3):
            raise UsageError(
                "arithmetic: give one question, -T left=12 -T right=30 -T op=multiply (or add), "
                "or --input with a question file"
            )
        self._questions = None if input is None else questions.read(input, _problem, _answer)
        self._problems: dict[str, Problem] = {each.segment: each.problem for each in self._questions or ()}
        if op and left is not None and right is not None:
            self._problems = {"question": (op, columns.number(left), columns.number(right))}
        self._layouts = {name: columns.lay_out(*problem) for name, problem in self._problems.items()}
        self.steps = sum(layout.steps for layout in self._layouts.values())
        self.model = "embedded"

    # -- the chain ---------------------------------------------------------------------------------

    def segments(self) -> Iterator[Segment]:
        for name, layout in self._layouts.items():
            yield Segment(name, columns.first(layout))

    def prompt(self, step: Step) -> Prompt | None:
        layout = self._layouts[step.segment]
        if step.index == layout.steps:
            return None
        question = wording.question(*columns.operands(layout.op, step.state, step.index))
        return Prompt((Message("system", wording.RULES[layout.op]), Message("user", question)), MAX_TOKENS)

    def parse(self, step: Step, text: str) -> Json:
        digit, carry = wording.parse(text, self._layouts[step.segment].op)
        return {"digit": digit, "carry": carry}

    def check(self, step: Step, answer: Json) -> bool:
        """The form alone: what `parse` gives has it, a person's answer may not."""
        most = {"digit": 9, "carry": 1 if self._layouts[step.segment].op == "add" else 9}
        return (
            isinstance(answer, dict)
            and answer.keys() == most.keys()
            and all(type(answer[name]) is int and 0 <= answer[name] <= top for name, top in most.items())
        )

    def advance(self, step: Step, answer: Json) -> Json:
        op = self._layouts[step.segment].op
        return columns.advance(op, step.state, step.index, answer["digit"], answer["carry"])

    # -- the result --------------------------------------------------------------------------------

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The number in decimal; of a question file every number, with the score."""
        results = {name: columns.result(layout, finals[name]) for name, layout in self._layouts.items()}
        return results["question"] if self._questions is None else questions.scored(self._questions, results)

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool | str:
        """Every column and every result by Python's integers, whatever a question file says."""
        return questions.judged(
            self._problems, decided, lambda problem, given: referee.judge(*problem, given)
        )

    # -- the truth, for models that are simulated and for measuring ---------------------------------

    def truth(self, step: Step) -> str:
        """The text of a right answer."""
        return self._text(step, 0)

    def mistake(self, step: Step, rank: int) -> str:
        """The text of a well-formed wrong answer; the ranks from 0 to 18 are all different."""
        return self._text(step, 1 + rank % 19)

    def _text(self, step: Step, off: int) -> str:
        op = self._layouts[step.segment].op
        a, b, above, carry = columns.operands(op, step.state, step.index)
        total = a + b + carry if above is None else a * b + above + carry
        tens, units = divmod((total + off) % (20 if above is None else 100), 10)
        return wording.write(units, tens)


def _problem(text: str) -> Problem:
    """Of a question that is one expression in a known wording; ValueError for any other."""
    found = _QUESTION.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"question: saw {text[:80]!r}, expected two whole numbers with x, * or + between them, alone or "
            "behind 'Multiply the following numbers:', 'Add the following numbers:', 'What is', 'Compute' or "
            "'Calculate', and nothing else"
        )
    op = _OPS[found["sign"].lower()]
    if found["verb"] and found["verb"].lower() != op:
        raise ValueError(
            f"question: saw {text[:80]!r}, expected {found['verb']} and {found['sign']} to agree"
        )
    return op, columns.number(found["left"]), columns.number(found["right"])


def _answer(value: Json) -> Json:
    if not isinstance(value, str | int):
        raise ValueError("answer: saw a list, expected a whole number")
    return columns.number(str(value))
