"""Whatever the window, a chain decides the same from the same answers, draw for draw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.chain import Nowhere
from maker import Fork, Message, Prompt, Segment, Step
from maker.budget import ENDLESS, ZERO, Allowance, Terms
from maker.chain import Chain, Commit, Finish, Found, Park, Wait, Wish
from maker.drawing import Means
from maker.engine import Ended, Engine
from maker.errors import BlockedError, PluginError
from maker.model import Request
from maker.nouns import Json, Sample, Seat
from maker.task import Task
from maker.totals import Totals
from maker.voters import AheadByK, FirstToK, Majority
from maker.voting import Draw
from tests.support import Spell, panel, sample, task

SEGMENT = Segment("s0", [])
LENGTH = 7


@dataclass
class Speaker:
    """Its answer is a function of step, state and draw, as a model's with a seed is."""

    seed: int
    error: float
    flags: float

    def say(self, step: Step, seat: Seat) -> str:
        lot = Random(f"{self.seed}/{step.index}/{step.state}/{seat.draw}")
        if lot.random() < self.flags:
            return "?"
        return lot.choice(("b", "c", "crash")) if lot.random() < self.error else "a"


@dataclass
class Life:
    """A chain that dies and is rebuilt from what is written down, with another window each time."""

    speaker: Speaker
    lot: Random
    voter: object
    cap: int
    decided: list[Commit] = field(default_factory=list)
    samples: dict[tuple[int, str], list[Sample]] = field(default_factory=dict)
    paid: int = 0
    most: int = 0
    """Draws under way at a time."""

    def live(self, window: int, budget: int) -> Wish | None:
        """Until the end, which is returned, or until so many samples have come in."""
        chain = Chain(task(LENGTH), panel(self.voter, self.cap), SEGMENT, window=window)
        for commit in self.decided:
            chain.restore(commit.decision)
        wishes, waiting = chain.resume(self._found()), list[tuple[Draw, Seat]]()
        while True:
            for wish in wishes:
                match wish:
                    case Draw():
                        waiting += [(wish, seat) for seat in wish.seats]
                    case Commit():
                        self.decided.append(wish)
                    case _:
                        return wish
            self.most = max(self.most, len(waiting))
            if not budget:
                return None
            budget -= 1
            wishes = self._come(chain, *waiting.pop(self.lot.randrange(len(waiting))))
            if window > 1 and self.lot.random() < 0.05:
                chain.window = self.lot.choice((1, 2, 5, 40))

    def _come(self, chain: Chain, draw: Draw, seat: Seat) -> list[Wish]:
        place = (draw.step.index, draw.state)
        came = sample(seat, self.speaker.say(draw.step, seat))
        self.samples.setdefault(place, []).append(came)
        self.paid += 1
        return chain.receive(came, place=place)

    def _found(self) -> Found:
        found: dict[int, dict[str, list[Sample]]] = {}
        for (index, state), samples in self.samples.items():
            found.setdefault(index, {})[state] = samples
        return found


VOTERS = (AheadByK(1), AheadByK(2), AheadByK(3), FirstToK(2), Majority(3))


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    window=st.sampled_from((2, 3, 8, 64)),
    voter=st.sampled_from(VOTERS),
    cap=st.integers(1, 14),
    error=st.sampled_from((0.02, 0.2, 0.5)),
    flags=st.sampled_from((0.0, 0.2)),
    deaths=st.lists(st.integers(1, 25), max_size=4),
)
def test_every_window_decides_the_same_draw_for_draw_whatever_dies_and_in_whatever_order_answers_come(
    seed: int, window: int, voter: object, cap: int, error: float, flags: float, deaths: list[int]
) -> None:
    speaker, lot = Speaker(seed, error, flags), Random(seed)
    plain = Life(speaker, Random(0), voter, cap)
    end = plain.live(1, 10**6)
    life = Life(speaker, lot, voter, cap)
    for budget in deaths:
        if life.live(lot.choice((1, window)), budget):
            break
    assert life.live(window, 10**6) == end
    assert life.decided == plain.decided
    assert life.paid >= plain.paid


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), window=st.integers(2, 9), k=st.integers(1, 4))
def test_no_more_steps_are_under_way_than_the_window_has(seed: int, window: int, k: int) -> None:
    class Steady(Life):
        def _come(self, chain: Chain, draw: Draw, seat: Seat) -> list[Wish]:
            wishes = super()._come(chain, draw, seat)
            chain.window = window
            return wishes

    life = Steady(Speaker(seed, 0.4, 0.1), Random(seed), AheadByK(k), 50)
    assert life.live(window, 10**6) is not None
    assert life.most <= (window + 1) * (2 * k)


