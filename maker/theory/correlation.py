"""Errors that come together: how far two votes at one step err alike, and what no number of votes mends.

All of it is counting; `mixture.py` says what it means for k. Invariant: independent votes have rho 0 in the
mean, and steps whose votes are all alike have rho 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from maker.theory.race import budget


def rho(votes: Iterable[tuple[int, int, int]]) -> float | None:
    """Correlation of two votes' errors, from (right votes, wrong votes, steps that came out so).

    (C/n - e^2) / (e (1-e)) with C/n the share of pairs of which both are wrong; `right` by labels, or
    (`labelled`) for the answer with most votes. None where no step has two votes, or where nothing or all is
    wrong: then nothing can be said. Of few errors it is noisy, and may be under 0.
    """
    rows = [row for row in votes if row[0] + row[1] > 1]
    cast = sum((right + missed) * steps for right, missed, steps in rows)
    error = sum(missed * steps for _, missed, steps in rows) / cast if cast else 0.0
    if not 0 < error < 1:
        return None
    pairs = sum((right + missed) * (right + missed - 1) * steps for right, missed, steps in rows)
    both = sum(missed * (missed - 1) * steps for _, missed, steps in rows) / pairs
    return (both - error * error) / (error * (1 - error))


def labelled(steps: Iterable[Iterable[int]]) -> list[tuple[int, int, int]]:
    """Votes of each answer at each step as rows for `rho` and `mixture.fit`, without knowing the truth.

    The commonest answer is held to be right, so a step that is unanimously or mostly wrong is not seen: error
    and rho are those of the steps whose majority is right. Steps of fewer than three votes say nothing here
    and are left out.
    """
    counts = [sorted(step, reverse=True) for step in steps]
    return [(step[0], sum(step[1:]), 1) for step in counts if sum(step) > 2]


def again(both_wrong: int, wrong: int) -> float:
    """P(second vote wrong | first wrong): C / (n e), from steps with both wrong and steps with the first."""
    return both_wrong / wrong if wrong else 0.0


def error_by_contested(contested: float, votes: int) -> float:
    """The error that leaves this share of steps contested after so many votes: D = 1 - p^n - (1-p)^n.

    About D / n where it is small; at two votes D = 2 e (1-e). Blind to steps that are unanimously wrong.
    """
    low, high = 0.0, 0.5
    for _ in range(200):
        middle = (low + high) / 2
        seen = -math.expm1(votes * math.log1p(-middle)) - middle**votes
        low, high = (middle, high) if seen < contested else (low, middle)
    return low


def effective_trials(steps: int, draws: float, rho: float) -> float:
    """How many independent votes `draws` votes at each of so many steps are worth (Kish's design effect)."""
    return steps * draws / (1 + (draws - 1) * min(1.0, max(0.0, rho))) if draws > 1 else steps * draws


def success_at_most(majority_wrong: float, steps: float) -> float:
    """All steps right, for any k, where this share of steps has a wrong majority: (1 - pi)^s."""
    return math.exp(steps * math.log1p(-majority_wrong)) if majority_wrong < 1 else 0.0


def clean_steps(target: float, steps: float, confidence: float = 0.95) -> float:
    """How many sampled steps, none with a wrong majority, prove that success can reach the target.

    ln(1 - confidence) / ln(1 - pi) for the largest share pi = 1 - t^(1/s) that allows it (about 3 / pi).
    """
    return math.log1p(-confidence) / math.log1p(-budget(target, steps))


def panel_p(shares: Iterable[float]) -> float:
    """A vote's p at a step where the members of a panel, drawn in turn, have these: their mean."""
    each = list(shares)
    return sum(each) / len(each)
