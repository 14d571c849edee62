"""Shares and means of trials that come in clusters, such as votes of one step, with 95 % intervals.

Clusters are independent, trials of one may be alike. A share's trials count for fewer, as many as would be
that uncertain if they were independent, and these get exact binomial bounds (Korn and Graubard 1998). So that
a few hits do not pass for independent ones by chance, one more cluster that is hit throughout is reckoned
with where that is judged: with no hit at all, every cluster counts as one trial.
Invariant: with clusters of one trial a share's interval is Clopper and Pearson's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from maker.theory.correlation import rho
from maker.theory.intervals import Interval, clopper_pearson

Cluster = tuple[int, int]
"""(hits, trials)"""


@dataclass(frozen=True, slots=True)
class Average:
    value: float
    low: float
    high: float


def share(clusters: Sequence[Cluster]) -> Interval:
    """Of hits among trials, each counted in its cluster."""
    hits, trials = (sum(column) for column in zip(*clusters, strict=True)) if clusters else (0, 0)
    if not trials:
        return clopper_pearson(0, 0)
    worth = trials / _effect(clusters, hits, trials)
    return clopper_pearson(worth * (hits / trials), worth)


def _effect(clusters: Sequence[Cluster], hits: int, trials: int) -> float:
    """How many trials tell as much as one that is independent; 1 or more."""
    value = hits / trials
    size = sum(of * of for _, of in clusters) / trials
    seen = sum((hit - value * of) ** 2 for hit, of in clusters)
    return max(1.0, (seen + size * size) / (trials * value * (1 - value) + size))


def average(clusters: Sequence[Sequence[float]]) -> Average:
    """The mean of all values, by Student's t over clusters; of fewer than two nothing says how sure it is."""
    filled = [each for each in clusters if len(each)]
    values = sum(len(each) for each in filled)
    if not values:
        return Average(0.0, 0.0, 0.0)
    mean = math.fsum(math.fsum(each) for each in filled) / values
    count = len(filled)
    if count < 2:
        return Average(mean, mean, mean)
    square = math.fsum((math.fsum(each) - mean * len(each)) ** 2 for each in filled)
    error = math.sqrt(square * count / (count - 1)) / values
    reach = float(stdtrit(count - 1, 0.975)) * error
    return Average(mean, mean - reach, mean + reach)


def correlation(votes: Sequence[tuple[int, int]]) -> Average:
    """rho of the errors of two votes of one cluster, each cluster as its (right, wrong) votes.

    It is (P(wrong again) - e) / (1 - e); the interval takes each share at the end of its own. Where
    nothing is wrong, 0 stands for what is not known.
    """
    again, error = share(wrong_again(votes)), share([(wrong, right + wrong) for right, wrong in votes])
    low, high = _excess(again.low, error.high), _excess(again.high, error.low)
    value = rho((right, wrong, 1) for right, wrong in votes) or 0.0
    return Average(min(max(value, low), high), low, high)


def wrong_again(votes: Iterable[tuple[int, int]]) -> list[Cluster]:
    """Of ordered pairs of votes whose first is wrong, those whose second is too, by (right, wrong) votes."""
    return [(wrong * (wrong - 1), wrong * (right + wrong - 1)) for right, wrong in votes]


def _excess(again: float, error: float) -> float:
    return max(-1.0, (again - error) / (1 - error)) if error < 1 else 0.0
