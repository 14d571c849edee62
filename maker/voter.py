"""The seam of a voter: from a ballot to a decision, or to how many more votes it takes at least.

Any class with `decide` is a voter; built-ins live in `voters/`. The contract that makes parallel
draws equal to one-at-a-time voting: after `Want(n)`, no n - 1 further votes can decide the ballot,
and `decide` looks at counts only, not at arrival order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from maker.ballot import Ballot


@dataclass(frozen=True, slots=True)
class Decided:
    key: str
    """The winner's canonical key."""


@dataclass(frozen=True, slots=True)
class Want:
    votes: int
    """The deficit: the least number of further votes that could decide, at least 1."""


class Voter(Protocol):
    # A voter that looks at more than counts has a member more, `reads`: "samples" (`ballot.cast`: who voted,
    # how sure the model was) or "scores" (`ballot.score`: what the task says that an answer is worth).

    def decide(self, ballot: Ballot) -> Decided | Want: ...
