"""What a model is told at one column and what it may answer.

`parse` takes the last `digit = D` and the last `carry = C` of a response: one decimal digit each, and the
carry of an addition is 0 or 1. Whether they are right is for the votes.
"""

from __future__ import annotations

import re
from typing import Literal

from maker import fields

Op = Literal["multiply", "add"]

_MULTIPLY = """\
You multiply two whole numbers by columns, as on paper, one digit operation at a time. You are given one
digit of each number (a and b), the digit that already stands in their column (above), and the carry from the
column before it (carry).
Work out a * b + above + carry. It is at most 99: its units are the digit to write, its tens are the new
carry (0 where it is below 10).
Answer with exactly two lines and nothing else:
digit = the units
carry = the tens"""

_ADD = """\
You add two whole numbers by columns, as on paper, one column at a time. You are given the digit of each
number in the column (a and b) and the carry from the column before it (carry, 0 or 1).
Work out a + b + carry. It is at most 19: its units are the digit to write, its tens are the new carry
(0 where it is below 10).
Answer with exactly two lines and nothing else:
digit = the units
carry = the tens"""

RULES: dict[Op, str] = {"multiply": _MULTIPLY, "add": _ADD}
"""The constant part, first, so that an endpoint's prefix cache can keep it."""

_DIGIT = re.compile(r"[0-9](?![0-9A-Za-z_]|[.,][0-9])")
_CARRY: dict[Op, re.Pattern[str]] = {
    "multiply": _DIGIT,
    "add": re.compile(r"[01](?![0-9A-Za-z_]|[.,][0-9])"),
}


def question(a: int, b: int, above: int | None, carry: int) -> str:
    """`above` is given for a multiplication only; every value is one digit."""
    column = "" if above is None else f"above = {above}\n"
    return f"a = {a}\nb = {b}\n{column}carry = {carry}"


def write(digit: int, carry: int) -> str:
    """The answer as the format asks for it."""
    return f"digit = {digit}\ncarry = {carry}"


def parse(text: str, op: Op) -> tuple[int, int]:
    """(digit, carry) of a response; RedFlag if either is not well formed."""
    return int(fields.last(text, "digit", _DIGIT)[0]), int(fields.last(text, "carry", _CARRY[op])[0])
