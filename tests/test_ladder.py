"""A step in trouble is asked in other words, then of another model, then it is parked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maker import api, chapters, review
from maker.ballot import Ballot
from maker.chain import Chain, Commit, Finish, Park, Wish
from maker.errors import IncompatibleResumeError, UsageError
from maker.ladder import Ladder, Rung, parse
from maker.nouns import Json, Message, Prompt, RedFlag, Sample, Seat, Segment, Step
from maker.panel import Member, Panel
from maker.records import Record
from maker.result import RunResult
from maker.run_directory import RunDirectory
from maker.steps import in_order
from maker.task import Task
from maker.voters import AheadByK, Escalating, Majority, Truncated
from maker.voting import Draw
from maker.workers.simulated import Simulated, Truthful
from tests.conftest import Maker
from tests.support import sample
from tests.test_voting import one_at_a_time

ALL: tuple[Rung, ...] = ("variant", "model", "park")


class Spelling:
    """A word a step, asked in other words too; what is said depends on who is asked how."""

    def __init__(self, length: int = 1) -> None:
        self.length = length

    def segments(self) -> Iterable[Segment]:
        return [Segment("s", "")]

    def prompt(self, step: Step) -> Prompt | None:
        return None if step.index == self.length else Prompt((Message("user", f"after {step.state}"),))

    def variant(self, step: Step, number: int) -> Prompt:
        return Prompt((Message("user", f"what comes after {step.state}? ({number})"),))

    def parse(self, step: Step, text: str) -> Json:
        if text == "?":
            raise RedFlag("malformed")
        return text

    def advance(self, step: Step, answer: Json) -> Json:
        return f"{step.state}{answer}"[-3:]

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return finals["s"]

    def truth(self, step: Step) -> str:
        return "abc"[step.index % 3]

    def mistake(self, step: Step, rank: int) -> str:
        return "xyz"[step.index % 3]


class Cased(Spelling):
    """Answers in capitals are the same."""

    def same(self, step: Step, first: Json, answer: Json) -> bool:
        return bool(first.lower() == answer.lower())


class Judged(Cased):
    def judge(self, step: Step, first: Json, answer: Json) -> Prompt:
        return Prompt((Message("user", "the same?"),))


class Mute(Spelling):
    variant = None  # type: ignore[assignment]


# -- the rungs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "climbed"),
    [
        ("", 0),
        ("aaa", 0),
        ("aab", 1),
        ("aa?", 0),
        ("a??", 1),
        ("aa?aa?", 1),
        ("aabaaa", 1),
        ("aab???", 2),
        ("a??aa?", 1),
        ("aabbbb", 2),
        ("a??a??a??", 3),
        ("a??a??a??a??", 3),
    ],
)
def test_a_second_flag_or_an_answer_against_the_leader_leads_a_rung_up(said: str, climbed: int) -> None:
    assert Ladder(ALL, 3).climbed([None if each == "?" else each for each in said]) == climbed


def test_each_rung_changes_one_thing() -> None:
    ladder = Ladder(("variant", "model", "variant", "park"), 3)
    seen = [(ladder.variant(n), ladder.member(n), ladder.parks(n)) for n in range(5)]
    assert seen == [(0, 0, False), (1, 0, False), (1, 1, False), (2, 1, False), (2, 1, True)]


def test_models_are_drawn_in_turn_where_no_rung_names_them() -> None:
    assert Ladder(("variant", "park"), 3).member(0) is None
    step = Step("s", 0, "")
    assert [each.model for each in panel(("variant",), AheadByK(2)).seats(step, "x", (0, 1, 2))] == [
        "m0",
        "m1",
        "m0",
    ]


@given(said=st.lists(st.sampled_from(["a", "b", None]), max_size=24), size=st.integers(1, 5))
def test_nothing_leads_down_again(said: list[str | None], size: int) -> None:
    whole = len(said) - len(said) % size
    rungs = [Ladder(ALL, size).climbed(said[:end]) for end in range(0, whole + 1, size)]
    assert all(0 <= after - before <= 1 for before, after in pairwise(rungs))


def test_a_ladder_is_read_as_typed() -> None:
    assert parse(" variant, model,park") == ["variant", "model", "park"]
    assert parse("none") == parse(None) == []
    for wrong in ("up", "park,model", "", ["model", "park"]):
        with pytest.raises(UsageError, match="expected"):
            parse(wrong)  # type: ignore[arg-type]


# -- at a step -------------------------------------------------------------------------------------


def panel(rungs: tuple[Rung, ...], voter: Any, members: int = 2, cap: int = 40) -> Panel:
    first = voter.decide(Ballot(cap))
    names = tuple(Member(f"m{number}", (0.0, 0.1)) for number in range(members))
    return Panel(voter, names, Truncated(), cap, 7, ladder=Ladder(rungs, first.votes))


class World:
    """What each seat is told, by what it is: fixed by a seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, step: Step, seat: Seat) -> str:
        lot = Random(f"{self.seed}/{step.index}/{step.state}/{seat.draw}/{seat.model}/{seat.variant}")
        return lot.choice("aaAb?")


