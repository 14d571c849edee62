"""Workers die of one segment: that one is found and parked, the others go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from maker.suspects import MOST, GiveUp, GoOn, Suspects

LENGTH = 6
"""Steps of a segment."""


@dataclass
class Lane:
    """A lane whose workers die as soon as they come to a poisoned step."""

    heads: dict[str, int]
    """By segment, as written."""
    poison: dict[str, int]
    """Segment to the step that kills."""
    lot: Random
    suspects: Suspects = field(default_factory=Suspects)
    running: set[str] = field(default_factory=set)
    parked: dict[str, str] = field(default_factory=dict)
    deaths: int = 0

    def live(self, chance_of_other_deaths: float) -> bool:
        """One worker, until it dies or nothing is left; whether it lived."""
        self.running.clear()
        self.suspects.read("0", self.heads)
        while True:
            for order in self.suspects.orders("0"):
                match order:
                    case GoOn(segments):
                        self.running.update(segments)
                    case GiveUp(segment, reason):
                        assert segment not in self.running
                        self.parked[segment] = reason
            if not self.running:
                assert self.heads.keys() <= self.parked.keys()
                return True
            if not self._step(chance_of_other_deaths):
                self.deaths += 1
                self.suspects.lost("0", f"death {self.deaths}")
                return False
            self.suspects.reported("0", {n: s for n, s in self.heads.items() if n not in self.parked})

    def _step(self, chance: float) -> bool:
        """Some segments take a step; False when the worker dies of it."""
        for name in self.lot.sample(sorted(self.running), len(self.running)):
            if self.poison.get(name) == self.heads[name] or self.lot.random() < chance:
                return False
            if self.lot.random() < 0.5:
                self.heads[name] += 1
            if self.heads[name] == LENGTH:
                del self.heads[name]
                self.running.discard(name)
        return True


@settings(max_examples=300, deadline=None)
@given(
    segments=st.integers(1, 12),
    step=st.integers(0, LENGTH - 1),
    seed=st.integers(0, 2**32),
)
def test_the_one_segment_that_kills_is_parked_after_three_deaths_and_no_other(
    segments: int, step: int, seed: int
) -> None:
    lane = Lane({f"s{number}": 0 for number in range(segments)}, {"s0": step}, Random(seed))
    while not lane.live(0.0):
        assert lane.deaths <= MOST
    assert lane.deaths == MOST
    assert list(lane.parked) == ["s0"]
    assert lane.heads == {"s0": step}
    assert (
        lane.parked["s0"]
        == f"its worker died {MOST} times in a row before step {step} was decided: death {MOST}"
    )


@settings(max_examples=300, deadline=None)
@given(
    segments=st.integers(1, 12),
    poisoned=st.integers(0, 6),
    chance=st.sampled_from([0.0, 0.02]),
    seed=st.integers(0, 2**32),
)
def test_every_segment_ends_or_is_parked_whatever_kills(
    segments: int, poisoned: int, chance: float, seed: int
) -> None:
    lot = Random(seed)
    names = [f"s{number}" for number in range(segments)]
    poison = {name: lot.randrange(LENGTH) for name in names[:poisoned]}
    lane = Lane(dict.fromkeys(names, 0), poison, lot)
    while not lane.live(chance):
        assert lane.deaths < 2000
    assert lane.heads.keys() == lane.parked.keys()
    assert poison.keys() <= lane.parked.keys() or chance


def test_a_segment_that_was_given_up_is_not_run_again_by_the_next_worker() -> None:
    lane = Lane({"a": 0, "b": 0}, {"a": 0}, Random(1))
    while not lane.live(0.0):
        pass
    reason = lane.parked.pop("a")
    lane.suspects.lost("0", "the node died")
    assert lane.live(0.0)
    assert lane.parked == {"a": reason}


def test_deaths_at_other_steps_are_not_in_a_row() -> None:
    suspects = Suspects()
    for step in range(5):
        suspects.read("0", {"a": step})
        assert suspects.orders("0") == [GoOn(("a",))]
        suspects.lost("0", "the node died")


def test_a_worker_that_dies_before_it_has_read_its_lane_blames_nobody_more() -> None:
    suspects = Suspects()
    suspects.read("0", {"a": 0})
    suspects.orders("0")
    for _ in range(5):
        suspects.lost("0", "the node died")
    suspects.read("0", {"a": 0})
    assert suspects.orders("0") == [GoOn(("a",))]
    assert not suspects.probing("0")
