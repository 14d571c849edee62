"""How long a voted step of a chain takes, in mean latencies of a call, for lognormal latencies.

Rate limits, hedges and lost calls are not in it, nor that long answers may be wrong more often. `sigma` is
the standard deviation of the latency's logarithm. Invariant: with sigma 0 every call takes 1.
"""

from __future__ import annotations

import math
from functools import cache

from scipy.special import gammaln, log_ndtr

from maker.theory.race import expected_votes

_SPAN, _PITCH = 10.0, 0.02
"""Of the trapezoid rule over a normal variable: exact to 1e-9 for sigma up to 2."""


@cache
def order_statistic(rank: int, calls: int, sigma: float) -> float:
    """Mean of the rank-th quickest of so many calls, in mean latencies (rank 1: the quickest)."""
    scale = gammaln(calls + 1) - gammaln(rank) - gammaln(calls - rank + 1) - math.log(2 * math.pi) / 2
    shift = scale - sigma * sigma / 2

    def density(z: float) -> float:
        below, above = (rank - 1) * float(log_ndtr(z)), (calls - rank) * float(log_ndtr(-z))
        return math.exp(shift + below + above + sigma * z - z * z / 2)

    points = range(round((-_SPAN) / _PITCH), round((_SPAN + 2 * sigma) / _PITCH) + 1)
    return _PITCH * sum(density(point * _PITCH) for point in points)


def one_by_one(p: float, k: int) -> float:
    """Votes drawn one after another: a latency each (equation 16)."""
    return expected_votes(p, k)


def in_rounds(p: float, k: int, sigma: float) -> float:
    """As many votes at once as the lead is short of k, until it is reached: what a window of 1 does.

    Each round waits for its slowest call. Solved by going through the leads until nothing changes.
    """
    waits = [order_statistic(calls, calls, sigma) for calls in range(1, k + 1)]
    times = dict.fromkeys(range(-k, k + 1), 0.0)
    change = 1.0
    while change > 1e-9:
        change = 0.0
        for lead in range(1 - k, k):
            missing = k - abs(lead)
            after = sum(
                _binomial(missing, hits, p) * times[lead + 2 * hits - missing] for hits in range(missing + 1)
            )
            change = max(change, waits[missing - 1] + after - times[lead])
            times[lead] = waits[missing - 1] + after
    return times[0]


def speculated(p: float, k: int, sigma: float) -> float:
    """With a window wide enough: the next step begins from the first answer of k, so the quickest one counts.

    If that is wrong (1 - p) the bet is replaced when the right answer overtakes it, at the third at best; at
    k = 2 there is no third, and one call more is waited for. First order in 1 - p: 5 % too quick at p = .9.
    """
    if k == 1:
        return 1.0
    quickest = order_statistic(1, k, sigma)
    late = order_statistic(3, k, sigma) if k >= 3 else order_statistic(k, k, sigma) + 1.0
    return p * quickest + (1 - p) * late


def _binomial(trials: int, hits: int, p: float) -> float:
    return math.comb(trials, hits) * p**hits * (1 - p) ** (trials - hits)
