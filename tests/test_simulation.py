"""A sample of `make simulate`: nothing is lost, nothing is paid for twice, and planted bugs are found."""

from __future__ import annotations

import pytest

from tests.simulation import mutants
from tests.simulation.mutants import MUTANTS, Mutant, caught
from tests.simulation.scenario import simulate

SAMPLE = 300
SHALLOW = (
    mutants.records_are_never_synced,
    mutants.a_sample_is_written_after_it_is_read,
    mutants.a_taker_states_what_an_outage_may_take_back,
    mutants.votes_of_the_open_step_are_drawn_again,
    mutants.a_page_is_turned_in_the_middle_of_an_event,
    mutants.lanes_that_exist_are_not_read,
    mutants.an_exchange_that_comes_twice_is_done_twice,
    mutants.a_lead_of_one_less_decides,
)


@pytest.mark.parametrize("first", range(0, SAMPLE, 50))
def test_whatever_dies_the_same_commands_end_as_an_undisturbed_run(first: int) -> None:
    for seed in range(first, first + 50):
        assert simulate(seed).wrong == [], f"python -m tests.simulation --seed {seed}"


def test_a_seed_decides_everything_that_happens() -> None:
    assert [simulate(seed) for seed in range(12)] == [simulate(seed) for seed in range(12)]


def test_the_sample_meets_every_kind_of_misfortune() -> None:
    hits = sum((simulate(seed).hits for seed in range(120)), start=simulate(120).hits)
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


@pytest.mark.parametrize("mutant", SHALLOW, ids=lambda mutant: mutant.__name__)
def test_planted_bugs_that_show_in_many_seeds_are_found(mutant: Mutant) -> None:
    seed, _ = caught(mutant, range(100))
    assert seed is not None
