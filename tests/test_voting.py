"""Parallel draws decide what one-at-a-time voting decides, with the same draws."""

from __future__ import annotations

from collections import Counter
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.ballot import Ballot
from maker.chain import Chain, Commit, Park
from maker.errors import UsageError
from maker.nouns import Tally
from maker.voter import Decided, Voter, Want
from maker.voters import AheadByK, FirstToK, Majority
from tests.support import draws, drive, panel, sample, task

VOTERS = [
    AheadByK(1),
    AheadByK(2),
    AheadByK(3),
    AheadByK(5),
    FirstToK(1),
    FirstToK(3),
    Majority(1),
    Majority(4),
]
ANSWERS = st.lists(st.sampled_from("aaab?c"), min_size=30, max_size=30)


def one_at_a_time(voter: Voter, said: list[str], cap: int) -> tuple[str | None, int]:
    """(winner or None, draws used) when one draw is made, counted and looked at before the next."""
    ballot = Ballot(cap)
    for used, text in enumerate(said[:cap], start=1):
        ballot.wanted.add(used)
        if text == "?":
            ballot.flag(used, "malformed")
        else:
            ballot.vote(used, text, text)
        verdict = voter.decide(ballot)
        if isinstance(verdict, Decided):
            return verdict.key, used
    return None, min(cap, len(said))


def in_parallel(voter: Voter, said: list[str], cap: int, order: Random) -> tuple[str | None, int, Tally]:
    """The same through the chain, its wishes filled in a random order."""
    chain = Chain(task(), panel(voter, cap), next(iter(task().segments())))
    wishes, waiting = chain.start(), []
    while True:
        for wish in wishes:
            if isinstance(wish, Commit):
                tally = wish.decision.tally
                return wish.decision.answer, used(tally), tally
            if isinstance(wish, Park):
                return None, used(wish.parked.tally), wish.parked.tally
        waiting += draws(wishes)
        seat = waiting.pop(order.randrange(len(waiting)))
        wishes = chain.receive(sample(seat, said[seat.draw]))


def used(tally: Tally) -> int:
    return sum(len(v.draws) for v in tally.votes) + sum(len(f.draws) for f in tally.flags)


@pytest.mark.parametrize("voter", VOTERS, ids=lambda v: f"{type(v).__name__}-{vars(v)}")
@settings(max_examples=150, deadline=None)
@given(said=ANSWERS, cap=st.integers(1, 30), seed=st.integers(0, 2**32))
def test_same_winner_and_same_number_of_samples_as_one_at_a_time(
    voter: Voter, said: list[str], cap: int, seed: int
) -> None:
    winner, drawn, tally = in_parallel(voter, said, cap, Random(seed))
    assert (winner, drawn) == one_at_a_time(voter, said, cap)
    counted = Counter(said[:drawn])
    assert {v.key: len(v.draws) for v in tally.votes} == {f'"{k}"': n for k, n in counted.items() if k != "?"}


def test_every_short_ballot_in_every_arrival_order_is_decided_alike() -> None:
    for k in (1, 2, 3):
        for said in product("ab?", repeat=5):
            expected = one_at_a_time(AheadByK(k), list(said), 5)
            for seed in range(6):
                assert in_parallel(AheadByK(k), list(said), 5, Random(seed))[:2] == expected


@given(said=ANSWERS, seed=st.integers(0, 2**32), k=st.integers(1, 5))
def test_as_many_draws_are_under_way_as_the_deficit_and_never_more(
    said: list[str], seed: int, k: int
) -> None:
    chain = Chain(task(), panel(AheadByK(k), cap=30), next(iter(task().segments())))
    order, waiting = Random(seed), draws(chain.start())
    while waiting:
        _, top, second = chain.path[0].ballot.leaders()
        deficit = k - (top - second)
        left = 30 - chain.path[0].ballot.total - chain.path[0].ballot.flagged
        assert len(waiting) == min(deficit, left)
        seat = waiting.pop(order.randrange(len(waiting)))
        wishes = chain.receive(sample(seat, said[seat.draw]))
        if any(isinstance(wish, Commit | Park) for wish in wishes):
            assert not waiting
            return
        waiting += draws(wishes)


@pytest.mark.parametrize("voter", VOTERS, ids=lambda v: f"{type(v).__name__}-{vars(v)}")
@given(said=st.lists(st.sampled_from("abc"), max_size=12))
def test_a_voter_never_decides_in_fewer_votes_than_it_wants(voter: Voter, said: list[str]) -> None:
    ballot, wanted = Ballot(100), 0
    for number, text in enumerate(said):
        verdict = voter.decide(ballot)
        if isinstance(verdict, Decided):
            assert wanted <= 0
            return
        wanted = max(wanted, verdict.votes) - 1
        ballot.wanted.add(number)
        ballot.vote(number, text, text)
        assert verdict.votes >= 1


def test_a_tie_at_the_cap_is_parked_with_all_its_samples() -> None:
    said = "abababab"
    [parked] = drive(
        Chain(task(), panel(AheadByK(2), cap=8), next(iter(task().segments()))),
        lambda step, seat: said[seat.draw],
    )
    assert isinstance(parked, Park)
    assert parked.parked.reason == "undecided after 8 samples"
    assert [len(votes.draws) for votes in parked.parked.tally.votes] == [4, 4]


def test_the_last_sample_under_the_cap_still_decides() -> None:
    said = "abaaa"
    committed, _ = drive(
        Chain(task(), panel(AheadByK(3), cap=5), next(iter(task().segments()))),
        lambda step, seat: said[seat.draw],
    )
    assert isinstance(committed, Commit)


def test_flagged_samples_are_redrawn_under_new_indices() -> None:
    said = {0: "?", 1: "?", 2: "a", 3: "a", 4: "?", 5: "a"}
    committed, _ = drive(
        Chain(task(), panel(AheadByK(3)), next(iter(task().segments()))), lambda step, seat: said[seat.draw]
    )
    assert isinstance(committed, Commit)
    assert committed.decision.tally.votes[0].draws == (2, 3, 5)
    assert committed.decision.tally.flags[0].draws == (0, 1, 4)


def test_a_majority_of_an_even_number_draws_on_until_the_tie_is_broken() -> None:
    assert one_at_a_time(Majority(4), list("abbaa"), 30) == ("a", 5)
    assert one_at_a_time(Majority(3), list("abb"), 30) == ("b", 3)


@pytest.mark.parametrize("voter", [AheadByK, FirstToK, Majority])
def test_a_voter_that_needs_no_vote_is_refused(voter: type) -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        voter(0)


def test_want_names_the_deficit() -> None:
    assert AheadByK(3).decide(Ballot(9)) == Want(3)
