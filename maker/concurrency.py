"""How many requests at a time an endpoint takes, found by trying, as TCP CUBIC finds a network's capacity.

A refusal (429) cuts the limit, once for one overload. Then it comes back quickly to just below the level that
was refused, stays about there, and when that has held grows faster and faster: so a fixed capacity is rarely
overstepped, and one that has doubled is soon found. Trying costs refusals; how many is bounded by what was
answered since. A limit that is not used, or whose server fails, does not grow.

Nothing here acts, waits or has a clock. Invariant: 1 <= limit <= most; one overload is cut once, for what
refusals of an older round say has been acted upon already.
"""

from __future__ import annotations

import math

from maker.leases import Traffic

START = 20
MOST = 100
"""Unless a person says otherwise."""
CUT = 0.85
"""Of what is thought to have been served."""
DEEPEST = 0.5
"""What one cut leaves at least, before CUT."""
BELOW = 0.95
"""Of the level that was refused: about which it stays."""
RETURN = 8.0
"""Seconds from a cut back to that level."""
GROWTH = 1.1
"""A second, before anything was refused."""
SETTLE = 3.0
"""Seconds between two cuts."""
CALM = 5.0
"""Seconds without growth after a fault of the server."""
USED = 0.8
"""Of the limit: growth needs so much use."""
TOLL = 0.02
"""Refusals for each answer that trying to go higher may cost."""
WAITS = 12
"""A level that was refused with a Retry-After is tried again after so many times that."""
STRIDE = 2.0
"""The most seconds that one step grows by, so that a coordinator that was stopped does not leap."""


class Controller:
    """The limit of one model; `now` is in seconds of any one clock."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.round = 0
        """How often it has been cut."""
        self.until = -math.inf
        """When the endpoint takes requests again, as it said."""
        self._ceiling: float | None = None
        """About what was served when it was last refused more."""
        self._grown = 0.0
        """Seconds of growth since then."""
        self._fresh = False
        """Something that began in this round was refused."""
        self._unsettled = False
        """That was so soon after the cut."""
        self._debt = 0.0
        """Refusals that answers have not paid for."""
        self._wait = 0.0
        """The longest that came with this or the last round's refusals."""
        self._cut_at = self._fault_at = -math.inf
        self._stepped: float | None = None

    @property
    def permits(self) -> int:
        return int(self.limit)

    def note(self, now: float, traffic: Traffic) -> None:
        """What a worker reports."""
        owed = max(0.0, self._debt - TOLL * traffic.answered) + traffic.refused
        self._debt = min(owed, 4 + self.limit / 10)
        if traffic.faults:
            self._fault_at = now
        if traffic.round == self.round and traffic.fresh:
            self._fresh = True
        if traffic.wait:
            self.until = max(self.until, now + traffic.wait)
            self._wait = max(self._wait, traffic.wait)

    def step(self, now: float, used: float, taken: int) -> bool:
        """Go on to `now`; whether the limit was cut.

        used: requests under way in all lanes, on average; taken: what they hold to after refusals.
        """
        passed = 0.0 if self._stepped is None else min(now - self._stepped, STRIDE)
        self._stepped = now
        if self._fresh:
            return self._refused(now, taken)
        quiet = now >= self.until and now - self._fault_at >= CALM
        if quiet and self.limit < self.most and used >= USED * self.permits:
            self._grow(now, passed)
        return False

    def allow(self, most: int) -> None:
        """A person's word."""
        self.most = most
        self.limit = min(self.limit, float(most))

    def _refused(self, now: float, taken: int) -> bool:
        """Soon after a cut, workers that know of it are refused because of those that do not yet: that is
        forgiven, unless it is much."""
        if now - self._cut_at < SETTLE:
            self._unsettled = True
            return False
        unsettled, self._unsettled = self._unsettled, False
        if unsettled and taken >= BELOW * self.limit - 1:
            self.round += 1
            self._fresh = False
            return False
        self._cut(now, taken)
        return True

    def _cut(self, now: float, taken: int) -> None:
        served = min(max(taken, DEEPEST * self.limit), BELOW * self.limit)
        ceiling = self._ceiling = max(served, 1.0)
        self.limit = max(CUT * ceiling, 1.0)
        self.round += 1
        self._fresh, self._unsettled = False, False
        self._grown, self._cut_at = 0.0, now

    def _grow(self, now: float, passed: float) -> None:
        if (ceiling := self._ceiling) is None:
            self.limit = min(self.limit * math.pow(GROWTH, passed), self.most)
            return
        self._grown += passed
        if self._debt or now - self._cut_at < WAITS * self._wait:
            self._grown = min(self._grown, RETURN)
        else:
            self._wait = 0.0
        beyond = (self._grown - RETURN) / RETURN
        self.limit = min(max(ceiling * (1 + (1 - CUT) * beyond**3), 1.0), self.most)