def play(
    chain: Chain, say: World, lot: Random, wishes: list[Wish], stop: int | None = None
) -> tuple[list[Wish], list[tuple[Draw, Sample]]]:
    """Fill seats in any order until it ends, or `stop` samples have come in; ends, and what came."""
    ends: list[Wish] = []
    came: list[tuple[Draw, Sample]] = []
    waiting: list[tuple[Draw, Seat]] = []
    while True:
        for wish in wishes:
            if isinstance(wish, Draw):
                waiting += [(wish, seat) for seat in wish.seats]
            elif not isinstance(wish, Finish):
                ends.append(wish)
            if isinstance(wish, Park | Finish):
                return ends, came
        if len(came) == stop:
            return ends, came
        draw, seat = waiting.pop(lot.randrange(len(waiting)))
        came.append((draw, sample(seat, say(draw.step, seat))))
        wishes = chain.receive(came[-1][1], place=(draw.step.index, draw.state))


def chain_of(task: type, rungs: tuple[Rung, ...], voter: Any, length: int = 1, window: int = 1) -> Chain:
    subject = Task(task(length), "spelling")
    return Chain(subject, panel(rungs, voter), next(subject.segments()), window=window)


def seats_of(came: Iterable[tuple[Draw, Sample]]) -> set[tuple[int, str, Seat]]:
    return {(draw.step.index, draw.state, each.seat) for draw, each in came}


VOTERS = [AheadByK(2), AheadByK(3), Majority(4), Escalating(3, 5)]
LADDERS: list[tuple[Rung, ...]] = [ALL, ("variant",), ("model",), ("variant", "model", "variant"), ("park",)]


def one_by_one(say: World, rungs: tuple[Rung, ...], voter: Any, cap: int = 40) -> tuple[Any, list[Seat]]:
    """(winner or `parked`, seats) of a step whose draws are made and looked at one after the other."""
    made, step = panel(rungs, voter), Step("s", 0, "")
    state = Task(Spelling(1), "spelling").digest(step)
    said: list[str] = []
    seats: list[Seat] = []
    while len(said) < cap:
        keys = [None if each == "?" else each for each in said]
        start, _ = made.ladder.bounds(len(said))
        climbed = made.ladder.climbed(keys[:start])
        if made.ladder.parks(climbed):
            return "parked", seats
        [seat] = made.seats(step, state, (len(said),), climbed)
        seats.append(seat)
        said.append(say(step, seat))
        winner, _ = one_at_a_time(voter, said, len(said))
        if winner is not None:
            return winner, seats
    return "parked", seats


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    voter=st.sampled_from(VOTERS),
    rungs=st.sampled_from(LADDERS),
    order=st.integers(),
)
def test_every_draw_has_the_seat_that_it_would_have_one_at_a_time(
    seed: int, voter: Any, rungs: tuple[Rung, ...], order: int
) -> None:
    say = World(seed)
    winner, seats = one_by_one(say, rungs, voter)
    chain = chain_of(Spelling, rungs, voter)
    [end], came = play(chain, say, Random(order), chain.start())
    assert {each.seat for _, each in came} == set(seats)
    if isinstance(end, Commit):
        assert end.decision.answer == winner
    else:
        assert isinstance(end, Park)
        assert winner == "parked"


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    voter=st.sampled_from(VOTERS),
    rungs=st.sampled_from(LADDERS),
    order=st.integers(),
    stop=st.integers(0, 12),
    task=st.sampled_from([Spelling, Cased]),
)
@example(seed=3, voter=AheadByK(3), rungs=ALL, order=0, stop=4, task=Cased)
def test_a_step_that_was_cut_off_anywhere_goes_on_with_the_same_seats(
    seed: int, voter: Any, rungs: tuple[Rung, ...], order: int, stop: int, task: type
) -> None:
    say = World(seed)
    whole = chain_of(task, rungs, voter)
    ends, came = play(whole, say, Random(0), whole.start())
    cut = chain_of(task, rungs, voter)
    some, before = play(cut, say, Random(order), cut.start(), stop)
    if some:
        return
    again = chain_of(task, rungs, voter)
    found = {0: {again.state: [each for _, each in before]}}
    others, after = play(again, say, Random(order + 1), again.resume(found))
    assert others == ends
    assert seats_of([*before, *after]) == seats_of(came)


def words_of(prompt: Prompt | None) -> str:
    return prompt.messages[0].content if prompt else "nothing"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), order=st.integers())
@example(seed=0, order=0)
def test_every_draw_is_asked_in_the_words_of_its_seat_and_they_are_told(seed: int, order: int) -> None:
    chain = chain_of(Spelling, ("variant", "variant", "park"), AheadByK(3))
    ends, came = play(chain, World(seed), Random(order), chain.start())
    for draw, each in came:
        number = each.seat.variant
        asked = f"what comes after ? ({number})" if number else "after "
        assert words_of(draw.prompt) == asked
    end = next(each for each in ends if isinstance(each, Commit | Park))
    used = {each.seat.variant for _, each in came} - {0}
    assert {number: words_of(prompt) for number, prompt in end.variants.items() if number in used} == {
        number: f"what comes after ? ({number})" for number in used
    }
    again = chain_of(Spelling, ("variant", "variant", "park"), AheadByK(3))
    [after, *_] = again.resume({0: {again.state: [each for _, each in came]}})
    assert isinstance(after, Commit | Park)
    assert used <= after.variants.keys(), "also where all of it was read back"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), order=st.integers(), window=st.integers(2, 5))
