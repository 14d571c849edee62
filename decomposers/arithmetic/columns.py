"""Numbers in columns: which digits meet at a step, and where its digit and its carry go.

A state is {"left": digits, "right": digits, "columns": digits, "carry": digit}; digits are texts, units last,
as they are written. Signs stay outside: of two numbers with different signs the smaller is subtracted by
adding its nine's complement and one, and the carry that is left over at the end is dropped.
Invariant: no digit is worked out here; digits and carries are the model's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from maker.decomposers.arithmetic.wording import Op
from maker.nouns import Json

_NUMBER = re.compile(r"([+-]?)([0-9]+)")
_NINES = str.maketrans("0123456789", "9876543210")


@dataclass(frozen=True, slots=True)
class Layout:
    """A question laid out in columns."""

    op: Op
    left: str
    """Digits of the upper number."""
    right: str
    """Of the lower one, for a difference its nine's complement; in an addition both are of one length."""
    negative: bool
    """Whether the result is below zero, if it is not zero."""
    difference: bool = False

    @property
    def steps(self) -> int:
        return len(self.left) * (len(self.right) if self.op == "multiply" else 1)


def number(text: str) -> str:
    """An integer's text in its shortest form; ValueError if it is none."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"saw {text[:40]!r}, expected a whole number in decimal digits")
    digits = found[2].lstrip("0") or "0"
    return f"-{digits}" if found[1] == "-" and digits != "0" else digits


def lay_out(op: Op, left: str, right: str) -> Layout:
    """Of two numbers as `number` gives them."""
    signs, digits = (left.startswith("-"), right.startswith("-")), (left.lstrip("-"), right.lstrip("-"))
    if op == "multiply":
        return Layout(op, *digits, negative=signs[0] != signs[1])
    width = max(map(len, digits))
    upper, lower = (each.rjust(width, "0") for each in digits)
    if signs[0] == signs[1]:
        return Layout(op, upper, lower, negative=signs[0])
    if upper < lower:
        upper, lower, signs = lower, upper, (signs[1], signs[0])
    return Layout(op, upper, lower.translate(_NINES), negative=signs[0], difference=True)


def first(layout: Layout) -> Json:
    """The state before the first column."""
    width = len(layout.left) + (len(layout.right) if layout.op == "multiply" else 1)
    carry = int(layout.difference)
    return {"left": layout.left, "right": layout.right, "columns": "0" * width, "carry": carry}


def operands(op: Op, state: Json, index: int) -> tuple[int, int, int | None, int]:
    """(a, b, above, carry) of the step at `index`; `above` is None in an addition."""
    row, column = _place(op, state, index)
    a = int(state["left"][-1 - column])
    if op == "add":
        return a, int(state["right"][-1 - column]), None, state["carry"]
    return a, int(state["right"][-1 - row]), int(state["columns"][-1 - row - column]), state["carry"]


def advance(op: Op, state: Json, index: int, digit: int, carry: int) -> Json:
    """The digit goes into its column; the last carry of a row into the next one, which is empty there."""
    row, column = _place(op, state, index)
    at = len(state["columns"]) - 1 - row - column
    columns = state["columns"][:at] + str(digit) + state["columns"][at + 1 :]
    if column == len(state["left"]) - 1:
        columns = columns[: at - 1] + str(carry) + columns[at:]
        carry = 0
    return {**state, "columns": columns, "carry": carry}


def result(layout: Layout, state: Json) -> str:
    """The number that the columns hold."""
    digits = state["columns"][1:] if layout.difference else state["columns"]
    return number(f"-{digits}" if layout.negative else digits)


def _place(op: Op, state: Json, index: int) -> tuple[int, int]:
    """(row, column) from 0, units first; an addition has one row."""
    return divmod(index, len(state["left"]))
