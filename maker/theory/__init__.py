"""The arithmetic of voting: what k, how many votes, at what price, and how sure one can be of either.

Pure functions of numbers; nothing here draws, and nothing reads a run. Every function names its equation.
Units: probabilities are shares from 0 to 1, votes are valid samples (flagged ones are extra).
"""

from maker.theory.correlation import (
    again,
    clean_steps,
    effective_trials,
    error_by_contested,
    labelled,
    panel_p,
    rho,
    success_at_most,
)
from maker.theory.escalation import escalation, escalation_votes, escalation_wrong, opening
from maker.theory.intervals import Interval, clopper_pearson, trials_behind, upper_bound
from maker.theory.latency import in_rounds, one_by_one, order_statistic, speculated
from maker.theory.mixture import Group, Groups, fit, mixture_k_min, mixture_votes, mixture_wrong
from maker.theory.posterior import beta_wrong, groups_wrong
from maker.theory.race import (
    budget,
    call_cost,
    expected_calls,
    expected_cost,
    expected_votes,
    k_min,
    p_alternative,
    p_full,
    p_sub,
    p_vote,
    wrong,
)
from maker.theory.spread import spread_k, spread_wrong

__all__ = [
    "Group",
    "Groups",
    "Interval",
    "again",
    "beta_wrong",
    "budget",
    "call_cost",
    "clean_steps",
    "clopper_pearson",
    "effective_trials",
    "error_by_contested",
    "escalation",
    "escalation_votes",
    "escalation_wrong",
    "expected_calls",
    "expected_cost",
    "expected_votes",
    "fit",
    "groups_wrong",
    "in_rounds",
    "k_min",
    "labelled",
    "mixture_k_min",
    "mixture_votes",
    "mixture_wrong",
    "one_by_one",
    "opening",
    "order_statistic",
    "p_alternative",
    "p_full",
    "p_sub",
    "p_vote",
    "panel_p",
    "rho",
    "speculated",
    "spread_k",
    "spread_wrong",
    "success_at_most",
    "trials_behind",
    "upper_bound",
    "wrong",
]
