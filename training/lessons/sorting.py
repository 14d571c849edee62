"""Pairs of integers, most of them hard to tell apart: common prefixes, neighbours, signs, equal ones.

Of the unordered pairs 2 % are held out. Read next: `../train.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import numpy as np

from maker.workers.embedded.dialects.sorting import DIALECT, DIGITS
from training.lesson import Ints, Lesson, Phase, Problem, rows

LENGTH = 15


def problem(left: int, right: int) -> Problem:
    answer = "next = left" if left <= right else "next = right"
    return Problem(f"left = {left}\nright = {right}", answer, str(sorted((left, right))))


# -- kinds of pairs ------------------------------------------------------------------------------------


def any_two(rng: Random, digits: int) -> tuple[int, int]:
    return any_one(rng, digits), any_one(rng, digits)


def any_one(rng: Random, digits: int) -> int:
    """Every number of digits up to the most is as likely as another."""
    most = 10 ** rng.randint(1, digits)
    return rng.choice((-1, 1)) * rng.randrange(most // 10 if most > 10 else 0, most)


def same_beginning(rng: Random, digits: int) -> tuple[int, int]:
    """The same up to some digit and anything from there on; of one sign."""
    tail = 10 ** rng.randint(1, digits)
    whole, sign = abs(any_one(rng, digits)), rng.choice((-1, 1))
    return sign * whole, sign * min(whole - whole % tail + rng.randrange(tail), 10**digits - 1)


def one_digit_apart(rng: Random, digits: int) -> tuple[int, int]:
    whole, place = abs(any_one(rng, digits)), 10 ** rng.randrange(digits)
    place = place if place <= whole else 1
    other = whole - whole // place % 10 * place + rng.randrange(10) * place
    sign = rng.choice((-1, 1))
    return sign * whole, sign * other


def near(rng: Random, digits: int) -> tuple[int, int]:
    one, most, gap = any_one(rng, digits), 10**digits - 1, 10 ** rng.randint(1, digits)
    return one, max(-most, min(most, one + rng.randint(-gap, gap)))


def as_long(rng: Random, digits: int) -> tuple[int, int]:
    most = 10 ** rng.randint(1, digits)
    return rng.randrange(-most + 1, most), rng.randrange(-most + 1, most)


def opposite(rng: Random, digits: int) -> tuple[int, int]:
    one = any_one(rng, digits)
    return one, -one


def longer(rng: Random, digits: int) -> tuple[int, int]:
    """The same digits and some more behind."""
    one = any_one(rng, digits)
    return one, int(str(one)[: rng.randint(1 + (one < 0), len(str(one)))])


def equal(rng: Random, digits: int) -> tuple[int, int]:
    one = any_one(rng, digits)
    return one, one


def small(rng: Random, digits: int) -> tuple[int, int]:
    return any_two(rng, min(digits, 2))


KINDS: dict[str, tuple[Callable[[Random, int], tuple[int, int]], int]] = {
    "any": (any_two, 10),
    "as long": (as_long, 20),
    "same beginning": (same_beginning, 20),
    "one digit apart": (one_digit_apart, 20),
    "near": (near, 20),
    "opposite": (opposite, 5),
    "longer": (longer, 5),
    "equal": (equal, 5),
    "small": (small, 5),
}
"""Each with its weight."""


def draw(rng: Random, count: int, digits: int = DIGITS) -> Iterator[Problem]:
    """Random pairs of integers of up to so many digits."""
    makers, weights = zip(*KINDS.values(), strict=True)
    for make in rng.choices(makers, weights, k=count):
        left, right = make(rng, digits)
        yield problem(left, right) if rng.random() < 0.5 else problem(right, left)


def fresh(rng: np.random.Generator, count: int, phase: str, done: float) -> Ints:
    """In the main phase one digit at first, and all nine from 35 % on."""
    digits = min(DIGITS, 1 + int(8 * done / 0.35)) if phase == "main" else DIGITS
    return _rows(draw(Random(int(rng.integers(2**62))), count, digits))


def pool(rng: np.random.Generator) -> Iterator[Ints]:
    """Mostly what random lists hold: few of them are hard, and only many show which."""
    yield fresh(rng, 100_000, "", 1.0)
    yield _rows(in_lists(Random(int(rng.integers(2**62))), 400_000))


def in_lists(rng: Random, count: int) -> Iterator[Problem]:
    """Any two integers of up to nine digits, each as likely as another."""
    most = 10**DIGITS
    for _ in range(count):
        yield problem(rng.randrange(-most + 1, most), rng.randrange(-most + 1, most))


def _rows(problems: Iterator[Problem]) -> Ints:
    return rows(DIALECT, [one for one in problems if not one.held_out], LENGTH)


LESSON = Lesson(
    DIALECT,
    layers=3,
    batch=128,
    phases=(
        Phase("main", 3000, 3e-3),
        Phase("mined1", 1000, 1.5e-3, hard_share=0.4),
        Phase("mined2", 700, 8e-4, hard_share=0.4),
        Phase("mined3", 900, 8e-4, hard_share=0.3),
        Phase("mined4", 1500, 1e-3, hard_share=0.3),
    ),
    fresh=fresh,
    pool=pool,
)
