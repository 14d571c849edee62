"""Bottom-up merge sort as states: which two integers meet next, and what a comparison leads to.

A state is {"left": run, "right": run, "merged": run, "done": runs, "waiting": runs}: two sorted runs that
are being merged, what has come of them, the runs of this pass that are merged already and those still to
come. At the end `done` is the one sorted run and the others are empty.
Invariant: nothing is compared here; which one comes next is the model's to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from maker.decomposers.sorting.wording import Side
from maker.nouns import Json


def first(items: Sequence[int]) -> Json:
    """The state before the first comparison."""
    return _settled([], [], [], [], [[item] for item in items])


def pair(state: Json) -> tuple[int, int] | None:
    """The two integers to compare; None when all is sorted."""
    return (state["left"][0], state["right"][0]) if state["left"] else None


def advance(state: Json, side: Side) -> Json:
    left, right, merged = state["left"], state["right"], state["merged"]
    if side == "left":
        left, merged = left[1:], [*merged, left[0]]
    else:
        right, merged = right[1:], [*merged, right[0]]
    return _settled(left, right, merged, state["done"], state["waiting"])


def result(state: Json) -> list[int]:
    return [item for run in state["done"] for item in run]


def expected(number: int) -> float:
    """Comparisons that so many integers in random order take on average."""
    runs, comparisons = [1] * number, 0.0
    while len(runs) > 1:
        pairs = list(zip(runs[::2], runs[1::2], strict=False))
        comparisons += sum(m + n - m / (n + 1) - n / (m + 1) for m, n in pairs)
        runs = [m + n for m, n in pairs] + runs[2 * len(pairs) :]
    return comparisons


Run = list[int]


def _settled(left: Run, right: Run, merged: Run, done: list[Run], waiting: list[Run]) -> Json:
    """Go on to where there is something to compare, or to the end."""
    while not (left and right):
        if run := [*merged, *left, *right]:
            done = [*done, run]
        if len(waiting) < 2:
            done, waiting = [], [*done, *waiting]
        if len(waiting) < 2:
            return {"left": [], "right": [], "merged": [], "done": waiting, "waiting": []}
        left, right, merged, waiting = waiting[0], waiting[1], [], waiting[2:]
    return {"left": left, "right": right, "merged": merged, "done": done, "waiting": waiting}
