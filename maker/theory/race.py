"""The race of two answers under first-to-ahead-by-k: the paper's equations 9 to 20, in stable arithmetic.

One rival takes all wrong votes, the worst case; votes are independent with one p at every step (`mixture.py`
has unequal steps, `spread.py` several rivals). `p` is the probability that a step is answered rightly, `m`
the steps that one call answers, `k` the lead that decides. Invariant: every figure keeps its relative
precision at p = 1 - 1e-12 and 2**30 steps.
"""

from __future__ import annotations

import math

from scipy.special import expit, logit

from maker.errors import UsageError


def p_vote(p: float, m: int = 1) -> float:
    """Of a vote for the right answer to all m steps (equation 10)."""
    return math.exp(m * math.log(p)) if p > 0 else 0.0


def p_alternative(p: float, m: int = 1) -> float:
    """Of a vote for the one rival, wrong in one of the m steps (equation 11)."""
    return (1 - p) * p_vote(p, m - 1) if m > 1 else 1 - p


def wrong(p: float, k: int, lead: int = 0) -> float:
    """That the rival gets ahead by k first, when the right answer leads by `lead` now (gambler's ruin).

    At lead 0 it is 1 minus equation 9.
    """
    if abs(lead) >= k:
        return float(lead < 0)
    if p in (0.0, 1.0):
        return 1 - p
    ratio = float(logit(1 - p))  # log of a wrong vote's odds
    if lead == 0:
        return float(expit(k * ratio))
    if ratio == 0:
        return (k - lead) / (2 * k)
    if ratio > 0:
        return 1 - wrong(1 - p, k, -lead)
    return math.exp((k + lead) * ratio) * math.expm1((k - lead) * ratio) / math.expm1(2 * k * ratio)


def p_sub(p: float, k: int) -> float:
    """That a vote among m steps' answers ends right: 1 / (1 + ((1-p)/p)^k), whatever m is (9, 12)."""
    return 1 - wrong(p, k)


def p_full(p: float, k: int, steps: float, m: int = 1) -> float:
    """That all steps end right: p_sub^(steps/m) (equation 13)."""
    lost = wrong(p, k)
    return math.exp(steps / m * math.log1p(-lost)) if lost < 1 else 0.0


def budget(target: float, steps: float, m: int = 1) -> float:
    """How often a vote may end wrong for all to end right with probability `target`: 1 - t^(m/s).

    Raises UsageError for a target that is no probability between 0 and 1, or for no steps.
    """
    if not 0 < target < 1 or not 0 < steps < math.inf or m < 1:
        raise UsageError(
            f"target={target}, steps={steps}, m={m}; expected a target between 0 and 1, and 1 step or more"
        )
    return -math.expm1(m / steps * math.log(target))


def k_min(p: float, target: float, steps: float, m: int = 1) -> int | None:
    """The least k that ends all steps right with probability `target` (equation 14); None where no k does.

    k_min(p=0.998, target=0.95, steps=2**20) is 3. Of 1/2 or less no k helps: the rival is as likely.
    """
    allowed = budget(target, steps, m)
    if p <= 0.5:
        return None
    if p == 1:
        return 1
    k = max(1, math.ceil(float(logit(allowed)) / float(logit(1 - p))))
    while wrong(p, k) > allowed:
        k += 1
    while k > 1 and wrong(p, k - 1) <= allowed:
        k -= 1
    return k


def expected_votes(p: float, k: int, lead: int = 0) -> float:
    """Valid votes until a lead of k, from a lead of `lead` on: k (2 p_sub - 1) / (2p - 1) at 0 (16)."""
    if abs(lead) >= k:
        return 0.0
    half = float(logit(p)) / 2
    if half == 0:
        return float(k * k - lead * lead)
    if lead == 0:
        return k * math.tanh(k * half) / math.tanh(half)
    return (k * (1 - 2 * wrong(p, k, lead)) - lead) / math.tanh(half)


def expected_calls(p: float, k: int, m: int = 1, valid: float = 1.0) -> float:
    """Calls for one vote on m steps (from 17; `valid`, the share without a red flag, from 19).

    Answers wrong in more than one step, or differently wrong, are taken to be spread so thin that they vote
    for nobody: with m > 1 it is a lower bound.
    """
    return expected_votes(p, k) / (p_vote(p, m - 1) * valid)


def expected_cost(p: float, k: int, steps: float, call: float = 1.0, m: int = 1, valid: float = 1.0) -> float:
    """Of all steps, at the price `call` of one call (17 for call = c m; 18 for m = 1; 19 with flags)."""
    return call * steps / m * expected_calls(p, k, m, valid)


def call_cost(tokens_in: float, tokens_out: float, price_in: float, price_out: float) -> float:
    """Of a sample, at prices of a token (equation 20). The paper's rule: the model of least call_cost / p."""
    return tokens_in * price_in + tokens_out * price_out
