"""Steps that are not equally hard: groups of steps, each with its share of all and a p of its own.

Two groups are what a sample of steps can tell apart; a continuous prior's tail would decide everything and is
not measured. Within a group it is the race of `race.py`. Invariant: one group gives that file's figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scipy.special import xlog1py, xlogy

from maker.theory.race import budget, expected_votes, wrong

MOST = 1000
"""The largest k that is looked at."""
_LIKELIER = 4.6
"""Log of how much likelier two groups must be than one: 1 % of the chi-squared law of 2 more parameters."""
_STARTS = (0.05, 0.2, 0.5, 0.9)
"""Errors that the hard group begins with."""


@dataclass(frozen=True, slots=True)
class Group:
    weight: float
    """Share of all steps."""
    p: float
    """Of a vote for the right answer at one of these."""


Groups: TypeAlias = Sequence[Group]


def mixture_wrong(groups: Groups, k: int) -> float:
    """How often a vote ends wrong at a step drawn from the groups (equation 9, weighted)."""
    return sum(group.weight * wrong(group.p, k) for group in groups)


def mixture_votes(groups: Groups, k: int) -> float:
    """Expected valid votes a step (equation 16, weighted)."""
    return sum(group.weight * expected_votes(group.p, k) for group in groups)


def mixture_k_min(groups: Groups, target: float, steps: float) -> int | None:
    """The least k that keeps all steps right with probability `target`; None where no k up to MOST does.

    The paper's k_min (14) of the mean p is far too small here: it is the hard steps that decide.
    """
    allowed = budget(target, steps)
    return smallest(lambda k: mixture_wrong(groups, k) <= allowed)


def smallest(holds: Callable[[int], bool]) -> int | None:
    """The least k from 1 to MOST of which it holds, for what holds of every larger one too."""
    low, high = 0, 1
    while not holds(high):
        low, high = high, 2 * high
        if low >= MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def log_sum(logs: Sequence[float]) -> float:
    """Logarithm of the sum of what these are logarithms of."""
    top = max(logs)
    return top + math.log(sum(math.exp(each - top) for each in logs)) if top > -math.inf else top


def fit(votes: Iterable[tuple[int, int, int]]) -> tuple[Group, ...]:
    """One group or two, hard steps last, from (right votes, wrong votes, steps that came out so).

    Maximum likelihood by expectation and maximisation; two only where they are clearly likelier. From one
    vote a step hardness cannot be told: that is one group.
    """
    rows = [row for row in votes if row[0] + row[1] and row[2]]
    if not rows:
        return ()
    cast = sum((right + missed) * steps for right, missed, steps in rows)
    error = sum(missed * steps for _, missed, steps in rows) / cast
    one = (Group(1.0, 1 - error),)
    found = max((_maximised(rows, error, hard) for hard in _STARTS), key=lambda two: _likelihood(rows, two))
    gained = _likelihood(rows, found) - _likelihood(rows, one)
    return found if error and gained > _LIKELIER else one


def _maximised(rows: Sequence[tuple[int, int, int]], error: float, hard: float) -> tuple[Group, ...]:
    count = sum(steps for *_, steps in rows)
    share, errors = 0.1, [error / 2, max(hard, error)]
    for _ in range(300):
        belongs = [_belongs(row, share, errors) for row in rows]
        hard_steps = sum(part * row[2] for part, row in zip(belongs, rows, strict=True))
        of_easy = _error((1 - part, row) for part, row in zip(belongs, rows, strict=True))
        errors = [of_easy, _error(zip(belongs, rows, strict=True))]
        share = min(max(hard_steps / count, 1e-12), 1 - 1e-12)
    return tuple(sorted((Group(1 - share, 1 - errors[0]), Group(share, 1 - errors[1])), key=lambda g: -g.p))


def _belongs(row: tuple[int, int, int], share: float, errors: Sequence[float]) -> float:
    """Of such a step, that it is a hard one."""
    easy, hard = (_log(row, weight, e) for weight, e in zip((1 - share, share), errors, strict=True))
    return math.exp(hard - log_sum((easy, hard))) if hard > -math.inf else 0.0


def _error(parts: Iterable[tuple[float, tuple[int, int, int]]]) -> float:
    weighted = [(part * row[2], row) for part, row in parts]
    cast = sum(weight * (row[0] + row[1]) for weight, row in weighted)
    return sum(weight * row[1] for weight, row in weighted) / cast if cast else 0.0


def _log(row: tuple[int, int, int], weight: float, error: float) -> float:
    return math.log(weight) + float(xlogy(row[1], error)) + float(xlog1py(row[0], -error))


def _likelihood(rows: Sequence[tuple[int, int, int]], groups: Groups) -> float:
    total = 0.0
    for row in rows:
        total += row[2] * log_sum([_log(row, group.weight, 1 - group.p) for group in groups])
    return total
