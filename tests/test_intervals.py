"""Exact binomial bounds: known values, and that they cover the truth as often as they say."""

from __future__ import annotations

from math import comb

import pytest

from maker.errors import UsageError
from maker.theory import Interval, clopper_pearson


def test_bounds_of_known_counts() -> None:
    assert clopper_pearson(22, 10_000).high == pytest.approx(0.003329, abs=1e-6)
    assert clopper_pearson(0, 1000).high == pytest.approx(1 - 0.025 ** (1 / 1000))
    assert clopper_pearson(10, 10).low == pytest.approx(0.025**0.1)


@pytest.mark.parametrize("successes", [0, 1, 7, 20])
def test_beyond_a_bound_the_count_would_be_rare(successes: int) -> None:
    interval = clopper_pearson(successes, 20)

    def at_most(count: int, p: float) -> float:
        return sum(comb(20, i) * p**i * (1 - p) ** (20 - i) for i in range(count + 1))

    if successes < 20:
        assert at_most(successes, interval.high) == pytest.approx(0.025)
    if successes:
        assert 1 - at_most(successes - 1, interval.low) == pytest.approx(0.025)


def test_no_trials_say_nothing() -> None:
    assert clopper_pearson(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(("successes", "trials", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_impossible_counts_are_refused(successes: int, trials: int, level: float) -> None:
    with pytest.raises(UsageError, match="expected 0 <= successes <= trials"):
        clopper_pearson(successes, trials, level)
