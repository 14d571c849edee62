"""Who votes at a step and how: models in turn, the voter, the red flags, the cap, the seed.

A panel is data and pure functions. Invariant: a draw's seat depends on the run's seed, the step, its
state and the draw index alone and, where there is a ladder, on what the rounds before it came to; so a seat
is the same at every worker count and after every crash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from maker.ballot import Ballot
from maker.flags import Rule
from maker.guard import guarded
from maker.ladder import NO_LADDER, Ladder
from maker.nouns import Sample, Seat, Step
from maker.voter import Decided, Voter, Want


@dataclass(frozen=True, slots=True)
class Member:
    """A model's place in the panel."""

    name: str
    temperatures: tuple[float | None, float | None]
    """For draw 0 of a step, and for its later draws."""


@dataclass(frozen=True, slots=True)
class Panel:
    voter: Voter
    members: tuple[Member, ...]
    """Drawn in turn: draw d is given to member d modulo their number; one after the other where the ladder
    names models."""
    flags: Rule
    max_samples: int = 100
    """The most draws at one step, flagged ones included; undecided then, the step is parked."""
    seed: int = 0
    judges: tuple[Member, ...] = ()
    """Who votes on whether two answers are the same, drawn in turn; none: the members do."""
    ladder: Ladder = NO_LADDER
    """What changes where a step is in trouble."""

    @property
    def of_judges(self) -> Panel:
        """The panel of a comparison: all but who is drawn is the same."""
        return replace(self, members=self.judges or self.members, ladder=NO_LADDER)

    def decide(self, step: Step, ballot: Ballot) -> Decided | Want:
        """The voter's verdict; PluginError if it raises."""
        return guarded("the voter", step, self.voter.decide, ballot)

    def flag(self, step: Step, sample: Sample) -> str | None:
        """Why a rule discards a sample, if one does; PluginError if it raises."""
        return guarded("a red-flag rule", step, self.flags, sample)

    def seats(self, step: Step, state: str, draws: tuple[int, ...], climbed: int = 0) -> list[Seat]:
        """The seats of these draws, so many rungs up; `state` is the digest of the step's state."""
        stem = hashlib.blake2b(f"{self.seed}/{step.segment}/{step.index}/{state}/".encode(), digest_size=4)
        chosen, variant = self.ladder.member(climbed), self.ladder.variant(climbed)
        return [self._seat(stem.copy(), draw, chosen, variant) for draw in draws]

    def _seat(self, stem: hashlib.blake2b, draw: int, chosen: int | None, variant: int) -> Seat:
        stem.update(b"%d" % draw)
        member = self.members[draw % len(self.members) if chosen is None else chosen]
        seed = int.from_bytes(stem.digest()) >> 1
        return Seat(draw, member.name, member.temperatures[draw > 0], seed, variant)
