"""How long a voted step of a chain takes, in mean latencies of a call, for lognormal latencies.

Rate limits, hedges and lost calls are not in it, nor that long answers may be wrong more often. `sigma` is
the standard deviation of the latency's logarithm. Invariant: with sigma 0 every call takes 1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache

from scipy.special import gammaln, log_ndtr, xlog1py, xlogy

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


@cache
def in_rounds(p: float, k: int, sigma: float) -> float:
    """As many votes at once as the lead is short of k, until it is reached: what a window of 1 does.

    Each round waits for its slowest call. Leads that are less likely than 1e-6 are left out.
    Votes that come in meanwhile let the real thing draw sooner: at p = .9 and k = 8 it is 16 % quicker.
    """
    leads, time = {0: 1.0}, 0.0
    while leads:
        after: defaultdict[int, float] = defaultdict(float)
        for lead, chance in leads.items():
            missing = k - abs(lead)
            time += chance * order_statistic(missing, missing, sigma)
            for gained, part in _gains(missing, p):
                after[lead + gained] += chance * part
        leads = {lead: chance for lead, chance in after.items() if abs(lead) < k and chance > 1e-6}
    return time


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


@cache
def _gains(votes: int, p: float) -> tuple[tuple[int, float], ...]:
    """(change of the lead, its probability) by so many votes; what is rarer than 1e-12 is left out."""
    counts = range(votes + 1)
    ways = (
        gammaln(votes + 1)
        - gammaln([hits + 1 for hits in counts])
        - gammaln([votes - hits + 1 for hits in counts])
    )
    logs = ways + xlogy(counts, p) + xlog1py([votes - hits for hits in counts], -p)
    parts = ((2 * hits - votes, math.exp(log)) for hits, log in zip(counts, logs.tolist(), strict=True))
    return tuple(each for each in parts if each[1] > 1e-12)
