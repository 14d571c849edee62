"""Steps that are not alike: groups, escalation, posteriors, correlated errors, and how long a vote takes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.theory import (
    Group,
    again,
    beta_wrong,
    clean_steps,
    clopper_pearson,
    effective_trials,
    error_by_contested,
    escalation,
    escalation_votes,
    escalation_wrong,
    expected_votes,
    fit,
    groups_wrong,
    in_rounds,
    labelled,
    mixture_k_min,
    mixture_votes,
    mixture_wrong,
    one_by_one,
    opening,
    order_statistic,
    p_sub,
    panel_p,
    rho,
    speculated,
    success_at_most,
    trials_behind,
    upper_bound,
    wrong,
)

MILLION = 2**20
TABLE = [
    (0.9, 0.1, 24, 33.2, (16, 24), 30.7),
    (0.99, 0.01, 20, 20.7, (12, 22), 13.5),
    (0.998, 0.002, 18, 18.1, (11, 18), 11.2),
    (0.998, 0.0002, 14, 14.1, (8, 18), 8.2),
]
"""Mean p, hard share (error .35 there), k and votes of ahead-by-k, r and K and votes of escalation."""


def groups(mean: float, hard: float) -> tuple[Group, Group]:
    return Group(1 - hard, (mean - hard * 0.65) / (1 - hard)), Group(hard, 0.65)


@pytest.mark.parametrize(("mean", "hard", "k", "votes", "pair", "fewer"), TABLE)
def test_hard_steps_decide_k_and_escalation_saves_votes(
    mean: float, hard: float, k: int, votes: float, pair: tuple[int, int], fewer: float
) -> None:
    steps = groups(mean, hard)
    assert mixture_k_min(steps, 0.95, MILLION) == k
    assert mixture_votes(steps, k) == pytest.approx(votes, abs=0.06)
    assert escalation(steps, 0.95, MILLION) == pair
    assert escalation_votes(steps, *pair) == pytest.approx(fewer, abs=0.06)
    least = opening(steps, 0.95, MILLION)
    assert least is not None and pair[0] - 2 <= least <= pair[0]


def test_escalation_ends_as_simulated() -> None:
    steps, r, lead = (Group(0.7, 0.9), Group(0.3, 0.6)), 3, 4
    rng = np.random.default_rng(2)
    missed = cast = 0
    for _ in range(runs := 20_000):
        p = 0.9 if rng.random() < 0.7 else 0.6
        right = other = 0
        while not (abs(right - other) >= lead or (right + other == r and 0 in (right, other))):
            hit = rng.random() < p
            right, other = right + hit, other + (not hit)
        missed, cast = missed + (other > right), cast + right + other
    assert escalation_wrong(steps, r, lead) == pytest.approx(missed / runs, rel=0.1)
    assert escalation_votes(steps, r, lead) == pytest.approx(cast / runs, rel=0.02)


@given(st.floats(0.01, 0.99), st.integers(1, 20))
def test_at_r_equal_to_the_lead_escalation_is_ahead_by_k(p: float, k: int) -> None:
    one = (Group(1.0, p),)
    assert escalation_wrong(one, k, k) == pytest.approx(wrong(p, k), rel=1e-6, abs=1e-12)
    assert escalation_votes(one, k, k) == pytest.approx(expected_votes(p, k), rel=1e-6)
    assert mixture_wrong(one, k) == wrong(p, k)


def test_no_k_and_no_escalation_mends_a_group_with_a_wrong_majority() -> None:
    steps = (Group(0.999, 0.99), Group(0.001, 0.4))
    assert mixture_k_min(steps, 0.95, 1000) is None
    assert escalation(steps, 0.95, 1000) is None


@pytest.mark.parametrize(
    ("concentration", "counts", "expected"),
    [
        (1000, (3, 0), 2.4e-8),
        (1000, (13, 10), 2e-6),
        (50, (3, 0), 1.8e-6),
        (50, (13, 10), 6e-3),
        (5, (3, 0), 1e-4),
        (5, (13, 10), 0.25),
    ],
)
def test_the_beta_posterior_of_the_same_lead(
    concentration: float, counts: tuple[int, int], expected: float
) -> None:
    prior = 0.998 * concentration, 0.002 * concentration
    assert beta_wrong(*counts, *prior) == pytest.approx(expected, rel=0.07)


def test_the_beta_posterior_is_what_simulation_finds() -> None:
    rng = np.random.default_rng(3)
    p = rng.beta(6, 2, 400_000)
    right = rng.binomial(4, p)
    of_three = np.isin(right, (1, 3))
    assert beta_wrong(3, 1, 6, 2) == pytest.approx((right[of_three] == 1).mean(), rel=0.03)


def test_the_groups_posterior_is_what_simulation_finds() -> None:
    steps = (Group(0.9, 0.9), Group(0.1, 0.6))
    rng = np.random.default_rng(4)
    right = rng.binomial(4, np.where(rng.random(400_000) < 0.9, 0.9, 0.6))
    of_three = np.isin(right, (1, 3))
    assert groups_wrong(3, 1, steps) == pytest.approx((right[of_three] == 1).mean(), rel=0.04)


@given(st.floats(0.51, 0.999), st.integers(0, 40), st.integers(0, 40))
def test_under_one_known_p_only_the_lead_counts(p: float, leader: int, rival: int) -> None:
    """Wald's test: the odds of the leader are those of its lead (equation 9's exponent)."""
    if (k := leader - rival) > 0:
        assert groups_wrong(leader, rival, (Group(1.0, p),)) == pytest.approx(wrong(p, k), rel=1e-6)
    assert beta_wrong(leader, leader, 3, 2) == pytest.approx(0.5)


def table(rng: np.random.Generator, p: np.ndarray, draws: int) -> list[tuple[int, int, int]]:
    right, counts = np.unique(rng.binomial(draws, p), return_counts=True)
    return [(int(each), int(draws - each), int(count)) for each, count in zip(right, counts, strict=True)]


def test_fitted_groups_are_those_that_were_drawn() -> None:
    rng = np.random.default_rng(5)
    easy, hard = fit(table(rng, np.where(rng.random(20_000) < 0.05, 0.6, 0.99), 8))
    assert (hard.weight, hard.p) == (pytest.approx(0.05, rel=0.1), pytest.approx(0.6, abs=0.03))
    assert easy.p == pytest.approx(0.99, abs=0.002)


@pytest.mark.parametrize("p", [0.9, 0.998, 1.0])
def test_steps_that_are_alike_are_one_group(p: float) -> None:
    found = [fit(table(np.random.default_rng(seed), np.full(500, p), 6)) for seed in range(20)]
    assert sum(len(each) == 1 for each in found) >= 18
    assert fit([]) == ()


def test_rho_is_that_of_the_steps_shares() -> None:
    """For steps of share p_i the correlation of two errors is Var(p_i) / (e (1-e))."""
    rng = np.random.default_rng(6)
    p = rng.beta(9, 1, 40_000)
    found = rho(table(rng, p, 4))
    assert found == pytest.approx(p.var() / (p.mean() * (1 - p.mean())), rel=0.06)
    independent = rho(table(rng, np.full(40_000, 0.9), 4))
    assert independent == pytest.approx(0, abs=0.01)


def test_rho_without_labels_is_near_that_with_them_where_majorities_are_right() -> None:
    rng = np.random.default_rng(7)
    p = np.where(rng.random(20_000) < 0.05, 0.7, 0.99)
    right = rng.binomial(9, p)
    labels = rho([(int(each), 9 - int(each), 1) for each in right])
    blind = rho(labelled([(int(each), 9 - int(each)) for each in right]))
    assert labels and blind == pytest.approx(labels, rel=0.25)


def test_where_nothing_can_be_said_of_rho_nothing_is() -> None:
    assert rho([]) is None
    assert rho([(1, 0, 50), (0, 1, 3)]) is None, "one vote a step"
    assert rho([(3, 0, 100)]) is None, "no error"
    assert rho([(3, 0, 90), (0, 3, 10)]) == pytest.approx(1.0)
    assert labelled([[1, 1], [2, 1, 1]]) == [(2, 2, 1)]
    assert again(12, 1000) == 0.012


@given(st.floats(1e-6, 0.45), st.integers(2, 12))
def test_the_contested_share_tells_the_error(error: float, votes: int) -> None:
    contested = 1 - (1 - error) ** votes - error**votes
    assert error_by_contested(contested, votes) == pytest.approx(error, rel=1e-4, abs=1e-9)


def test_what_no_number_of_votes_mends() -> None:
    shares = {1e-4: 3e-46, 1e-5: 2.8e-5, 1e-6: 0.35, 1e-7: 0.90, 4.9e-8: 0.95}
    for share, success in shares.items():
        assert success_at_most(share, MILLION) == pytest.approx(success, rel=0.05)
    assert success_at_most(1, 10) == 0
    assert clean_steps(0.95, MILLION) == pytest.approx(6.1e7, rel=0.01)
    for share, right in {0.4: (0.23, 0.12, 0.017), 0.45: (0.35, 0.27, 0.12), 0.7: (0.93, 0.99, 1.0)}.items():
        assert [p_sub(share, k) for k in (3, 5, 10)] == pytest.approx(right, abs=0.006)
    assert panel_p((0.05, 0.99, 0.99)) == pytest.approx(0.677, abs=1e-3)


def test_clustered_votes_are_worth_fewer() -> None:
    assert effective_trials(100, 10, 0) == 1000
    assert effective_trials(100, 10, 1) == 100
    assert effective_trials(100, 1, 1) == 100
    assert effective_trials(100, 4, -0.1) == 400


@given(st.integers(0, 50), st.integers(100, 100_000))
def test_the_trials_behind_an_interval_are_found_again(successes: int, trials: int) -> None:
    high = clopper_pearson(successes, trials).high
    assert trials_behind(successes / trials, high) == pytest.approx(trials, rel=1e-4)


def test_a_one_sided_bound_and_no_information() -> None:
    assert upper_bound(22, 10_000, 0.975) == clopper_pearson(22, 10_000).high
    assert upper_bound(0, 1000, 0.95) == pytest.approx(0.003, rel=0.01)
    assert (upper_bound(0, 0), upper_bound(5, 5), trials_behind(0.0, 1.0)) == (1, 1, 0)


@cache
def draws(sigma: float) -> np.ndarray:
    return np.random.default_rng(8).lognormal(-sigma * sigma / 2, sigma, (200_000, 5))


@pytest.mark.parametrize("sigma", [0.5, 1.0])
@pytest.mark.parametrize(("rank", "calls"), [(1, 1), (1, 3), (3, 3), (2, 5)])
def test_order_statistics_are_those_of_drawn_latencies(sigma: float, rank: int, calls: int) -> None:
    seen = np.sort(draws(sigma)[:, :calls], axis=1)[:, rank - 1].mean()
    assert order_statistic(rank, calls, sigma) == pytest.approx(seen, rel=0.03)


@pytest.mark.parametrize(
    ("sigma", "p", "k", "serial", "rounds", "ahead"),
    [
        (0.5, 0.998, 3, 3.012, 1.455, 0.621),
        (1.0, 0.998, 3, 3.012, 1.915, 0.341),
        (0.5, 0.99, 4, 4.08, 1.607, 0.566),
        (1.0, 0.99, 4, 4.08, 2.252, 0.278),
        (0.5, 0.9, 8, 10.0, 2.45, 0.494),
    ],
)
def test_the_wall_clock_of_a_step_is_near_the_simulated_one(
    sigma: float, p: float, k: int, serial: float, rounds: float, ahead: float
) -> None:
    assert one_by_one(p, k) == pytest.approx(serial, rel=1e-3)
    assert in_rounds(p, k, sigma) == pytest.approx(rounds, rel=0.02 if p > 0.9 else 0.2)
    assert speculated(p, k, sigma) == pytest.approx(ahead, rel=0.035)


def test_where_all_calls_take_as_long_rounds_are_counted() -> None:
    assert in_rounds(1.0, 5, 0.0) == pytest.approx(1.0)
    assert speculated(1.0, 5, 0.0) == pytest.approx(1.0)
    assert in_rounds(0.998, 3, 0.0) == pytest.approx(1.006, abs=5e-4)
    assert (speculated(0.9, 1, 0.5), in_rounds(0.9, 1, 0.5)) == (1, pytest.approx(1.0))
