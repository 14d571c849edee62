"""What a count of successes says of their probability: exact binomial bounds.

It assumes independent trials; where they come in clusters, the caller counts fewer of them.
Invariant: at every true probability an interval covers it at least as often as its level says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import betaincinv

from maker.errors import UsageError


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def clopper_pearson(successes: float, trials: float, level: float = 0.95) -> Interval:
    """The central exact interval of a binomial share (Clopper and Pearson 1934, by quantiles of the beta).

    Each side is exceeded at most (1 - level) / 2 of the time, so the end of a 95 % interval is a one-sided
    97.5 % bound. Counts need not be whole: clustered trials may be worth fewer. No trials say: 0 to 1.
    Raises UsageError unless 0 <= successes <= trials and 0 < level < 1.
    """
    if not (0 <= successes <= trials and 0 < level < 1):
        raise UsageError(
            f"clopper_pearson: successes={successes}, trials={trials}, level={level}; "
            "expected 0 <= successes <= trials and a level between 0 and 1"
        )
    tail, failures = (1 - level) / 2, trials - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return Interval(low, high)


def upper_bound(successes: float, trials: float, confidence: float = 0.99) -> float:
    """What the share exceeds at most (1 - confidence) of the time: the one-sided bound."""
    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence}, expected a share between 0 and 1, such as 0.99")
    failures = trials - successes
    return float(betaincinv(successes + 1, failures, confidence)) if failures > 0 else 1.0


def trials_behind(value: float, high: float, level: float = 0.95) -> float:
    """Independent trials with this share of successes whose central interval ends at `high`.

    It reads back from an interval how much its maker thought that clustered trials are worth, so that bounds
    of other levels can be given. 0 where it ends at 1 or below its own value.
    """
    if not 0 <= value < high < 1:
        return 0.0
    few, many = 1e-6, 1e15
    for _ in range(100):
        middle = math.sqrt(few * many)
        ends = upper_bound(value * middle, middle, (1 + level) / 2)
        few, many = (middle, many) if ends > high else (few, middle)
    return few
