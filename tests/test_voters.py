"""The voters beyond the paper's: what they decide, that they keep a voter's contract, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from benchmarks.voters import Ahead, mixed, mixture, race, two_way
from maker import plugins, review
from maker.ballot import Ballot
from maker.errors import UsageError
from maker.nouns import Json, Message, Prompt, RedFlag, Sample, Seat, Segment, Step
from maker.run_directory import RunDirectory
from maker.steps import in_order
from maker.voter import Decided, Voter, Want
from maker.voters import AheadByK, BestOf, Escalating, Posterior, Weighted
from tests.test_voting import in_parallel, one_at_a_time

STEPS = 2**20
VOTERS: dict[str, Voter] = {
    "escalating": Escalating(3, 6),
    "escalating at once": Escalating(1, 1),
    "posterior": Posterior(50, 0.1, 0.1, 0.3),
    "posterior, three sorts of votes": Posterior(3, 0.02, 0.5, 0.45, target=0.6),
    "weighted": Weighted(20, 0.2),
    "best of": BestOf(4),
}


def ballot(*counts: int, models: Mapping[int, str] | None = None) -> Ballot:
    """Votes for `a`, `b`, ... in turn of the letters; by draw, who cast them."""
    made, draw = Ballot(1000), 0
    for letter, count in zip("abcdef", counts, strict=False):
        for _ in range(count):
            made.want(1)
            seat = Seat(draw, (models or {}).get(draw, "m"), 1.0, 0)
            made.vote(draw, letter, letter, Sample(seat, letter, "stop", 0, 1, 0.0))
            draw += 1
    return made


@pytest.mark.parametrize("voter", VOTERS.values(), ids=VOTERS)
@settings(max_examples=60, deadline=None)
@given(
    said=st.lists(st.sampled_from("aaab?c"), min_size=30, max_size=30),
    cap=st.integers(1, 30),
    seed=st.integers(0, 2**32),
)
def test_in_any_order_it_decides_what_it_decides_one_vote_at_a_time(
    voter: Voter, said: list[str], cap: int, seed: int
) -> None:
    assert in_parallel(voter, said, cap, Random(seed))[:2] == one_at_a_time(voter, said, cap)


@pytest.mark.parametrize("voter", VOTERS.values(), ids=VOTERS)
@settings(max_examples=60, deadline=None)
@given(before=st.lists(st.integers(0, 6), max_size=4), more=st.lists(st.integers(0, 3), max_size=8))
def test_no_votes_whatever_decide_sooner_than_it_wants(
    voter: Voter, before: list[int], more: list[int]
) -> None:
    counts = [*before, *[0] * (4 - len(before))]
    verdict = voter.decide(ballot(*counts))
    for number, who in enumerate(more, 1):
        counts[who] += 1
        if isinstance(verdict, Want) and number < verdict.votes:
            assert isinstance(voter.decide(ballot(*counts)), Want)


# -- escalating ------------------------------------------------------------------------------------


def test_a_unanimous_start_decides_and_a_dissent_takes_a_lead() -> None:
    voter = Escalating(3, 6)
    assert voter.decide(ballot(3)) == Decided("a")
    assert voter.decide(ballot(3, 1)) == Want(4)
    assert voter.decide(ballot(6, 1)) == Want(1)
    assert voter.decide(ballot(7, 1)) == Decided("a")


def test_a_lead_that_is_below_the_unanimous_start_is_refused() -> None:
    with pytest.raises(UsageError, match="no lead below r"):
        Escalating(4, 3)


def test_it_saves_about_a_third_of_the_votes_where_one_step_in_a_hundred_is_hard() -> None:
    """Votes right with 0.99, 1 % of steps with an error of 0.35; as many tasks of a million steps succeed."""
    steps = mixture(0.99, 0.01, 0.35)
    ahead = Ahead(steps)
    k = ahead.enough()
    found = mixed(Escalating(12, 22), steps)
    assert k == 20
    assert found.success >= 0.95
    assert 1 - found.votes / ahead.of(k).votes > 0.33


# -- posterior -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "k"), [(0.7, 20), (0.9, 8), (0.99, 4), (0.998, 3)])
def test_with_one_sort_of_steps_it_is_ahead_by_the_papers_k(p: float, k: int) -> None:
    voter = Posterior(STEPS, 1 - p)
    for runner_up in (0, 1, 5):
        assert voter.decide(ballot(k + runner_up - 1, runner_up)) == Want(1)
        assert voter.decide(ballot(k + runner_up, runner_up)) == Decided("a")


def test_with_two_sorts_the_same_lead_is_weaker_after_dissent() -> None:
    voter = Posterior(STEPS, 0.002, hard=0.001)
    [unanimous] = [n for n in range(1, 30) if isinstance(voter.decide(ballot(n)), Decided)][:1]
    assert isinstance(voter.decide(ballot(unanimous + 3, 3)), Want)


@given(votes=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_it_decides_as_bayes_rule_says(votes: tuple[int, int]) -> None:
    sorts = ((0.99, 0.01), (0.01, 0.35))
    top, second = max(votes), min(votes)

    def likely(right: int, wrong: int) -> float:
        return math.fsum(share * (1 - e) ** right * e**wrong for share, e in sorts)

    odds = likely(second, top) / likely(top, second)
    allowed = -math.expm1(math.log(0.95) / STEPS)
    if math.isclose(odds / (1 + odds), allowed, rel_tol=1e-6):
        return
    decided = isinstance(Posterior(STEPS, 0.01, 0.01, 0.35).decide(ballot(*votes)), Decided)
    assert decided == (odds / (1 + odds) <= allowed and sum(votes) > 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Posterior(10, 0.5),
        lambda: Posterior(10, 0.1, 0.1, 0.5),
        lambda: Posterior(10, 0.1, 1.0),
        lambda: Posterior(10, 0.3, 0.1, 0.2),
        lambda: Posterior(0, 0.1),
        lambda: Weighted(10, 0.0),
        lambda: Weighted(10, 0.1, {"m": 0.7}),
        lambda: Weighted(10, 0.1, target=1.0),
        lambda: BestOf(0),
    ],
)
def test_what_no_number_of_votes_can_do_is_refused(make: type) -> None:
    with pytest.raises(UsageError, match="expected"):
        make()


# -- weighted --------------------------------------------------------------------------------------


def test_votes_of_better_models_count_for_more() -> None:
    voter = Weighted(1000, 0.2, {"good": 0.001})
    assert isinstance(voter.decide(ballot(2)), Want)
    assert voter.decide(ballot(2, models={0: "good", 1: "good"})) == Decided("a")
    outvoted = ballot(2, 5, models={0: "good", 1: "good"})
    assert voter.decide(outvoted) == Want(1)


def test_models_are_named_on_the_command_line_as_in_python() -> None:
    spec = "weighted:steps=1000,error=0.2,models=openai:good=0.001; sim=0.1"
    made = plugins.find(plugins.VOTERS, spec).make()
    assert made._weights.keys() == {"openai:good", "sim"}
    with pytest.raises(UsageError, match="models"):
        plugins.find(plugins.VOTERS, "weighted:steps=9,error=0.1,models=openai:a").make()


def test_a_model_that_does_not_vote_has_no_weight(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the voter knows a model sim:eror, expected one of sim"):
        maker.run(
            "hanoi",
            model=["sim", "sim:error=0.1"],
            voter="weighted:steps=9,error=0.1,models=sim:eror=0.1",
            engine="inline",
            run_dir=str(tmp_path / "r"),
        )


@given(order=st.permutations(range(9)), logprobs=st.lists(st.floats(-9, 0), min_size=9, max_size=9))
def test_the_order_of_arrival_changes_no_sum(order: list[int], logprobs: list[float]) -> None:
    voter, verdicts = Weighted(1000, 0.1, confidence=True), list[Decided | Want]()
    for draws in (range(9), order):
        made = Ballot(100)
        made.want(9)
        for draw in draws:
            sample = Sample(Seat(draw, "m", 1.0, 0), "x", "stop", 0, 3, 0.0, logprob=logprobs[draw])
            made.vote(draw, "ab"[draw % 2], "x", sample)
        verdicts.append(voter.decide(made))
    assert verdicts[0] == verdicts[1]


def test_a_vote_that_its_model_was_unsure_of_counts_for_less() -> None:
    voter, made = Weighted(3, 0.05, confidence=True), Ballot(10)
    made.want(2)
    for draw, logprob in enumerate((None, 3 * math.log(0.5))):
        sample = Sample(Seat(draw, "m", 1.0, 0), "x", "stop", 0, 3, 0.0, logprob=logprob)
        made.vote(draw, "a", "x", sample)
    assert voter._evidence(made.cast("a")[1]) == pytest.approx(0.5 * math.log(19))
    assert voter._evidence(made.cast("a")[0]) == pytest.approx(math.log(19))


# -- best of ---------------------------------------------------------------------------------------


class Routes:
    """Three steps; an answer is a length, and the shortest is the best."""

    def segments(self) -> Iterable[Segment]:
        return [Segment("s", 0)]

    def prompt(self, step: Step) -> Prompt | None:
        return None if step.index == 3 else Prompt((Message("user", "a length"),))

    def parse(self, step: Step, text: str) -> Json:
        if not text.isdecimal():
            raise RedFlag("malformed")
        return int(text)

    def score(self, step: Step, answer: Json) -> float:
        return -answer

    def advance(self, step: Step, answer: Json) -> Json:
        return step.state + answer

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return finals["s"]

    def truth(self, step: Step) -> str:
        return "7"

    def mistake(self, step: Step, rank: int) -> str:
        return str(5 - step.index)


class Unscored(Routes):
    score = None  # type: ignore[assignment]


def test_the_best_answer_wins_however_few_gave_it_and_the_run_replays(tmp_path: Path) -> None:
    spec = "sim:error=0.2"
    result = maker.run(
        Routes, model=spec, voter="best_of:n=16", engine="inline", workers=1, run_dir=str(tmp_path / "r")
    )
    assert result.status == "done"
    assert result.result == 5 + 4 + 3
    run = RunDirectory(tmp_path / "r")
    first = next(in_order(run))
    assert [len(each["draws"]) for each in first["votes"]] != sorted(
        (len(each["draws"]) for each in first["votes"]), reverse=True
    ), "the winner's votes stand first, whoever has most"
    assert all(step.same for step in review.decided_again(tmp_path / "r"))
    other = list(review.what_if(tmp_path / "r", "best_of:n=16"))
    assert [step.changed for step in other] == [False] * 3
    assert [step.winner for step in review.what_if(tmp_path / "r", "ahead_by_k:k=3")] == ["7"] * 3


def test_a_task_without_a_score_is_told_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no method `score"):
        maker.run(
            Unscored, model="sim:error=0.2", voter="best_of", engine="inline", run_dir=str(tmp_path / "r")
        )
    assert not (tmp_path / "r" / "commands").exists()


def test_equal_scores_go_by_votes_and_then_by_the_lowest_draw() -> None:
    assert BestOf(3).decide(ballot(1, 2)) == Decided("b")
    assert BestOf(2).decide(ballot(1, 1)) == Decided("a")


# -- how they are measured -------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "k"), [(0.6, 3), (0.9, 3), (0.99, 4)])
def test_the_walk_over_counts_gives_the_papers_formula(p: float, k: int) -> None:
    found = race(AheadByK(k), two_way(1 - p))
    right = 1 / (1 + ((1 - p) / p) ** k)
    assert found.wrong == pytest.approx(1 - right, rel=1e-6)
    assert found.votes == pytest.approx((2 * k * right - k) / (2 * p - 1), rel=1e-6)
