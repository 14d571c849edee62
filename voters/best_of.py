"""The best of n answers by what the task says they are worth; votes only break ties.

For tasks that can say how good an answer is (`score(step, answer)`) where no two answers need be equal: a
route, a schedule, a program that passes more tests. It is as right as the score: a wrong answer that scores
best wins, however many votes the right one has.
"""

from __future__ import annotations

from maker.ballot import Ballot
from maker.errors import UsageError
from maker.voter import Decided, Want


class BestOf:
    """Decided when n valid answers are in, for the highest score; then most votes, then the lowest draw."""

    reads = "scores"

    def __init__(self, n: int = 4) -> None:
        if n < 1:
            raise UsageError(f"best_of: n={n}, expected 1 or more")
        self.n = n

    def decide(self, ballot: Ballot) -> Decided | Want:
        if ballot.total < self.n:
            return Want(self.n - ballot.total)
        return Decided(max((key for _, key in ballot.standings()), key=ballot.score))
