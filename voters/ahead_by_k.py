"""First to be ahead by k: the paper's rule (MAKER, Algorithm 2), Wald's test for a two-way race."""

from __future__ import annotations

from maker.ballot import Ballot
from maker.errors import UsageError
from maker.voter import Decided, Want


class AheadByK:
    """Decided when the leader has k votes more than any other answer; k >= 1."""

    def __init__(self, k: int = 3) -> None:
        if k < 1:
            raise UsageError(f"ahead_by_k: k={k}, expected 1 or more")
        self.k = k

    def decide(self, ballot: Ballot) -> Decided | Want:
        leader, top, second = ballot.leaders()
        if leader is not None and top - second >= self.k:
            return Decided(leader)
        return Want(self.k - (top - second))
