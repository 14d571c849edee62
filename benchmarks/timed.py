"""The simulated model by a finer clock, and with a stop watch: a sample's latency is what it took.

A plug-in of `benchmarks/latency.py`. Event loops count in whole milliseconds and wake a sleeper 0.7 ms late,
which an answer from a network is not: so the last of them are not slept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from maker.model import Request
from maker.nouns import Sample
from maker.options import Seconds
from maker.workers.simulated import Simulated, Truthful

AWAKE = 0.0015
"""Seconds before an answer in which nobody sleeps."""


class Timed(Simulated):
    """error, latency, sigma: as of `sim`."""

    def __init__(self, task: Truthful, error: float, latency: Seconds, sigma: float) -> None:
        super().__init__(task, error=error, latency=latency, sigma=sigma)

    async def _wait(self, until: float) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, until - AWAKE - clock()))
        while clock() < until:
            await asyncio.sleep(0)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        clock = asyncio.get_running_loop().time
        began = clock()
        async for sample in super().draw(request):
            yield replace(sample, latency=clock() - began)
