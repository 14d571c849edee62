"""Answers that a task calls the same vote together, and what comes of it does not depend on arrival order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker import Message, Prompt, RedFlag, Segment, Step, classes, review
from maker.chain import Chain, Commit, Park, Wish
from maker.nouns import Json, Sample, Seat, Tally
from maker.task import Task
from maker.voters import AheadByK, FirstToK, Majority
from tests.support import draws, of_head, panel, sample


def near(first: str, key: str) -> bool:
    """Not transitive: 1 is near 2, 2 is near 3, 1 is not near 3."""
    return abs(int(first) - int(key)) <= 1


def test_a_key_joins_the_oldest_class_whose_first_it_is_the_same_as() -> None:
    assert classes.of(["2", "4", "3", "5", "7"], near) == {"2": "2", "4": "4", "3": "2", "5": "4", "7": "7"}


@given(st.lists(st.integers(0, 9).map(str)), st.lists(st.integers(0, 9).map(str)))
def test_later_keys_change_the_class_of_none_before_them(keys: list[str], later: list[str]) -> None:
    before, after = classes.of(keys, near), classes.of(keys + later, near)
    assert before.items() <= after.items()
    assert all(after[first] == first for first in after.values())


class Guess:
    """A number at each of two steps; numbers next to each other are the same."""

    def segments(self) -> list[Segment]:
        return [Segment("a", 0)]

    def prompt(self, step: Step) -> Prompt | None:
        return Prompt((Message("user", "a number"),)) if step.index < 2 else None

    def parse(self, step: Step, text: str) -> int:
        if not text.isdecimal():
            raise RedFlag("malformed")
        return int(text)

    def same(self, step: Step, first: int, answer: int) -> bool:
        return abs(first - answer) <= 1

    def advance(self, step: Step, answer: int) -> int:
        return answer

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return finals["a"]

    def truth(self, step: Step) -> str:
        return "50"

    def mistake(self, step: Step, rank: int) -> str:
        return str(49 + rank)


VOTERS = [AheadByK(1), AheadByK(2), AheadByK(3), FirstToK(3), Majority(4)]
SAID = st.lists(st.sampled_from(["1", "2", "3", "4", "5", "?"]), min_size=40, max_size=40)


def serially(voter: Any, said: list[str], cap: int) -> tuple[Json, Tally]:
    """One draw at a time, each put into its class and the voter asked, with no chain."""
    from maker.ballot import Ballot
    from maker.voter import Decided

    ballot = Ballot(cap)
    firsts: list[int] = []
    for draw, text in enumerate(said[:cap]):
        ballot.wanted.add(draw)
        if text == "?":
            ballot.flag(draw, "malformed")
        else:
            first = next((first for first in firsts if near(str(first), text)), None)
            if first is None:
                firsts.append(first := int(text))
            ballot.vote(draw, str(first), int(text))
        verdict = voter.decide(ballot)
        if isinstance(verdict, Decided):
            return ballot.answers[verdict.key], ballot.tally()
    return None, ballot.tally()


def drive(
    chain: Chain, wishes: list[Wish], said: list[str], order: Random, crash: int
) -> list[Sample] | Wish:
    """Fill the seats of step 0 in any order; its end, or what came in before the crash."""
    waiting: list[Seat] = []
    came: list[Sample] = []
    while True:
        for wish in wishes:
            if isinstance(wish, Commit | Park):
                return wish
        waiting += draws(wishes)
        if len(came) == crash:
            return came
        seat = waiting.pop(order.randrange(len(waiting)))
        came.append(sample(seat, said[seat.draw]))
        wishes = chain.receive(came[-1])


def chain(voter: Any, cap: int) -> Chain:
    return Chain(Task(Guess(), "guess"), panel(voter, cap), Segment("a", 0))


def end(wish: Any) -> tuple[Json, Tally]:
    return (
        (wish.decision.answer, wish.decision.tally) if isinstance(wish, Commit) else (None, wish.parked.tally)
    )


@settings(max_examples=400, deadline=None)
@given(
    said=SAID,
    voter=st.sampled_from(VOTERS),
    cap=st.integers(4, 40),
    seed=st.integers(),
    crash=st.integers(0, 30),
)
def test_any_arrival_order_and_any_crash_decides_what_one_at_a_time_voting_decides(
    said: list[str], voter: Any, cap: int, seed: int, crash: int
) -> None:
    expected, order = serially(voter, said, cap), Random(seed)
    first = chain(voter, cap)
    straight = drive(first, first.start(), said, order, crash=99)
    assert end(straight) == expected

    second = chain(voter, cap)
    came = drive(second, second.start(), said, order, crash)
    if isinstance(came, list):
        order.shuffle(came)
        again = chain(voter, cap)
        assert end(drive(again, again.resume(of_head(again, came)), said, order, crash=99)) == expected


@settings(max_examples=100, deadline=None)
@given(said=SAID, seed=st.integers())
def test_no_draw_is_made_that_cannot_count(said: list[str], seed: int) -> None:
    voter = AheadByK(3)
    subject = chain(voter, 40)
    _, tally = end(drive(subject, subject.start(), said, Random(seed), crash=99))
    used = sum(len(each.draws) for each in (*tally.votes, *tally.flags))
    assert used == sum(len(each.draws) for each in (*serially(voter, said, 40)[1].votes, *tally.flags))


def test_a_draw_that_a_crash_lost_is_made_before_later_ones_are_put_into_classes() -> None:
    said = ["9", "3", "4", *"5555555"]
    again = chain(AheadByK(4), 40)
    came = [sample(draw, said[draw]) for draw in (0, 2, 3)]
    wishes = again.resume(of_head(again, came))
    assert [seat.draw for seat in draws(wishes)] == [1]
    assert end(drive(again, wishes, said, Random(0), crash=99)) == serially(AheadByK(4), said, 40)


@given(st.permutations(range(3)))
def test_of_equal_answers_that_differ_to_the_letter_the_one_drawn_first_is_kept(order: list[int]) -> None:
    class Folded(Guess):
        def canonical(self, answer: int) -> int:
            return 0

    subject = Chain(Task(Folded(), "folded"), panel(AheadByK(3)), Segment("a", 0))
    subject.start()
    [commit, *_] = [wish for draw in order for wish in subject.receive(sample(draw, str(draw)))]
    assert isinstance(commit, Commit)
    assert commit.decision.answer == 0


def test_a_cap_lowered_below_the_draws_of_a_crash_does_not_wait_for_lost_ones() -> None:
    again = chain(AheadByK(3), 2)
    wishes = again.resume(of_head(again, [sample(0, "1"), sample(2, "1"), sample(3, "2")]))
    assert isinstance(wishes[0], Commit)


def test_a_class_is_told_by_the_answer_that_was_drawn_first(tmp_path: Path) -> None:
    result = maker.run(
        Guess, model="sim:error=0.5,rivals=3", k=3, seed=4, engine="inline", run_dir=tmp_path / "run"
    )
    assert (result.status, result.contested) == ("done", 0)
    assert [each.same for each in review.decided_again(tmp_path / "run")] == [True, True]
    for k in (1, 2):
        found = list(review.what_if(tmp_path / "run", voter=f"ahead_by_k:k={k}"))
        assert [(each.used, each.changed) for each in found] == [(k, False)] * 2
    [kept, _] = review.what_if(tmp_path / "run", red_flags="malformed:pattern=5")
    assert not kept.changed or kept.flagged


def test_other_red_flags_put_what_is_left_into_classes_anew(tmp_path: Path) -> None:
    maker.run(Guess, model="sim:error=0.9,rivals=3", k=2, seed=1, engine="inline", run_dir=tmp_path / "run")
    for each in review.what_if(tmp_path / "run", red_flags="malformed:pattern=50"):
        assert set(each.votes) <= {"50"}


@pytest.mark.parametrize(("verdict", "said"), [(1, "returned a int"), (ValueError("odd"), "ValueError")])
def test_a_comparison_that_breaks_parks_the_step(verdict: Any, said: str) -> None:
    class Odd(Guess):
        def same(self, step: Step, first: int, answer: int) -> Any:
            if isinstance(verdict, Exception):
                raise verdict
            return verdict

    subject = Chain(Task(Odd(), "odd"), panel(), Segment("a", 0))
    wish = drive(subject, subject.start(), ["1", "2", "3"], Random(0), crash=99)
    assert isinstance(wish, Park)
    assert "same" in wish.parked.reason
    assert said in wish.parked.reason
