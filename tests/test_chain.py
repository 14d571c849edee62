"""The chain is the paper's algorithm, survives any crash of what drives it, and parks what it cannot do."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.chain import Chain, Commit, Finish, Park, Wish
from maker.errors import IncompatibleResumeError
from maker.nouns import Decision, Json, Message, Prompt, Sample, Seat, Segment, Step
from maker.task import Task
from maker.voters import AheadByK
from maker.voting import Draw
from tests.support import Spell, draws, drive, of_head, panel, sample, task

SEGMENT = Segment("s0", [])


def speaker(seed: int, error: float = 0.3, flags: float = 0.1):
    """A model whose answer is a function of step, state and seat."""

    def say(step: Step, seat: Seat) -> str:
        lot = Random(f"{seed}/{step.index}/{step.state}/{seat.draw}")
        return "?" if lot.random() < flags else lot.choice("bcd") if lot.random() < error else "a"

    return say


def plain_maker(say, length: int, k: int, cap: int) -> tuple[list[str], bool]:
    """The paper's Algorithms 1-3 written down plainly: one vote at a time; (answers, finished)."""
    state: list[str] = []
    answers: list[str] = []
    for index in range(length):
        votes: dict[str, int] = {}
        for draw in range(cap):
            text = say(Step("s0", index, state), Seat(draw, "m", None, 0))
            if text == "?":
                continue
            votes[text] = votes.get(text, 0) + 1
            rest = max((n for other, n in votes.items() if other != text), default=0)
            if votes[text] >= k + rest:
                break
        else:
            return answers, False
        answers.append(text)
        state = [*state[-2:], text]
    return answers, True


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), k=st.integers(1, 4), cap=st.integers(1, 25))
def test_a_chain_decides_what_the_papers_algorithms_decide(seed: int, k: int, cap: int) -> None:
    *committed, end = drive(Chain(task(6), panel(AheadByK(k), cap), SEGMENT), speaker(seed))
    answers, finished = plain_maker(speaker(seed), 6, k, cap)
    assert [c.decision.answer for c in committed if isinstance(c, Commit)] == answers
    assert isinstance(end, Finish if finished else Park)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), crashes=st.lists(st.integers(1, 25), max_size=5))
def test_a_chain_rebuilt_from_its_records_goes_on_as_if_nothing_had_happened(
    seed: int, crashes: list[int]
) -> None:
    straight = drive(Chain(task(6), panel(AheadByK(2), 12), SEGMENT), speaker(seed))
    decided: list[Decision] = []
    open_samples: list[Sample] = []
    paid = 0
    for budget in [*crashes, 10**6]:
        ended, drawn = go_on(decided, open_samples, speaker(seed), budget, Random(seed))
        paid += drawn
        if ended:
            break
    assert [Commit(d) for d in decided] + [ended] == straight
    samples = sum(used(wish) for wish in straight)
    assert paid == samples, "a draw was paid for twice"


def used(wish: Wish) -> int:
    tally = (
        wish.decision.tally
        if isinstance(wish, Commit)
        else wish.parked.tally
        if isinstance(wish, Park)
        else None
    )
    return sum(len(group.draws) for group in (*tally.votes, *tally.flags)) if tally else 0


def go_on(
    decided: list[Decision], samples: list[Sample], say, budget: int, order: Random
) -> tuple[Wish | None, int]:
    """Rebuild a chain from what is written, draw `budget` samples, crash; the end, if it came, and draws.

    Before a sample is acted on, it is written; a crash may fall between the two.
    """
    chain = Chain(task(6), panel(AheadByK(2), 12), SEGMENT)
    for decision in decided:
        chain.restore(decision)
    wishes, waiting, drawn = chain.resume(of_head(chain, samples)), [], 0
    while True:
        for wish in wishes:
            match wish:
                case Draw():
                    waiting += [(wish.step, seat) for seat in wish.seats]
                case Commit(decision):
                    decided.append(decision)
                    samples.clear()
                case Park() | Finish():
                    return wish, drawn
        step, seat = waiting.pop(order.randrange(len(waiting)))
        samples.append(sample(seat, say(step, seat)))
        drawn += 1
        if drawn == budget:
            return None, drawn
        wishes = chain.receive(samples[-1])


