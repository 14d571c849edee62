"""Answers that never match word for word: a judge compares them; its rulings are voted on and recorded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import Message, Prompt, RedFlag, Segment, Step, api, journal, records, review, soundness, whatif
from maker.answers import yes_or_no
from maker.chain import Chain, Commit, Park, Wish
from maker.errors import JournalDamagedError
from maker.model import Request
from maker.nouns import Json, Sample
from maker.run_directory import RunDirectory
from maker.task import Task
from maker.voters import AheadByK
from tests.conftest import Maker
from tests.support import draws, forge, lines_of, panel, sample


class Capital:
    """Answers such as `paris, I think (17)` are the same as others that begin so, says the judge."""

    def __init__(self, steps: int = 2) -> None:
        self.steps = steps

    def segments(self) -> list[Segment]:
        return [Segment("a", "France")]

    def prompt(self, step: Step) -> Prompt | None:
        return Prompt((Message("user", "the capital?"),)) if step.index < self.steps else None

    def parse(self, step: Step, text: str) -> str:
        if text.startswith("?"):
            raise RedFlag("malformed")
        return text

    def judge(self, step: Step, first: str, answer: str) -> Prompt:
        return Prompt((Message("user", f"same?\n{first}\n{answer}"),))

    def advance(self, step: Step, answer: str) -> str:
        return answer.split(",")[0]

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return finals["a"]


class Chatty:
    """Never says the same twice; one answer in five is wrong, one ruling in five too."""

    name = "chatty"
    temperatures: tuple[float | None, float | None] = (None, None)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            yield Sample(seat, said(request.prompt.messages[-1].content, seat.seed), "stop", 1, 1, 0.0)

    async def aclose(self) -> None:
        pass


def said(prompt: str, seed: int) -> str:
    lot = Random(seed)
    if lot.random() < 0.1:
        return "?"
    wrong = lot.random() < 0.2
    question, *pair = prompt.split("\n")
    if question == "the capital?":
        return f"{'lyon' if wrong else 'paris'}, I think ({seed})"
    same = pair[0].split(",")[0] == pair[1].split(",")[0]
    return f"Let me see. {'Yes' if same != wrong else 'No'}."


def drive(chain: Chain, wishes: list[Wish], order: Random, crash: int) -> list[records.Record] | Wish:
    """Fill the seats of step 0 in any order; its end, or what was written before the crash."""
    waiting: list[tuple[Any, Any]] = []
    written: list[records.Record] = []
    while True:
        for wish in wishes:
            if isinstance(wish, Commit | Park):
                return wish
            waiting += [(wish, seat) for seat in draws([wish])]
        if len(written) == crash:
            return written
        draw, seat = waiting.pop(order.randrange(len(waiting)))
        came = sample(seat, said(draw.prompt.messages[-1].content, seat.seed))
        written.append(records.from_sample("a", 0, draw.state, came))
        wishes = chain.receive(came, place=(0, draw.state))


def fresh(seed: int, k: int = 2, cap: int = 100) -> Chain:

    return Chain(
        Task(Capital(), "capital"), replace(panel(AheadByK(k), cap), seed=seed), Segment("a", "France")
    )


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.integers(0, 10**6), crash=st.integers(0, 40), k=st.integers(1, 3))
def test_arrival_order_and_crashes_change_nothing(seed: int, order: int, crash: int, k: int) -> None:
    straight = fresh(seed, k)
    expected = drive(straight, straight.start(), Random(0), -1)
    again = fresh(seed, k)
    found = drive(again, again.start(), Random(order), crash)
    if isinstance(found, list):
        resumed = fresh(seed, k)
        found = drive(resumed, resumed.resume(records.by_place(found)), Random(order + 1), -1)
    assert found == expected


def test_rulings_are_in_the_decision_with_their_votes() -> None:
    chain = fresh(3)
    commit = drive(chain, chain.start(), Random(0), -1)
    assert isinstance(commit, Commit)
    decision = commit.decision
    assert decision.answer.startswith("paris")
    assert decision.rulings
    for ruling in decision.rulings:
        assert (ruling.first.split(",")[0] == ruling.key.split(",")[0]) == ruling.same
        assert ruling.state != decision.state
        assert abs(len(ruling.tally.votes[0].draws) - sum(len(v.draws) for v in ruling.tally.votes[1:])) == 2
    assert records.to_decision(json.loads(json.dumps(records.from_decision(decision)))) == decision


def test_a_judge_that_cannot_decide_parks_the_step() -> None:
    chain = fresh(3, cap=6)
    wishes = chain.start()
    while not isinstance(wishes[-1], Park):
        for draw in wishes:
            for seat in draw.seats:
                text = ("yes", "no")[seat.draw % 2] if draw.state != chain.state else f"x, {seat.draw}"
                wishes = chain.receive(sample(seat, text), place=(0, draw.state))
    assert wishes[-1].parked.reason == "whether two answers are the same: undecided after 6 samples"


def test_a_task_may_say_itself_what_it_knows_and_leave_the_rest_to_the_judge() -> None:
    class Both(Capital):
        asked = 0

        def same(self, step: Step, first: str, answer: str) -> bool | None:
            return False if first[0] != answer[0] else None

    chain = Chain(Task(Both(), "both"), panel(AheadByK(2)), Segment("a", "France"))
    commit = drive(chain, chain.start(), Random(0), -1)
    assert isinstance(commit, Commit)
    assert all(ruling.first[1] == ruling.key[1] for ruling in commit.decision.rulings)


# -- runs ------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(journal, "CHUNK_BYTES", 4000)
    return judged(tmp_path)


def judged(folder: Path, **how: Any) -> Path:
    asked = {"model": f"{__file__}:Chatty", "engine": "inline", "k": 2, "run_dir": folder / "r"}
    result = api.run(f"{__file__}:Capital", params={"steps": 6}, **{**asked, **how})
    assert (result.status, result.result) == ("done", "paris"), result.reason
    return folder / "r"


def test_a_run_is_judged_and_every_ruling_can_be_replayed_and_verified(run: Path) -> None:
    assert soundness.check(RunDirectory(run)).steps == 6
    assert all(each.same for each in review.decided_again(run))
    rulings = [each for record in RunDirectory(run).records(("decision",)) for each in record["rulings"]]
    assert len(rulings) >= 6
    assert {each["same"] for each in rulings} == {True, False}


def test_a_run_that_is_cut_goes_on_with_the_rulings_it_has(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"model": f"{__file__}:Chatty", "engine": "inline", "k": 2, "run_dir": tmp_path / "cut"}
    for calls in range(7, 60, 9):
        api.run(f"{__file__}:Capital", params={"steps": 6}, max_calls=calls, **asked)
    api.run(f"{__file__}:Capital", params={"steps": 6}, max_calls="none", **asked)
    kinds = ("decision",)
    assert list(RunDirectory(tmp_path / "cut").records(kinds)) == list(RunDirectory(run).records(kinds))
    samples = [sum(1 for _ in RunDirectory(path).records(("sample",))) for path in (tmp_path / "cut", run)]
    assert samples[0] == samples[1], "nothing is drawn twice"


def test_what_if_takes_the_classes_as_they_were(run: Path) -> None:
    outcomes = list(whatif.what_if(RunDirectory(run), AheadByK(1)))
    assert len(outcomes) == 6
    assert all(outcome.used == 1 + outcome.flagged for outcome in outcomes)
    assert len(list(review.what_if(run, red_flags="none"))) == 6


def test_show_tells_rulings_from_votes(maker: Maker) -> None:
    path = judged(maker.folder)
    shown = maker("show", path, "a:0").out
    assert 'vote "\\"paris' in shown or "vote" in shown
    assert "ruling true" in shown


def test_a_ruling_without_its_samples_is_found(tmp_path: Path) -> None:
    path = judged(tmp_path)
    [chunk] = path.glob("lanes/*/*.jsonl")
    found = lines_of(chunk)
    decision = next(record for record in found if record["kind"] == "decision")
    decision["rulings"][0]["state"] = decision["state"]
    decision["rulings"][0]["votes"][0]["draws"] = [77]
    forge(chunk, found)
    with pytest.raises(JournalDamagedError, match="counts draw 77, which is no sample"):
        soundness.check(RunDirectory(path))


@pytest.mark.parametrize("text", ["yes", "Yes.", "They differ? No, the same. **Yes**"])
def test_a_ruling_is_the_last_word(text: str) -> None:
    assert yes_or_no(text) is True


@pytest.mark.parametrize("text", ["", "yes and no, maybe", "ja", "yes yes?"])
def test_what_is_neither_yes_nor_no_is_a_red_flag(text: str) -> None:
    with pytest.raises(RedFlag):
        yes_or_no(text)
