"""An endpoint that takes so many requests at a time, and workers that ask it, in virtual time.

Throttles and limits are the real ones; only the network between them and the endpoint is made up.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from maker.control import Settings
from maker.limits import Limits
from maker.throttle import REFUSED, Throttles
from tests.simulation.world import Loop

MODEL = "m"
Meanwhile: TypeAlias = "Callable[[Overload], Coroutine[Any, Any, None]]"


@dataclass
class Endpoint:
    """Answers `capacity` requests at a time after `latency` seconds, and refuses what is more at once."""

    capacity: int
    latency: float
    retry_after: float = 0.0
    broken: bool = False
    """It answers 503 for now."""
    busy: int = 0
    log: list[tuple[float, str, int]] = field(default_factory=list)
    """(when, `answered` or what it refused with, requests under way) of each request as it came."""

    async def ask(self) -> str:
        outcome = "http-503" if self.broken else REFUSED if self.busy >= self.capacity else "answered"
        self.log.append((asyncio.get_running_loop().time(), outcome, self.busy))
        if outcome == "answered":
            self.busy += 1
            await asyncio.sleep(self.latency)
            self.busy -= 1
        return outcome

    def share_refused(self, begin: float, end: float) -> float:
        seen = Counter(outcome for when, outcome, _ in self.log if begin <= when < end)
        return seen[REFUSED] / max(seen.total(), 1)

    def use(self, begin: float, end: float) -> float:
        """Requests under way on average, by Little's law."""
        answered = sum(outcome == "answered" for when, outcome, _ in self.log if begin <= when < end)
        return answered * self.latency / (end - begin)


@dataclass
class Overload:
    """Some workers with as many requests each as they can get permits for, and their coordinator."""

    endpoint: Endpoint
    lanes: int
    demand: int
    """Requests that each worker would have under way."""
    random: Random
    delay: float = 0.002
    """Seconds of a message between coordinator and worker, and of a request's way, on average."""
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.limits = Limits(self.settings)
        self.sums: list[tuple[float, int, int]] = []
        """(when, limit, permits that all workers have) after each word."""
        self.asking = self.demand

    def run(self, seconds: float, meanwhile: Meanwhile | None = None) -> None:
        """Virtual seconds."""

        async def play() -> None:
            tasks = [asyncio.create_task(self._lane(f"{number:04}")) for number in range(self.lanes)]
            if meanwhile:
                tasks.append(asyncio.create_task(meanwhile(self)))
            await asyncio.sleep(seconds)
            for task in tasks:
                if task.done():
                    task.result()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(play())

    async def _lane(self, name: str) -> None:
        news = asyncio.Event()
        throttles, loop = Throttles(news.set), asyncio.get_running_loop()
        callers = [asyncio.create_task(self._caller(throttles, place)) for place in range(self.demand)]
        try:
            while True:
                leases = self.limits.grant(name, loop.time())
                self._audit(loop.time())
                await self._way()
                throttles.take(leases.models)
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), 1.0)
                news.clear()
                traffic = throttles.report()
                await self._way()
                self.limits.note(name, traffic, loop.time())
                self._audit(loop.time())
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    def _audit(self, now: float) -> None:
        for model in self.limits._models.values():
            lanes = model.lanes.keys() | model.told.keys()
            self.sums.append((now, model.controller.permits, sum(map(model.committed, lanes))))

    async def _caller(self, throttles: Throttles, place: int) -> None:
        again = False
        while True:
            while place >= self.asking:
                await asyncio.sleep(0.1)
            outcome = ""
            async with throttles.of(MODEL).permit(lambda slug: None, again) as permit:
                await self._way()
                outcome = await self.endpoint.ask()
                await self._way()
                if outcome != "answered":
                    permit.fault(outcome, self.endpoint.retry_after)
            again = outcome != "answered"
            if again:
                await asyncio.sleep(self.random.uniform(0.05, 0.1) + self.endpoint.retry_after)

    async def _way(self) -> None:
        await asyncio.sleep(self.random.expovariate(1 / self.delay))
