"""The simulated model with a stop watch: a sample's latency is what it took, the event loop's part included.

A plug-in of `benchmarks/latency.py`: event loops wake a sleeper up to a millisecond late, which an agent that
does not vote would wait for as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from maker.model import Request
from maker.nouns import Sample
from maker.options import Seconds
from maker.workers.simulated import Simulated, Truthful


class Timed(Simulated):
    """error, latency, sigma: as of `sim`."""

    def __init__(self, task: Truthful, error: float, latency: Seconds, sigma: float) -> None:
        super().__init__(task, error=error, latency=latency, sigma=sigma)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        clock = asyncio.get_running_loop().time
        began = clock()
        async for sample in super().draw(request):
            yield replace(sample, latency=clock() - began)
