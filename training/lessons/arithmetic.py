"""All columns there are: 10,000 of multiplications and 200 of additions, nine to one in every batch.

Of the multiplications 2 % are held out, with all that follow from them by swapping a and b or above and
carry; there are too few additions to hold any out. Read next: `../train.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from maker.workers.embedded.dialects.arithmetic import DIALECT
from training.lesson import Ints, Lesson, Phase, Problem, rows

LENGTH = 15
ADDED = 0.1
"""Share of the additions."""


def multiplications() -> list[Problem]:
    return [multiply(*digits) for digits in product(range(10), repeat=4)]


def additions() -> list[Problem]:
    return [add(*digits) for digits in product(range(10), range(10), range(2))]


def multiply(a: int, b: int, above: int, carry: int) -> Problem:
    question = f"a = {a}\nb = {b}\nabove = {above}\ncarry = {carry}"
    key = f"{min(a, b)} {max(a, b)} {min(above, carry)} {max(above, carry)}"
    return Problem(question, _answer(a * b + above + carry), key)


def add(a: int, b: int, carry: int) -> Problem:
    return Problem(f"a = {a}\nb = {b}\ncarry = {carry}", _answer(a + b + carry), None)


def _answer(total: int) -> str:
    return f"digit = {total % 10}\ncarry = {total // 10}"


_MULTIPLY = rows(DIALECT, [one for one in multiplications() if not one.held_out], LENGTH)
_ADD = rows(DIALECT, additions(), LENGTH)


def fresh(rng: np.random.Generator, count: int, phase: str, done: float) -> Ints:
    few = int(count * ADDED)
    parts = (_MULTIPLY, count - few), (_ADD, few)
    return np.concatenate([made[rng.integers(0, len(made), number)] for made, number in parts])


def pool(rng: np.random.Generator) -> Iterator[Ints]:
    yield _MULTIPLY
    yield _ADD


LESSON = Lesson(
    DIALECT,
    layers=3,
    batch=128,
    phases=(
        Phase("main", 4500, 3e-3),
        Phase("mined1", 500, 6e-4, hard_share=0.4),
        Phase("mined2", 500, 5e-4, hard_share=0.4),
    ),
    fresh=fresh,
    pool=pool,
)
