"""Figures of sampled steps: counts as written by hand, intervals that allow for clusters."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker import measure
from maker.calibration import Mean, Share
from maker.measure import Draw
from maker.theory import clopper_pearson
from maker.theory.clusters import average, correlation, share


def step(said: str, latency: float = 1.0) -> list[Draw]:
    """`r` a right answer, `x` and `y` wrong ones, `?` a flag."""
    numbers = {"r": 0, "x": 1, "y": 2}
    return [Draw(numbers.get(c), "malformed" if c == "?" else "", 7, 10, latency) for c in said]


def counts(found: Share | Mean) -> tuple[int, int]:
    assert isinstance(found, Share)
    return found.count, found.of


SEEN = [*map(step, ("rrr", "rrr", "rxr", "xxr", "xyr", "?rx", "???", "xxx", "r?r"))]


def test_figures_are_what_one_counts_by_hand() -> None:
    found = measure.figures(SEEN)
    assert counts(found.valid) == (22, 27)
    assert counts(found.error) == (9, 22)
    assert counts(found.again) == (2 + 2 + 6, 2 + 4 + 4 + 1 + 6)
    assert counts(found.same) == (1 + 2 + 1 + 1 + 3, 9)
    assert counts(found.contested) == (4, 8)
    assert counts(found.majority_wrong) == (4, 8), "xxr, xyr, ?rx and xxx: a tie counts"
    assert counts(found.collisions) == (3, 8), "xxr, xyr and xxx, of those with two valid votes"
    assert counts(found.collisions_unflagged) == (4, 9)
    assert found.flags == {"malformed": 5}
    assert (found.tokens_in.value, found.latency.value) == (7, 1)
    first = found.votes[0]
    assert (first.right, first.wrong, first.top, first.flagged, first.steps) == (3, 0, 0, 0, 2)
    assert sum(v.steps for v in found.votes) == found.steps == 9


def test_the_first_two_samples_collide_by_their_flags_too() -> None:
    found = measure.figures([step("?xr"), step("r?x")])
    assert counts(found.collisions) == (0, 2)
    assert counts(found.collisions_unflagged) == (1, 2)


def test_rho_is_the_papers_formula_of_pairs() -> None:
    found = measure.figures([*[step("rr")] * 90, *[step("rx")] * 6, *[step("xx")] * 4])
    e, both = 14 / 200, 4 / 100
    assert found.rho.value == pytest.approx((both - e * e) / (e * (1 - e)))
    assert found.rho.low <= found.rho.value <= found.rho.high


def test_steps_that_are_wrong_throughout_have_rho_one() -> None:
    found = measure.figures([*[step("rrr")] * 90, *[step("xxx")] * 10])
    assert found.rho.value == pytest.approx(1.0)
    ten_of_a_hundred = clopper_pearson(10, 100)
    assert found.error.low == pytest.approx(ten_of_a_hundred.low, abs=1e-3), "a step counts once"
    assert found.error.high == pytest.approx(ten_of_a_hundred.high, abs=1e-3)


def test_with_one_draw_a_step_the_interval_is_the_exact_one() -> None:
    found = measure.figures([*[step("r")] * 97, *[step("x")] * 3]).error
    exact = clopper_pearson(3, 100)
    assert (found.low, found.high) == (pytest.approx(exact.low), pytest.approx(exact.high))


def test_without_an_error_a_step_counts_once_however_often_it_was_drawn() -> None:
    found = measure.figures([step("rrrr")] * 50)
    assert found.error.high == pytest.approx(clopper_pearson(0, 50).high)
    assert (found.rho.low, found.rho.high) == (pytest.approx(-0.0766, abs=1e-3), 1.0)


def test_nothing_valid_says_nothing_of_errors() -> None:
    found = measure.figures([step("??"), step("??")])
    assert counts(found.error) == (0, 0)
    assert (found.error.low, found.error.high) == (0, 1)
    assert found.lengths == []


def test_lengths_are_binned_by_round_widths() -> None:
    draws = [Draw(int(tokens > 700), "", 0, tokens, 0.1) for tokens in range(1, 1001)]
    found = measure.figures([draws[:500], draws[500:]]).lengths
    assert [each.tokens for each in found] == list(range(50, 1001, 50))
    assert sum(each.valid for each in found) == 1000
    assert {each.tokens for each in found if each.wrong} == {750, 800, 850, 900, 950, 1000}


steps_of_draws = st.lists(st.text("rxy?", min_size=3, max_size=3).map(step), min_size=2, max_size=30)


@given(steps_of_draws, st.randoms())
def test_figures_do_not_hang_on_the_order_of_steps(steps: list[list[Draw]], chance: Random) -> None:
    turned = list(steps)
    chance.shuffle(turned)
    first, second = measure.figures(steps), measure.figures(turned)
    assert first.votes == second.votes
    for name in ("error", "rho", "valid", "latency"):
        one, other = getattr(first, name), getattr(second, name)
        assert (one.low, one.high) == (pytest.approx(other.low), pytest.approx(other.high))


@given(steps_of_draws)
def test_every_interval_holds_what_was_seen(steps: list[list[Draw]]) -> None:
    found = measure.figures(steps)
    for name in ("valid", "error", "again", "same", "contested", "majority_wrong", "collisions"):
        one: Share = getattr(found, name)
        assert 0 <= one.low <= one.high <= 1
        assert not one.of or one.low - 1e-9 <= one.value <= one.high + 1e-9
    assert -1 <= found.rho.low <= found.rho.high <= 1


@given(st.lists(st.tuples(st.integers(0, 3)).map(lambda hits: (hits[0], 3)), min_size=1, max_size=40))
def test_a_cluster_is_worth_at_least_one_trial_and_at_most_all_of_its_own(
    clusters: list[tuple[int, int]],
) -> None:
    found, hits = share(clusters), sum(hit for hit, _ in clusters)
    all_of_them, one_each = clopper_pearson(hits, 3 * len(clusters)), clopper_pearson(hits / 3, len(clusters))
    assert one_each.low - 1e-9 <= found.low <= all_of_them.low + 1e-9
    assert all_of_them.high - 1e-9 <= found.high <= one_each.high + 1e-9


def test_an_average_is_as_sure_as_its_clusters_are_many() -> None:
    alike = average([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0]])
    single = average([[1.0], [3.0], [2.0]])
    assert alike.value == single.value == 2
    assert alike.high - alike.low == pytest.approx(single.high - single.low)
    assert single.high == pytest.approx(2 + 4.3027 * 1 / math.sqrt(3), abs=1e-4)
    assert average([[5.0]]).value == 5


def test_correlation_of_nothing_wrong_is_not_known() -> None:
    found = correlation([(3, 0)] * 100)
    assert found.value == 0
    assert found.low < 0 and found.high == 1
