"""How sure a count of votes makes us of the leader, when steps differ in how hard they are.

Under one known p only the lead counts (Wald's test is ahead-by-k); under a prior 3-0 says more than 13-10.
A Beta prior's tail near p = 0 falls only polynomially with the votes, so a wide one is decided by what nobody
has measured: fit groups (`mixture.fit`), or keep a way to escalate. Invariant: equal counts give 1/2.
"""

from __future__ import annotations

import math

from scipy.special import expit, gammaln, xlog1py, xlogy

from maker.theory.mixture import Groups, log_sum


def beta_wrong(leader: int, rival: int, alpha: float, beta: float) -> float:
    """That the leader is wrong, of two answers, for p ~ Beta(alpha, beta) over the steps.

    1 / (1 + G(alpha+a) G(beta+b) / (G(alpha+b) G(beta+a))), a and b being the votes of both.
    """
    odds = gammaln(alpha + leader) + gammaln(beta + rival) - gammaln(alpha + rival) - gammaln(beta + leader)
    return float(expit(-odds))


def groups_wrong(leader: int, rival: int, groups: Groups) -> float:
    """The same for steps of a few groups: odds of wrong to right are
    sum w_g p_g^b (1-p_g)^a / sum w_g p_g^a (1-p_g)^b.
    """
    return float(expit(_log_share(rival, leader, groups) - _log_share(leader, rival, groups)))


def _log_share(right: int, missed: int, groups: Groups) -> float:
    """Of the votes, were the right answer the one with `right` of them."""
    found = [group for group in groups if group.weight]
    return log_sum(
        [
            math.log(group.weight) + float(xlogy(right, group.p)) + float(xlog1py(missed, -group.p))
            for group in found
        ]
    )