def test_a_window_changes_neither_decisions_nor_seats(seed: int, order: int, window: int) -> None:
    say, rungs = World(seed), ("variant", "model")
    one = chain_of(Spelling, rungs, AheadByK(2), 6)
    ends, came = play(one, say, Random(0), one.start())
    wide = chain_of(Spelling, rungs, AheadByK(2), 6, window)
    others, seen = play(wide, say, Random(order), wide.start())
    assert others == ends
    assert seats_of(came) <= seats_of(seen)


def test_a_step_at_the_end_of_its_ladder_says_so_and_stays_there() -> None:
    chain = chain_of(Spelling, ("park",), AheadByK(3))
    [park], came = play(chain, lambda step, seat: "ab?"[seat.draw], Random(1), chain.start())  # type: ignore[arg-type]
    assert isinstance(park, Park)
    assert park.parked.reason == "undecided after 3 samples, 1 of them red-flagged, at the end of the ladder"
    again = chain_of(Spelling, ("park",), AheadByK(3))
    assert again.resume({0: {again.state: [each for _, each in came]}}) == [park]


# -- runs ------------------------------------------------------------------------------------------


class Other(Simulated):
    """Under another name, as another model has."""

    def __init__(self, task: Truthful, error: float) -> None:
        super().__init__(task, error)
        self.name = "other"


HERE = f"{Path(__file__)}:Spelling"
MODELS = ["sim:error=0.3", f"{Path(__file__)}:Other:error=0.01"]


def run(folder: Path, **options: Any) -> RunResult:
    defaults: dict[str, Any] = {
        "model": MODELS,
        "k": 2,
        "escalate": "variant,model",
        "params": {"length": 12},
    }
    return api.run(HERE, run_dir=str(folder), engine="inline", workers=1, **{**defaults, **options})


def records_of(folder: Path) -> list[Record]:
    """Samples and events, of all its commands."""
    directory = RunDirectory(folder)
    lanes = (chapters.of(directory.lane(lane)) for lane in directory.lanes())
    return [each for lane in lanes for chapter in lane for each in chapter.records("sample", "event")]


def test_a_run_climbs_is_stopped_goes_on_and_replays(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(whole).status == "done"
    for calls in (5, 9, 17):
        assert run(cut, max_calls=calls).status == "budget"
    assert api.resume(cut, engine="inline", workers=1, max_calls="none").status == "done"
    assert [*in_order(RunDirectory(cut))] == [*in_order(RunDirectory(whole))]
    seats = [
        Counter((e["step"], e["draw"], e["model"], e["variant"]) for e in records_of(each) if "draw" in e)
        for each in (whole, cut)
    ]
    assert seats[0] == seats[1]
    assert {(model, variant) for _, _, model, variant in seats[0]} == {
        ("sim", 0),
        ("sim", 1),
        ("other", 1),
    }
    assert all(step.same for step in review.decided_again(whole))
    asked = [e for e in records_of(whole) if e.get("event") == "prompt"]
    assert any(e["variants"]["1"]["messages"][0]["content"].endswith("(1)") for e in asked if "variants" in e)


def test_another_ladder_makes_another_run_and_a_fork_has_it(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    assert run(old).status == "done"
    with pytest.raises(IncompatibleResumeError, match="--escalate variant"):
        run(old, escalate="variant")
    assert api.fork(old, ("s", 6), new, escalate="none") == 6
    assert RunDirectory(new).manifest().escalate == []
    assert api.resume(new, engine="inline", workers=1).status == "done"


@pytest.mark.parametrize(
    ("task", "options", "told"),
    [
        ("Mute", {}, "has no method `variant`"),
        ("Spelling", {"model": MODELS[:1]}, "the panel has 1"),
        ("Judged", {}, "has models compare answers"),
        ("Spelling", {"escalate": "up"}, "'up' is no rung"),
    ],
)
def test_a_rung_that_leads_nowhere_is_refused(
    task: str, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=told):
        api.run(
            f"{Path(__file__)}:{task}",
            **{"model": MODELS, "escalate": "variant,model", "engine": "inline", **options},
            run_dir=str(tmp_path / "r"),
        )


def test_the_command_line_shows_who_was_asked_in_which_words(tmp_path: Path, maker: Maker) -> None:
    folder = str(tmp_path / "r")
    options = ["-T", "length=12", "--model", MODELS[0], "--model", MODELS[1], "--k", "2", "--run-dir", folder]
    done = maker("run", HERE, *options, "--engine", "inline", "--escalate", "variant,model,park")
    assert "escalate  variant, then model, then park" in done.err
    contested = maker("steps", folder, "--contested", "--json").out.splitlines()
    step = json.loads(contested[0])
    shown = maker("show", folder, f"s:{step['index']}").out
    assert "variant 1" in shown
