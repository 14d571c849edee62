"""The seam between the coordinator and where lanes run, and the simplest place: this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from maker.budget import Spend
from maker.cluster.lane_worker import LaneWorker
from maker.cluster.messages import Orders, Report, Work
from maker.leases import Leases
from maker.metrics import Change


class WorkerLostError(Exception):
    """A worker has died, or cannot be reached; its lane may be given to another."""


class Worker(Protocol):
    """A lane worker as the coordinator sees it. Each call may raise WorkerLostError."""

    async def start(self) -> Report: ...
    async def exchange(
        self,
        number: int,
        work: Sequence[Work],
        wait: float,
        limit: Spend | None = None,
        leases: Leases | None = None,
    ) -> Report: ...
    async def stop(self) -> Report: ...


class Crew(Protocol):
    def hire(self, orders: Orders) -> Worker: ...
    async def watch(self) -> None:
        """Raises BlockedError when no worker can be had any more; until then, waits."""
        ...

    def publish(self, changes: Sequence[Change]) -> None:
        """Tell the monitoring of this place, if it has one."""
        ...


class InlineCrew:
    """Workers in the coordinator's own process and event loop, without Ray."""

    def hire(self, orders: Orders) -> Worker:
        return LaneWorker(orders)

    async def watch(self) -> None:
        await asyncio.Event().wait()

    def publish(self, changes: Sequence[Change]) -> None:
        pass
