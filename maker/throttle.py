"""How many requests to one model a worker has under way: permits, leased to it, taken around each request.

A lease says how many (`leases.py`); who gives it is `limits.py`. What the endpoint says counts here at once:
each refusal takes one permit away until the next cut is told, and nothing begins before a Retry-After is up.
Time is the event loop's. Invariant: no more requests begin than the lease allows; those under way when it
shrinks may end.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from maker.leases import Lease, Traffic

REFUSED = "http-429"
"""The fault that says: too many requests. Any other is the server's or the network's, no reason to cut."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 8.0
"""Seconds after a refusal of the only permit that is left: doubled with each one, shortened by up to half."""
LONGEST_WAIT = 600.0
"""Seconds: whatever an endpoint asks for."""


class NoSpareError(Exception):
    """A request that may not wait for a permit found none."""


class Permit:
    """Leave for one request: a context around it, which is told what became of it unless it was answered."""

    __slots__ = ("_again", "_began", "_on_fault", "_round", "_spare", "_spoiled", "_throttle")

    def __init__(self, throttle: Throttle, on_fault: Callable[[str], None], again: bool, spare: bool) -> None:
        self._throttle, self._on_fault, self._again, self._spare = throttle, on_fault, again, spare
        self._round, self._began, self._spoiled = 0, 0.0, False

    async def __aenter__(self) -> Self:
        if self._spare and not self._throttle.spare:
            raise NoSpareError
        await self._throttle.enter(self._again)
        self._round, self._began = self._throttle.lease.round, _now()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._throttle.leave(answered=not self._spoiled and kind is None)

    def fault(self, slug: str, retry_after: float = 0.0) -> None:
        """A transport fault, counted as by `Request.on_fault`; retry_after: seconds that were asked for."""
        self._spoiled = True
        self._on_fault(slug)
        self._throttle.spoil(slug == REFUSED, self._round, self._began)
        self.hold_off(retry_after)

    def hold_off(self, seconds: float) -> None:
        """The endpoint has said that it takes nothing before so many seconds are over."""
        self._throttle.hold_off(seconds)


class Throttle:
    """Permits for one model in one worker; on_news: it is time to report."""

    def __init__(self, permits: float = 0, on_news: Callable[[], None] = lambda: None) -> None:
        self.lease = Lease(permits)
        self.concerned = False
        """It was asked for a permit, or given a lease: its model makes requests."""
        self._on_news = on_news
        self._lost = 0
        """Permits that refusals have taken in this round."""
        self._in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._until = self._asked = -math.inf
        """When something may begin again, and what the endpoint has said of that since the last report."""
        self._timer: asyncio.TimerHandle | None = None
        self._in_a_row = 0
        """Refusals of the only permit since an answer."""
        self._begin_report(0.0)

    def permit(self, on_fault: Callable[[str], None], again: bool = False, spare: bool = False) -> Permit:
        """again: the request has been made before, and goes before others. spare: it does not wait for one:
        NoSpareError."""
        return Permit(self, on_fault, again, spare)

    @property
    def spare(self) -> bool:
        """A permit is free that nobody waits for; a model that takes none is not limited."""
        return not self.concerned or (self._free and not self._waiting)

    @property
    def share(self) -> float:
        return max(min(1, self.lease.permits), self.lease.permits - self._lost)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def take(self, lease: Lease) -> None:
        """A new lease; one of a new round gives back what refusals have taken."""
        self._concern()
        if lease.round != self.lease.round:
            self._lost = 0
        self.lease = lease
        self._not_before(_now() + lease.wait)
        self._serve()

    def report(self) -> Traffic:
        """With nothing to do, the lease is given back."""
        self._count()
        if not self._in_use and not self._waiting and math.isfinite(self.lease.permits):
            self.lease = replace(self.lease, permits=0)
        now = _now()
        traffic = Traffic(
            answered=self._answered,
            refused=self._refused,
            fresh=self._fresh,
            faults=self._faults,
            round=self.lease.round,
            used=max(0.0, self._busy) / max(now - self._reported, 1e-3),
            in_use=self._in_use,
            waiting=len(self._waiting),
            permits=int(min(self.lease.permits, 1 << 30)),
            share=int(min(self.share, 1 << 30)),
            wait=max(0.0, self._asked - now),
        )
        self._begin_report(now)
        return traffic

    def _concern(self) -> None:
        if not self.concerned:
            self.concerned = True
            self._begin_report(_now())

    def _begin_report(self, now: float) -> None:
        self._answered = self._refused = self._fresh = self._faults = 0
        self._busy, self._reported, self._counted, self._asked = 0.0, now, now, -math.inf

    # -- for permits ---------------------------------------------------------------------------------

    async def enter(self, again: bool) -> None:
        self._concern()
        if self._free and (again or not self._waiting):
            self._begin()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if again else self._waiting.append)(turn)
        self._serve()
        if not self.lease.permits:
            self._on_news()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave(answered=False)
            with suppress(ValueError):
                self._waiting.remove(turn)
            raise

    def leave(self, answered: bool) -> None:
        self._count()
        self._in_use -= 1
        if answered:
            self._answered, self._in_a_row = self._answered + 1, 0
        self._serve()

    def spoil(self, refused: bool, round: int, began: float) -> None:
        """A request that began in this round, at this time, has found no service."""
        if not refused:
            self._faults += 1
            return
        self._count()
        self._busy -= _now() - began
        self._refused += 1
        if self.share <= 1:
            pause = min(FIRST_PAUSE * 2.0 ** min(self._in_a_row, 20), LONGEST_PAUSE)
            self._not_before(_now() + pause * random.uniform(0.5, 1.0))
            self._in_a_row += 1
        if round == self.lease.round:
            self._lost += 1
            self._fresh += 1
            if self._lost == 1:
                self._on_news()

    def hold_off(self, seconds: float) -> None:
        if seconds > 0:
            self._asked = max(self._asked, _now() + min(seconds, LONGEST_WAIT))
            self._not_before(self._asked)

    @property
    def _free(self) -> bool:
        return self._in_use < self.share and _now() >= self._until

    def _begin(self) -> None:
        self._count()
        self._in_use += 1

    def _serve(self) -> None:
        while self._waiting and self._free:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._begin()
        if self._waiting and self._timer is None and (wait := self._until - _now()) > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._serve()

    def _not_before(self, when: float) -> None:
        self._until = max(self._until, when)

    def _count(self) -> None:
        now = _now()
        self._busy += self._in_use * (now - self._counted)
        self._counted = now


class Throttles:
    """Those of a worker, made when a model first asks for one or has a lease."""

    def __init__(self, on_news: Callable[[], None] = lambda: None) -> None:
        self._on_news = on_news
        self._made: dict[str, Throttle] = {}

    def of(self, model: str) -> Throttle:
        if model not in self._made:
            self._made[model] = Throttle(0, self._on_news)
        return self._made[model]

    @property
    def waiting(self) -> bool:
        return any(throttle.waiting for throttle in self._made.values())

    def take(self, leases: Mapping[str, Lease]) -> None:
        for model, lease in leases.items():
            self.of(model).take(lease)

    def report(self) -> dict[str, Traffic]:
        """Of models that make requests."""
        return {model: throttle.report() for model, throttle in self._made.items() if throttle.concerned}


def _now() -> float:
    return asyncio.get_running_loop().time()
