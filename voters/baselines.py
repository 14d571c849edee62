"""The rules the paper compares with: first to k votes, and the majority of a fixed number."""

from __future__ import annotations

from maker.ballot import Ballot
from maker.errors import UsageError
from maker.voter import Decided, Want


class FirstToK:
    """Decided when an answer has k votes, however many the others have; k >= 1."""

    def __init__(self, k: int = 3) -> None:
        if k < 1:
            raise UsageError(f"first_to_k: k={k}, expected 1 or more")
        self.k = k

    def decide(self, ballot: Ballot) -> Decided | Want:
        leader, top, _ = ballot.leaders()
        if leader is not None and top >= self.k:
            return Decided(leader)
        return Want(self.k - top)


class Majority:
    """Decided by the most votes of n, all drawn; a tie for the lead draws one more until it is broken."""

    def __init__(self, n: int = 5) -> None:
        if n < 1:
            raise UsageError(f"majority: n={n}, expected 1 or more")
        self.n = n

    def decide(self, ballot: Ballot) -> Decided | Want:
        leader, top, second = ballot.leaders()
        if ballot.total < self.n:
            return Want(self.n - ballot.total)
        return Decided(leader) if leader is not None and top > second else Want(1)