def test_the_next_step_begins_when_the_first_answer_has_come() -> None:
    chain = Chain(task(9), panel(AheadByK(3)), SEGMENT, window=4)
    [first] = chain.start()
    assert isinstance(first, Draw)
    begun = [first.step.index]
    wishes = chain.receive(sample(0, "a"), place=(0, first.state))
    while wishes:
        [draw] = wishes
        assert isinstance(draw, Draw)
        begun.append(draw.step.index)
        wishes = chain.receive(sample(0, "a"), place=(draw.step.index, draw.state))
    assert begun == [0, 1, 2, 3], "and no further than the window"


def test_an_answer_that_is_overtaken_takes_what_was_built_on_it_along_and_may_come_back() -> None:
    chain = Chain(task(9), panel(AheadByK(2)), SEGMENT, window=5)
    [head] = chain.start()
    [on_a] = chain.receive(sample(0, "a"), place=(0, head.state))
    chain.receive(sample(0, "x"), place=(1, on_a.state))
    assert len(chain.path) == 3
    [more] = chain.receive(sample(1, "b"), place=(0, head.state))
    assert len(chain.path) == 3, "a tie overtakes nobody"
    assert [seat.draw for seat in more.seats] == [2, 3]
    [on_b] = chain.receive(sample(2, "b"), place=(0, head.state))
    assert (on_b.step.state, len(chain.path)) == (["b"], 2)
    chain.receive(sample(3, "a"), place=(0, head.state))
    assert chain.path[1].step.state == ["b"], "nor does one that was there first"
    wishes = [chain.receive(sample(draw, "a"), place=(0, head.state)) for draw in (4, 5)]
    assert isinstance(wishes[-1][0], Commit)
    assert chain.path[0].ballot.votes('"x"') == 1, "its vote has not been lost"


def test_what_was_built_on_an_overtaken_answer_counts_against_the_window_until_it_is_in() -> None:
    chain = Chain(task(9), panel(AheadByK(2)), SEGMENT, window=2)
    [head] = chain.start()
    [on_a] = chain.receive(sample(0, "a"), place=(0, head.state))
    assert [chain.receive(sample(draw, "b"), place=(0, head.state)) for draw in (1, 2)][-1] == []
    assert chain.receive(sample(0, "a"), place=(1, on_a.state)) == []
    [on_b] = chain.receive(sample(1, "a"), place=(1, on_a.state))
    assert isinstance(on_b, Draw)
    assert on_b.step.state == ["b"]
    chain.receive(*(sample(draw, "b") for draw in range(1, 6)), place=(0, head.state))
    assert (chain.step.index, chain.surplus) == (1, 0)
    chain.receive(sample(9, "a"), place=(0, head.state))
    assert chain.surplus == 1, "it came too late"
    chain.receive(sample(0, "c"), sample(1, "c"), place=(1, on_b.state))
    assert (chain.step.index, chain.surplus) == (2, 3), "two more were of a guess"


def test_a_plugin_that_fails_on_a_guess_parks_nothing_until_the_guess_is_decided() -> None:
    chain = Chain(task(9), panel(AheadByK(2)), SEGMENT, window=3)
    [head] = chain.start()
    assert chain.receive(sample(0, "crash"), place=(0, head.state)) == []
    [more] = chain.receive(sample(1, "a"), place=(0, head.state))
    wishes = [chain.receive(sample(draw, "a"), place=(0, head.state)) for draw in (2, 3)]
    assert isinstance(more, Draw)
    assert any(isinstance(wish, Commit) for wish in wishes[-1])


def test_a_model_that_fails_on_a_guess_parks_the_step_when_its_turn_comes() -> None:
    chain = Chain(task(9), panel(AheadByK(2)), SEGMENT, window=3)
    [head] = chain.start()
    [ahead] = chain.receive(sample(0, "a"), place=(0, head.state))
    assert chain.fail("it broke", (1, ahead.state)) == []
    commit, park = chain.receive(sample(1, "a"), place=(0, head.state))
    assert isinstance(commit, Commit)
    assert isinstance(park, Park)
    assert (park.parked.index, park.parked.reason) == (1, "it broke")


