"""A sample of `make simulate`: nothing is lost, nothing is paid for twice, and planted bugs are found."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, caught
from tests.simulation.scenario import simulate

SAMPLE = 300


@pytest.mark.parametrize("first", range(0, SAMPLE, 50))
def test_whatever_dies_the_same_commands_end_as_an_undisturbed_run(first: int) -> None:
    for seed in range(first, first + 50):
        assert simulate(seed).wrong == [], f"python -m tests.simulation --seed {seed}"


def test_a_seed_decides_everything_that_happens() -> None:
    assert [simulate(seed) for seed in range(12)] == [simulate(seed) for seed in range(12)]


def test_the_sample_meets_every_kind_of_misfortune() -> None:
    hits = sum((simulate(seed).hits for seed in range(100)), start=simulate(100).hits)
    for what in ("killed", "paused", "outage", "request lost", "reply lost", "request repeated"):
        assert hits[what] > 10, what
    for what in ("before", "after", "torn", "full", "eio"):
        assert sum(count for name, count in hits.items() if name.startswith(f"{what} ")) > 3, what


def test_there_are_planted_bugs_enough() -> None:
    assert len(MUTANTS) >= 30


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_planted_bug_is_found(mutant: Mutant) -> None:
    seed, _ = caught(mutant, range(2000))
    assert seed is not None


@pytest.mark.parametrize("mutant", MUTANTS[::6], ids=lambda mutant: mutant.__name__)
def test_a_sample_of_the_planted_bugs_is_found(mutant: Mutant) -> None:
    seed, _ = caught(mutant, range(60))
    assert seed is not None
