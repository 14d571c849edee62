"""Caps on what a run spends in calls, tokens and money, which hold whatever the number of its workers.

A draw begins only when the most that it may spend fits below the limit of its lane: that is the worker's
`Allowance`. The limits come from the coordinator's `Budget`, a slice ahead of what is spent. A limit is an
absolute figure, what the lane may have spent since the run began: a lease is given by raising it and given
back by lowering it. A higher one counts when it is told, a lower one when the worker's report says so, and
never less than what is spent and under way. The limit of a worker that died counts until its lane has been
read again.

Nothing here acts or waits. Invariant: the limits of all lanes together never exceed the cap, or what had
been spent before; calls never exceed them, tokens and money only by what samples exceed their bounds.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from maker import prices
from maker.nouns import Prompt
from maker.prices import UNIT, Prices
from maker.totals import Totals

FRAME = 16
"""Tokens that a chat template may put around one message."""


@dataclass(frozen=True, slots=True)
class Spend:
    calls: int = 0
    """Samples drawn: seats filled, and replies to a seat that came second."""
    tokens: int = 0
    """Of prompts and responses."""
    cost: int = 0
    """In units of cost (`prices.UNIT`)."""

    def __add__(self, other: Spend) -> Spend:
        return self._by(operator.add, other)

    def __sub__(self, other: Spend) -> Spend:
        return self._by(operator.sub, other)

    def most(self, other: Spend) -> Spend:
        return self._by(max, other)

    def within(self, other: Spend) -> bool:
        return self.calls <= other.calls and self.tokens <= other.tokens and self.cost <= other.cost

    def times(self, count: int) -> Spend:
        return Spend(self.calls * count, self.tokens * count, self.cost * count)

    def part(self, count: int) -> Spend:
        return Spend(self.calls // count, self.tokens // count, self.cost // count)

    def _by(self, combine: Callable[[int, int], int], other: Spend) -> Spend:
        return Spend(
            combine(self.calls, other.calls),
            combine(self.tokens, other.tokens),
            combine(self.cost, other.cost),
        )


ZERO = Spend()
NO_CAP = 1 << 100
"""Nothing reaches it: one rule for what is capped and what is not."""
ENDLESS = Spend(NO_CAP, NO_CAP, NO_CAP)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the run may spend and what tokens cost, as one command says."""

    cap: Spend = ENDLESS
    prices: Prices = field(default_factory=dict)

    @property
    def capped(self) -> bool:
        return self.cap != ENDLESS

    def spent(self, totals: Totals) -> Spend:
        cost = prices.cost(self.prices, totals) if self.prices else 0
        return Spend(totals.samples + totals.hedged, totals.tokens_in + totals.tokens_out, cost)

    def bound(self, prompt: Prompt, model: str, longest: int) -> Spend:
        """The most that one sample may spend: a token is at least one byte of the prompt's text.

        `longest` is what stands for the response's cap where the prompt has none.
        """
        asked = sum(FRAME + len(each.content.encode("utf-8", "surrogatepass")) for each in prompt.messages)
        said = longest if prompt.max_tokens is None else prompt.max_tokens
        cost = self.prices[model].of(asked, said) if self.prices else 0
        return Spend(1, asked + said, cost)


@dataclass(frozen=True, slots=True)
class Account:
    """How a lane stands, as its worker reports it."""

    spent: Spend = ZERO
    """Since the run began."""
    limit: Spend = ZERO
    """What it may have spent."""
    held: Spend = ZERO
    """The most that its draws under way may spend."""
    need: Spend | None = None
    """The same of the first draw that waits, if one does."""

    @property
    def committed(self) -> Spend:
        return self.limit.most(self.spent + self.held)

    @property
    def starving(self) -> bool:
        """A draw waits, and nothing is under way that could make room for it."""
        return self.need is not None and not self.held.calls


Seating: TypeAlias = tuple[str, int, str, int]
"""(segment, index of a step, digest of the state that is asked about, draw, or ~draw for its copy)"""


@dataclass(frozen=True, slots=True)
class _Waiting:
    places: Sequence[Seating]
    each: Spend
    go: Callable[[], None]

    @property
    def need(self) -> Spend:
        return self.each.times(len(self.places))


