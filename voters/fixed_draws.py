"""A fixed number of samples at every step, whatever they say: for measuring a model."""

from __future__ import annotations

from maker.ballot import Ballot
from maker.errors import UsageError
from maker.voter import Decided, Want


class FixedDraws:
    """Decided when n samples are in, flagged ones too, by the most votes, of equals by the lowest draw.

    A step whose samples are all flagged stays undecided: the cap on its samples should be n as well.
    """

    def __init__(self, n: int = 3) -> None:
        if n < 1:
            raise UsageError(f"fixed_draws: n={n}, expected 1 or more")
        self.n = n

    def decide(self, ballot: Ballot) -> Decided | Want:
        missing = self.n - ballot.total - ballot.flagged
        standings = ballot.standings()
        return Decided(standings[0][1]) if missing < 1 and standings else Want(max(1, missing))