class Count:
    """To four; what is wrong is below 0."""

    def segments(self) -> list[Segment]:
        return [Segment("s0", 0)]

    def prompt(self, step: Step) -> Prompt | None:
        return None if step.state in (4, -4) else Prompt((Message("user", f"after {step.state}"),))

    def parse(self, step: Step, text: str) -> int:
        return int(text)

    def advance(self, step: Step, answer: int) -> int:
        return answer

    def stitch(self, finals: Mapping[str, int]) -> int:
        return finals["s0"]


@dataclass
class Refusing:
    """At 1 its first `wrong` draws say -2, and what is below 0 it refuses."""

    wrong: int
    refusal: Exception
    name: str = "m"
    temperatures: tuple[None, None] = (None, None)
    refused: int = 0

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        if request.step.state < 0:
            self.refused += 1
            raise self.refusal
        for seat in request.seats:
            err = request.step.state == 1 and seat.draw < self.wrong
            yield sample(seat, "-2" if err else str(request.step.state + 1))
            await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        pass


def counted(model: Refusing, allowance: Allowance | None = None) -> tuple[Ended, Chain]:
    chain = Chain(Task(Count(), "count"), panel(AheadByK(2)), Segment("s0", 0), window=4)
    engine = Engine({"m": model}, Nowhere(), means=Means(allowance))
    return asyncio.run(engine.run(chain, chain.start())), chain


@pytest.mark.parametrize("refusal", [BlockedError("no such prompt"), ValueError("no such prompt")])
def test_what_a_model_refuses_on_a_guess_is_nothing_to_the_run_unless_it_comes_true(
    refusal: Exception,
) -> None:
    allowance = Allowance(Terms(), Totals(), lambda: None)
    allowance.limit_to(ENDLESS)
    model = Refusing(1, refusal)
    ended, _ = counted(model, allowance)
    assert ended == Finish("s0", 4, 4)
    assert model.refused == 1
    assert allowance.account().held == ZERO


def test_a_guess_that_comes_true_blocks_as_it_would_have_without_a_window() -> None:
    with pytest.raises(BlockedError, match="no such prompt"):
        counted(Refusing(99, BlockedError("no such prompt")))


class Cautious(Spell):
    speculate = False


class Folded(Spell):
    def same(self, step: Step, first: str, answer: str) -> bool:
        return first.lower() == answer.lower()


@pytest.mark.parametrize("decomposer", [Cautious(5), Folded(5)])
def test_some_tasks_begin_no_step_on_a_guess(decomposer: Spell) -> None:
    chain = Chain(Task(decomposer, "spell"), panel(AheadByK(2)), SEGMENT, window=9)
    [head] = chain.start()
    assert chain.receive(sample(0, "a"), place=(0, head.state)) == []


@pytest.mark.parametrize("said", ["no", None, 0])
def test_whether_a_task_speculates_is_true_or_false(said: object) -> None:
    with pytest.raises(PluginError, match=f"has speculate = {said!r}, expected True or False"):
        Task(type("Unsure", (Cautious,), {"speculate": said})(), "unsure")


class Tree(Spell):
    def advance(self, step: Step, answer: Json) -> Json:
        return Fork([1, 2], "later") if step.index == 1 else super().advance(step, answer)

    def join(self, step: Step, finals: list[Json]) -> Json:
        return finals


def test_no_step_begins_behind_a_fork_that_is_not_decided() -> None:
    chain = Chain(Task(Tree(5), "tree"), panel(AheadByK(2)), SEGMENT, window=9)
    [head] = chain.start()
    [ahead] = chain.receive(sample(0, "a"), place=(0, head.state))
    assert chain.receive(sample(0, "a"), place=(1, ahead.state)) == []
    assert chain.receive(sample(1, "a"), place=(1, ahead.state)) == [], "it is decided, but the head is not"
    *commits, wait = chain.receive(sample(1, "a"), place=(0, head.state))
    assert [wish.decision.index for wish in commits if isinstance(wish, Commit)] == [0, 1]
    assert isinstance(wait, Wait)
    [draw] = chain.join(["x", "y"])
    assert isinstance(draw, Draw)


def test_a_chain_ends_when_its_last_step_is_decided() -> None:
    chain = Chain(task(2), panel(AheadByK(1)), SEGMENT, window=9)
    [head] = chain.start()
    commit, draw = chain.receive(sample(0, "a"), place=(0, head.state))
    last = chain.receive(sample(0, "a"), place=(1, draw.state))
    assert isinstance(commit, Commit)
    assert isinstance(last[-1], Finish)