class Allowance:
    """What the draws of one lane may spend; they go in the order in which they ask, whole or not at all."""

    def __init__(self, terms: Terms, totals: Totals, on_short: Callable[[], None]) -> None:
        """totals: of the lane, kept up to date by who writes samples down. on_short: it is time to report."""
        self._terms, self._totals, self._on_short = terms, totals, on_short
        self._limit = terms.spent(totals)
        self._held: dict[Seating, Spend] = {}
        self._sum = ZERO
        self._longest = -(-totals.tokens_out // max(totals.samples, 1))
        self._waiting: deque[_Waiting] = deque()

    def ask(self, places: Sequence[Seating], prompt: Prompt, model: str, go: Callable[[], None]) -> None:
        """Call `go` as soon as all these draws of a step fit, which may be at once."""
        each = self._terms.bound(prompt, model, self._longest)
        self._waiting.append(_Waiting(places, each, go))
        self._serve()
        if self._waiting:
            self._on_short()

    def take(self, places: Sequence[Seating], prompt: Prompt, model: str) -> bool:
        """Whether these draws fit at once, and nobody waits; then they are under way."""
        first = _Waiting(places, self._terms.bound(prompt, model, self._longest), lambda: None)
        fits = not self._waiting and self._fits(first)
        if fits:
            self._begin(first)
        return fits

    def settle(self, place: Seating, tokens_out: int) -> None:
        """A sample is in the totals: what it really took counts, not its bound."""
        self._longest = max(self._longest, tokens_out)
        self._release(place)

    def withdraw(self, segment: str) -> None:
        """Draws of the segment that wait do so no more."""
        self._waiting = deque(each for each in self._waiting if each.places[0][0] != segment)
        self._serve()

    def drop(self, segment: str) -> None:
        """Nothing of the segment is under way any more, whether it came in or not."""
        for place in [place for place in self._held if place[0] == segment]:
            self._release(place)

    def limit_to(self, limit: Spend) -> None:
        """Take a new limit; what is under way stays so, were it more."""
        self._limit = limit
        self._serve()

    def account(self) -> Account:
        """For a report; with nothing under way, what is left of the lease is given back."""
        spent = self._terms.spent(self._totals)
        if not self._held:
            self._limit = spent
        need = self._waiting[0].need if self._waiting else None
        return Account(spent, self._limit, self._sum, need)

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0]):
            self._begin(self._waiting.popleft())

    def _fits(self, draws: _Waiting) -> bool:
        return (self._terms.spent(self._totals) + self._sum + draws.need).within(self._limit)

    def _begin(self, draws: _Waiting) -> None:
        for place in draws.places:
            self._hold(place, draws.each)
        draws.go()

    def _hold(self, place: Seating, bound: Spend) -> None:
        self._sum += bound - self._held.get(place, ZERO)
        self._held[place] = bound

    def _release(self, place: Seating) -> None:
        self._sum -= self._held.pop(place, ZERO)
        self._serve()
        if self._waiting and not self._held:
            self._on_short()


class Budget:
    """Leases what a run may still spend to its lanes; `lanes` is what those that exist have spent."""

    def __init__(self, cap: Spend, workers: int, lanes: Mapping[str, Spend]) -> None:
        self._cap, self._workers = cap, workers
        self._accounts = {lane: Account(spent, spent) for lane, spent in lanes.items()}

    def note(self, lane: str, account: Account) -> None:
        """What the worker of a lane reports; its first report is of what it has read."""
        self._accounts[lane] = account

    def grant(self, lane: str) -> Spend:
        """What the limit of a lane should be from now on; until the next report the higher one counts.

        It is a slice ahead: a part of what the lane could have, so that the slices shrink towards the end
        of the budget and no lane sits on what others could draw, but enough for the draw that waits.
        """
        account = self._account(lane)
        if not self._fits(account):
            return account.limit
        taken = account.spent + account.held
        most = account.committed + self._free()
        ahead = (most - taken).part(2 * self._workers).most(account.need or ZERO)
        self._accounts[lane] = replace(account, limit=account.limit.most(taken + ahead))
        return taken + ahead

    def starves(self, lane: str) -> bool:
        """Nothing goes on in this lane, and nothing that it needs is left to lease."""
        account = self._account(lane)
        return account.starving and not self._fits(account)

    def reason(self, lane: str) -> str:
        """What this lane starves of, for people."""
        spent, need = self._committed(), self._account(lane).need or ZERO
        short = [
            (name, getattr(spent, name), getattr(self._cap, name), getattr(need, name))
            for name in ("calls", "tokens", "cost")
            if getattr(spent + need, name) > getattr(self._cap, name)
        ]
        options = " and ".join(f"--max-{name}" for name, *_ in short)
        said = "; ".join(_said(*each) for each in short)
        return f"{said}; give a larger {options} and run the same command again"

    def _account(self, lane: str) -> Account:
        return self._accounts.setdefault(lane, Account())

    def _fits(self, account: Account) -> bool:
        need = account.spent + account.held + (account.need or ZERO)
        return need.within(account.committed + self._free())

    def _free(self) -> Spend:
        return (self._cap - self._committed()).most(ZERO)

    def _committed(self) -> Spend:
        return sum((account.committed for account in self._accounts.values()), ZERO)


def _said(name: str, spent: int, cap: int, need: int) -> str:
    shown = f"{name}: {_figure(name, spent)} of {_figure(name, cap)} spent"
    return shown if spent >= cap else f"{shown}, the next draw needs up to {_figure(name, need)}"


def _figure(name: str, value: int) -> str:
    return f"{value / UNIT:,.6f}".rstrip("0").rstrip(".") if name == "cost" else f"{value:,}"
