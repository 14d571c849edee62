"""A unanimous start decides soon, a contested step late: few votes where all agree, many where one dissents.

Steps are not equally hard. A lead that is large enough for the hard ones is paid at every step; here the
first dissent tells them apart.
"""

from __future__ import annotations

from maker.ballot import Ballot
from maker.errors import UsageError
from maker.voter import Decided, Want


class Escalating:
    """Decided by the first r votes if all agree, else by a lead of `lead` votes; 1 <= r <= lead."""

    def __init__(self, r: int = 8, lead: int = 18) -> None:
        if not 1 <= r <= lead:
            raise UsageError(f"escalating: r={r}, lead={lead}; expected 1 or more, and no lead below r")
        self.r, self.lead = r, lead

    def decide(self, ballot: Ballot) -> Decided | Want:
        leader, top, second = ballot.leaders()
        needed = self.lead if second else self.r
        if leader is not None and top - second >= needed:
            return Decided(leader)
        return Want(needed - (top - second))
