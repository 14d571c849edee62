"""Neighbours and seen nodes of graphs of any size up to 32, sorted or in any order.

Two questions with the same neighbours in the same order and the same seen nodes count as one; 2 % of
these are held out. Read next: `../train.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np

from maker.workers.embedded.dialects.graph import DIALECT, NEIGHBOURS, NODES
from training.lesson import Ints, Lesson, Phase, Problem, rows

LENGTH = 56


def problem(neighbours: list[int], seen: list[int]) -> Problem:
    new = [node for node in neighbours if node not in seen]
    key = f"{neighbours} {sorted(seen)}"
    return Problem(f"neighbours = {neighbours}\nseen = {seen}", f"new = {new}", key)


def one(rng: Random) -> Problem:
    nodes = rng.randint(2, NODES)
    neighbours = rng.sample(range(nodes), rng.randint(0, min(NEIGHBOURS, nodes)))
    seen = rng.sample(range(nodes), _some(rng, nodes))
    if rng.random() < 0.15:
        seen = list({*seen, *neighbours})
    return problem(_ordered(rng, neighbours), _ordered(rng, seen))


def _some(rng: Random, nodes: int) -> int:
    """Rather many: most steps of a search come when most nodes are seen."""
    return max(rng.randint(0, nodes), rng.randint(0, nodes))


def _ordered(rng: Random, nodes: list[int]) -> list[int]:
    return sorted(nodes) if rng.random() < 0.5 else rng.sample(nodes, len(nodes))


def draw(rng: Random, count: int) -> Iterator[Problem]:
    return (one(rng) for _ in range(count))


def fresh(rng: np.random.Generator, count: int, phase: str, done: float) -> Ints:
    drawn = draw(Random(int(rng.integers(2**62))), count)
    return rows(DIALECT, [one for one in drawn if not one.held_out], LENGTH)


def pool(rng: np.random.Generator) -> Iterator[Ints]:
    yield fresh(rng, 40_000, "", 1.0)


LESSON = Lesson(
    DIALECT,
    layers=3,
    batch=48,
    phases=(
        Phase("main", 5000, 3e-3),
        Phase("mined1", 1200, 1e-3, hard_share=0.4),
        Phase("mined2", 800, 8e-4, hard_share=0.5),
    ),
    fresh=fresh,
    pool=pool,
)
