"""An independent verifier of a finished question: every column, and the number by Python's own integers.

It keeps its own columns and shares no code with `columns.py`, so that one mistake cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from maker.nouns import Json


def judge(op: str, left: str, right: str, answers: Iterable[Json]) -> str | None:
    """What is wrong with the answers to `left op right`, or None."""
    x, y = _integer(left), _integer(right)
    given = iter(answers)
    wrong, number = _product(abs(x), abs(y), given) if op == "multiply" else _sum(x, y, given)
    if wrong is None and next(given, None) is not None:
        wrong = "more steps than columns"
    if wrong is None and number != (abs(x * y) if op == "multiply" else abs(x + y)):
        wrong = "the columns do not add up to the result"
    return wrong


def _product(x: int, y: int, given: Iterator[Json]) -> tuple[str | None, int]:
    upper, lower = _digits(x), _digits(y)
    columns = [0] * (len(upper) + len(lower))
    for row, b in enumerate(lower):
        carry = 0
        for at, a in enumerate(upper, row):
            carry, digit = divmod(a * b + columns[at] + carry, 10)
            if wrong := _differs(next(given, None), digit, carry, f"row {row}, column {at - row}"):
                return wrong, 0
            columns[at] = digit
        columns[row + len(upper)] = carry
    return None, _value(columns)


def _sum(x: int, y: int, given: Iterator[Json]) -> tuple[str | None, int]:
    upper, lower = _digits(max(abs(x), abs(y))), _digits(min(abs(x), abs(y)))
    lower += [0] * (len(upper) - len(lower))
    carry = 0
    if (x < 0) != (y < 0):
        lower, carry = [9 - digit for digit in lower], 1
    columns = []
    for at, (a, b) in enumerate(zip(upper, lower, strict=True)):
        carry, digit = divmod(a + b + carry, 10)
        if wrong := _differs(next(given, None), digit, carry, f"column {at}"):
            return wrong, 0
        columns.append(digit)
    return None, _value(columns if (x < 0) != (y < 0) else [*columns, carry])


def _differs(answer: Json, digit: int, carry: int, where: str) -> str | None:
    right = {"digit": digit, "carry": carry}
    return None if answer == right else f"{where}: {answer}, expected {right}"


def _integer(text: str) -> int:
    """Of any length: Python reads a text of at most 4,300 digits."""
    return int(Decimal(text))


def _digits(value: int) -> list[int]:
    """Units first."""
    return [int(digit) for digit in reversed(format(Decimal(value), "f"))]


def _value(columns: list[int]) -> int:
    return _integer("".join(map(str, reversed(columns))))
