"""Red flags compose, give the first reason, and each reason is counted."""

from __future__ import annotations

import pytest

from maker.chain import Chain, Commit
from maker.nouns import RedFlag, Sample, Seat
from maker.panel import Member, Panel
from maker.voters import AheadByK, Custom, Malformed, Refusal, TooLong, Truncated
from tests.support import drive, sample, task


def said(text: str, finish: str = "stop", tokens: int = 1) -> Sample:
    return Sample(Seat(0, "m", None, 0), text, finish, 1, tokens, 0.0)


def test_each_rule_gives_its_reason_or_none() -> None:
    assert TooLong(5)(said("x", tokens=6)) == "too_long"
    assert TooLong(5)(said("x", tokens=5)) is None
    assert Truncated()(said("x", "length")) == "truncated"
    assert Malformed(r"move = \[")(said("none")) == "malformed"
    assert Malformed(r"move = \[")(said("move = [1]")) is None
    assert Custom(lambda s: "hedged" if "maybe" in s.text else None)(said("maybe")) == "hedged"


@pytest.mark.parametrize(
    "text", ["I'm sorry, but no", "Sorry.", "I cannot do that", "I can’t", "I am unable to"]
)
def test_a_refusal_is_known_by_how_it_begins(text: str) -> None:
    assert Refusal()(said(text)) == "refusal"


@pytest.mark.parametrize("finish", ["refusal", "content_filter"])
def test_a_refusal_is_known_by_its_finish_reason(finish: str) -> None:
    assert Refusal()(said("", finish)) == "refusal"


def test_the_word_sorry_in_the_middle_is_no_refusal() -> None:
    assert Refusal()(said("the word is: sorry")) is None


def test_composed_rules_give_the_first_reason() -> None:
    rule = TooLong(5) | Truncated() | Custom(lambda s: "never reached")
    assert rule(said("x", "length", 9)) == "too_long"
    assert rule(said("x", "length", 1)) == "truncated"
    assert rule(said("x")) == "never reached"


def test_a_custom_rule_may_raise_a_red_flag() -> None:
    def judge(sample: Sample) -> str | None:
        raise RedFlag("odd")

    assert (Custom(judge) | Truncated())(said("x")) == "odd"


def test_every_reason_is_counted_in_the_decision() -> None:
    def shout(sample: Sample) -> str | None:
        return "loud" if sample.text.isupper() else None

    texts = ["A", "?", "a", "B", "a", "a"]
    panel = Panel(AheadByK(3), (Member("m", (None, None)),), Truncated() | Custom(shout))
    chain = Chain(task(), panel, next(iter(task().segments())))
    committed, _ = drive(chain, lambda step, seat: texts[seat.draw])
    assert isinstance(committed, Commit)
    flags = {flags.reason: flags.draws for flags in committed.decision.tally.flags}
    assert flags == {"loud": (0, 3), "malformed": (1,)}


def test_a_sample_that_is_not_wanted_changes_nothing() -> None:
    chain = Chain(
        task(),
        Panel(AheadByK(3), (Member("m", (None, None)),), Truncated()),
        task().segments().__iter__().__next__(),
    )
    chain.start()
    assert chain.receive(sample(17, "a")) == []
    assert chain.path[0].ballot.total == 0