def test_a_larger_cap_takes_a_parked_step_on_from_its_samples() -> None:
    said = "abababaaa"
    samples = [sample(draw, said[draw]) for draw in range(6)]
    chain = Chain(task(), panel(AheadByK(3), 6), SEGMENT)
    parked = chain.resume(of_head(chain, samples))
    assert isinstance(parked[-1], Park)
    chain = Chain(task(), panel(AheadByK(3), 20), SEGMENT)
    assert [seat.draw for seat in draws(chain.resume(of_head(chain, samples)))] == [6, 7, 8]


def test_a_recorded_decision_from_another_state_is_refused() -> None:
    *committed, _ = drive(Chain(task(3), panel(), SEGMENT), lambda step, seat: "a")
    other = Chain(task(3), panel(), Segment("s0", ["x"]))
    with pytest.raises(IncompatibleResumeError, match="step s0:0 was decided from state"):
        other.restore(committed[0].decision)


def test_an_answer_that_breaks_the_parser_parks_the_step_and_names_the_line() -> None:
    [end] = drive(Chain(task(2), panel(), SEGMENT), lambda step, seat: "boom")
    assert isinstance(end, Park)
    assert "parse raised ValueError at step s0:0" in end.parked.reason
    assert "support.py:" in end.parked.reason
    assert "\x1b" not in end.parked.reason


def test_an_answer_that_cannot_be_advanced_parks_its_step_uncommitted_with_its_votes() -> None:
    said = ["a", "crash"]
    committed, end = drive(Chain(task(3), panel(), SEGMENT), lambda step, seat: said[step.index])
    assert isinstance(committed, Commit)
    assert isinstance(end, Park)
    assert (end.parked.index, end.parked.tally.votes[0].draws) == (1, (0, 1, 2))


def test_a_panel_of_models_is_drawn_in_turn() -> None:
    chain = Chain(task(), panel(AheadByK(5), members=("m", "n")), SEGMENT)
    wishes = chain.start()
    assert [(w.model, [s.draw for s in w.seats]) for w in wishes if isinstance(w, Draw)] == [
        ("m", [0, 2, 4]),
        ("n", [1, 3]),
    ]


def test_seats_depend_on_seed_step_state_and_draw_alone() -> None:
    first, again = (draws(Chain(task(), panel(), SEGMENT).start()) for _ in range(2))
    other = draws(Chain(task(), panel(), Segment("s0", ["x"])).start())
    assert first == again
    assert {seat.seed for seat in first}.isdisjoint(seat.seed for seat in other)
    assert len({seat.seed for seat in first}) == 3
    assert [seat.temperature for seat in first] == [0.0, 0.1, 0.1]


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt((Message("user", 7),)),  # type: ignore[arg-type]
        Prompt("?"),  # type: ignore[arg-type]
        Prompt((), max_tokens="many"),  # type: ignore[arg-type]
        Prompt((), stop=(b"x",)),  # type: ignore[arg-type]
    ],
)
def test_a_prompt_that_the_journal_could_not_hold_parks_its_step(prompt: Prompt) -> None:
    class Odd(Spell):
        def prompt(self, step: Step) -> Prompt | None:
            return prompt

    [end] = Chain(Task(Odd(1), "odd"), panel(), SEGMENT).start()
    assert isinstance(end, Park)
    begins = Odd.prompt.__code__.co_firstlineno
    assert end.parked.reason == (
        f"prompt at step s0:0, state [] ({__file__}:{begins}) returned a Prompt, "
        "expected one of Messages, texts and a whole number of tokens"
    )


def test_equal_texts_of_a_step_are_parsed_once() -> None:
    subject, calls = task(), []
    chain = Chain(subject, panel(), SEGMENT)
    read = subject.read
    subject.read = lambda step, text: calls.append(text) or read(step, text)
    drive(chain, lambda step, seat: "a")
    assert calls == ["a"]


def test_equal_texts_of_different_steps_are_parsed_anew() -> None:
    class Numbered(Spell):
        def parse(self, step: Step, text: str) -> Json:
            return f"{text}{step.index}"

    *committed, end = drive(Chain(Task(Numbered(3), "n"), panel(), SEGMENT), lambda step, seat: "a")
    assert [c.decision.answer for c in committed if isinstance(c, Commit)] == ["a0", "a1", "a2"]
    assert isinstance(end, Finish)
