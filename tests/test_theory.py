"""The paper's equations: its own figures, simulation, and arithmetic that holds at the ends of the scale."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.errors import UsageError
from maker.theory import (
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
    spread_k,
    spread_wrong,
    wrong,
)

MILLION = 2**20
K_MIN = {
    0.6: (19, 25, 31, 36, 42, 42, 48, 59),
    0.7: (9, 12, 15, 18, 20, 20, 23, 28),
    0.8: (6, 8, 9, 11, 13, 13, 14, 18),
    0.9: (4, 5, 6, 7, 8, 8, 9, 11),
    0.95: (3, 4, 5, 5, 6, 6, 7, 9),
    0.99: (2, 3, 3, 4, 4, 4, 5, 6),
    0.998: (2, 2, 2, 3, 3, 3, 4, 4),
    0.9999: (1, 2, 2, 2, 2, 2, 3, 3),
}
"""At target .95, for 1e2, 1e3, 1e4, 1e5, 1e6, 2**20, 1e7 and 1e9 steps."""
LENGTHS = (1e2, 1e3, 1e4, 1e5, 1e6, MILLION, 1e7, 1e9)
FIGURE_6B = {
    0.3571: 29,
    0.0040: 4,
    0.0022: 3,
    0.0018: 3,
    0.1839: 12,
    0.0358: 6,
    0.2342: 15,
    0.0569: 6,
    0.0393: 6,
}
"""The paper's k_min by the models' error."""


def walked(p: float, k: int, runs: int, rng: np.random.Generator, rivals: int = 1) -> tuple[float, float]:
    """(share that end right, votes) of first-to-ahead-by-k, drawn vote by vote."""
    votes = np.zeros((runs, rivals + 1), dtype=int)
    running = np.ones(runs, dtype=bool)
    while running.any():
        drawn = rng.random(running.sum())
        answers = np.where(drawn < p, 0, 1 + rng.integers(rivals, size=drawn.size))
        votes[np.flatnonzero(running), answers] += 1
        top = np.sort(votes, axis=1)
        running = top[:, -1] - top[:, -2] < k
    return float((votes.argmax(axis=1) == 0).mean()), float(votes.sum(axis=1).mean())


@pytest.mark.parametrize("p", K_MIN)
def test_k_min_is_that_of_the_table_at_every_length(p: float) -> None:
    assert tuple(k_min(p, 0.95, steps) for steps in LENGTHS) == K_MIN[p]


@pytest.mark.parametrize("error", FIGURE_6B)
def test_k_min_is_that_of_the_papers_models(error: float) -> None:
    assert k_min(1 - error, 0.95, MILLION - 1) == FIGURE_6B[error]


def test_k_min_by_name_as_the_readme_has_it() -> None:
    assert k_min(p=0.998, target=0.95, steps=2**20) == 3


def test_no_k_helps_where_a_wrong_answer_is_as_likely_as_the_right_one() -> None:
    assert k_min(0.5, 0.95, 10) is None
    assert k_min(0.2, 0.95, 10) is None


@pytest.mark.parametrize(("p", "k", "right", "votes"), [(0.6, 3, 0.7714, 8.143), (0.9, 3, 0.99863, 3.740)])
def test_the_race_ends_as_simulated(p: float, k: int, right: float, votes: float) -> None:
    assert p_sub(p, k) == pytest.approx(right, abs=5e-5)
    assert expected_votes(p, k) == pytest.approx(votes, abs=5e-4)
    seen = walked(p, k, 40_000, np.random.default_rng(1))
    assert seen == (pytest.approx(p_sub(p, k), abs=0.01), pytest.approx(expected_votes(p, k), rel=0.02))


@given(st.floats(0.01, 0.99), st.integers(1, 30), st.data())
def test_one_more_vote_leads_to_the_same_end_from_every_lead(p: float, k: int, data: st.DataObject) -> None:
    lead = data.draw(st.integers(1 - k, k - 1))
    after = p * wrong(p, k, lead + 1) + (1 - p) * wrong(p, k, lead - 1)
    assert wrong(p, k, lead) == pytest.approx(after, rel=1e-9, abs=1e-15)
    votes = 1 + p * expected_votes(p, k, lead + 1) + (1 - p) * expected_votes(p, k, lead - 1)
    assert expected_votes(p, k, lead) == pytest.approx(votes, rel=1e-6)


@given(st.floats(0.5001, 1 - 1e-9), st.floats(0.01, 0.999), st.integers(1, 2**40), st.integers(1, 10))
def test_k_min_is_enough_and_one_less_is_not(p: float, target: float, steps: int, m: int) -> None:
    k = k_min(p, target, steps, m)
    assert k is not None
    assert p_full(p, k, steps, m) >= target * (1 - 1e-6)
    assert k == 1 or p_full(p, k - 1, steps, m) < target * (1 + 1e-6)


@pytest.mark.parametrize("p", [0.6, 0.9, 0.998, 1 - 1e-9, 1 - 1e-12])
@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_the_arithmetic_holds_for_a_billion_steps_of_a_nearly_perfect_model(p: float, k: int) -> None:
    odds = (1 - Fraction(p)) / Fraction(p)
    exact = odds**k / (1 + odds**k)
    assert wrong(p, k) == pytest.approx(float(exact), rel=1e-9)
    few = 2**30 * exact
    if few < 1e-3:
        assert 1 - p_full(p, k, 2**30) == pytest.approx(float(few), rel=1e-3, abs=1e-15)
    votes = k * (1 - 2 * exact) / (2 * Fraction(p) - 1)
    assert expected_votes(p, k) == pytest.approx(float(votes), rel=1e-9)


def test_at_one_half_and_at_the_ends_nothing_divides_by_nought() -> None:
    assert (expected_votes(0.5, 4), wrong(0.5, 4), wrong(0.5, 4, 1)) == (16, 0.5, 0.375)
    assert (p_sub(1.0, 3), p_sub(0.0, 3), expected_votes(1.0, 3)) == (1, 0, 3)
    assert (k_min(1.0, 0.95, 2**30), p_full(0.0, 3, 10)) == (1, 0)


def test_several_steps_a_call_cost_as_in_the_paper() -> None:
    assert (p_vote(0.9, 10), p_alternative(0.9, 10)) == (pytest.approx(0.9**10), pytest.approx(0.1 * 0.9**9))
    assert expected_calls(0.9, 3, m=10) == pytest.approx(9.65, abs=0.01)

    def cost(p: float, m: int) -> float:
        k = k_min(p, 0.95, MILLION, m)
        assert k is not None
        return expected_cost(p, k, MILLION, call=m, m=m) / MILLION

    assert cost(0.99, 22) / cost(0.99, 1) == pytest.approx(0.926, abs=0.001), "k falls from 4 to 3"
    assert cost(0.99, 500) / cost(0.99, 1) == pytest.approx(113, rel=0.05)
    assert cost(0.998, 100) / cost(0.998, 1) == pytest.approx(0.813, abs=0.001), "from 3 to 2"


def test_the_papers_price_of_a_million_steps() -> None:
    """gpt-4.1-mini at T = 0.1: 538 tokens out at 1.6 a million, about 620 in at 0.4, k = 3: $3.5K."""
    call = call_cost(620, 538, 0.4e-6, 1.6e-6)
    assert expected_cost(1 - 0.0022, 3, MILLION - 1, call) == pytest.approx(3500, rel=0.02)
    assert expected_cost(0.99, 4, 100, valid=0.5) == pytest.approx(2 * expected_cost(0.99, 4, 100))


def test_the_budget_of_a_step() -> None:
    assert budget(0.95, MILLION) == pytest.approx(4.89e-8, rel=1e-3)
    with pytest.raises(UsageError, match="expected a target between 0 and 1"):
        budget(1.0, 10)


@pytest.mark.parametrize("rivals", [2, 5, 20])
def test_wrong_votes_that_are_spread_lose_more_often_than_the_bound_says(rivals: int) -> None:
    p, k = 0.6, 3
    right, _ = walked(p, k, 20_000, np.random.default_rng(rivals), rivals)
    bound = spread_wrong(p, [0.4 / rivals] * rivals, k)
    assert 1 - right <= bound + 0.005
    assert bound < spread_wrong(p, [0.4], k)


def test_spread_answers_need_a_smaller_k() -> None:
    assert [spread_k(0.9, 0.1 / rivals, rivals, 0.95, MILLION) for rivals in (1, 3, 10, 100)] == [8, 6, 5, 4]
    assert spread_k(0.998, 0.002 / 100, 100, 0.95, MILLION) == 2
    assert spread_k(0.4, 0.05, 12, 0.95, MILLION) is not None, "under one half, and still the commonest"
    assert spread_k(0.4, 0.4, 2, 0.95, MILLION) is None
    assert math.isclose(spread_wrong(0.9, [0.1], 4), (0.1 / 0.9) ** 4)
