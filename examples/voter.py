"""A voter of one's own: a quorum of votes, and a share of them for the winner.

    maker run hanoi -T disks=5 --model sim:error=0.1 --voter examples/voter.py:Quorum:votes=4,percent=80

All wanted draws are launched at once, so `Want` must be the least number of further votes that can decide.
"""

from __future__ import annotations

from maker.ballot import Ballot
from maker.errors import UsageError
from maker.voter import Decided, Want


class Quorum:
    """votes: how many must be cast; percent: of them for the winner, 51 to 100."""

    def __init__(self, votes: int = 4, percent: int = 75) -> None:
        if votes < 1 or not 50 < percent <= 100:
            raise UsageError(f"Quorum: votes={votes}, percent={percent}; expected 1 or more, and 51 to 100")
        self.votes, self.percent = votes, percent

    def decide(self, ballot: Ballot) -> Decided | Want:
        leader, top, _ = ballot.leaders()
        if leader is None or ballot.total < self.votes:
            return Want(self.votes - ballot.total)
        # With n further votes for the leader, top + n is to be this percentage of total + n.
        short = self.percent * ballot.total - 100 * top
        if short <= 0:
            return Decided(leader)
        return Want(-(-short // (100 - self.percent)))
