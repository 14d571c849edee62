"""A crew whose workers are processes of the world, reached by calls that get lost, come late or twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from maker.budget import Spend
from maker.cluster.crew import WorkerLostError
from maker.cluster.lane_worker import LaneWorker
from maker.cluster.messages import Orders, Report, Work
from maker.leases import Leases
from maker.metrics import Change
from tests.simulation.disk import Plan, SimDisk
from tests.simulation.world import OUTSIDE, Dead, Process, World


@dataclass
class SimCrew:
    """The workers of one command; `faulty` ones die, fall silent and get their messages mangled."""

    world: World
    owner: Process
    """The coordinator's process."""
    plan: Callable[[], Plan]
    """What happens to a new worker's disk."""
    faulty: bool

    def hire(self, orders: Orders) -> SimWorker:
        process = self.world.process(f"{self.owner.name}/{orders.lane}.{len(self.owner.children)}")
        process.calm = not self.faulty
        self.owner.children.append(process)
        return SimWorker(self, process, orders)

    async def watch(self) -> None:
        await asyncio.Event().wait()

    def publish(self, changes: Sequence[Change]) -> None:
        pass


class SimWorker:
    """The coordinator's end of the line to one worker."""

    def __init__(self, crew: SimCrew, process: Process, orders: Orders) -> None:
        self.crew, self.process = crew, process
        disk = SimDisk(process, crew.plan() if crew.faulty else {})
        self._worker = LaneWorker(orders, disk)
        self._dead_from = (
            crew.world.lot.expovariate(1 / 8) if crew.faulty and crew.world.chance(0.3) else None
        )

    async def start(self) -> Report:
        if self._dead_from is not None:
            self.crew.world.loop.call_later(self._dead_from, self._end, context=OUTSIDE)
        if self.crew.world.chance(0.3):
            await asyncio.sleep(self.crew.world.lot.uniform(0, 5))
        return await self._call(self._worker.start, again=False)

    async def exchange(
        self,
        number: int,
        work: Sequence[Work],
        wait: float,
        limit: Spend | None = None,
        leases: Leases | None = None,
    ) -> Report:
        return await self._call(lambda: self._worker.exchange(number, work, wait, limit, leases))

    async def stop(self) -> Report:
        report = await self._call(self._worker.stop, again=False)
        self.process.exit()
        return report

    def _end(self) -> None:
        """The worker dies, or freezes for a while and then goes on where it was."""
        if self.crew.world.chance(0.5):
            self.process.kill()
        else:
            self.process.pause(self.crew.world.lot.uniform(1, 30))

    async def _call(self, method: Callable[[], Awaitable[Report]], again: bool = True) -> Report:
        world, faulty = self.crew.world, self.crew.faulty
        await asyncio.sleep(world.lot.expovariate(1000))
        if faulty and world.chance(0.02):
            return await self._lost("request lost")
        work = self._deliver(method)
        if faulty and again and world.chance(0.05):
            world.hits["request repeated"] += 1
            work = self._deliver(method)
        await asyncio.wait({work, self.process.ended}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(world.lot.uniform(0, 3) if faulty and world.chance(0.05) else 0)
        if not work.done() or work.cancelled() or isinstance(work.exception(), Dead):
            raise WorkerLostError("it died")
        if faulty and world.chance(0.02):
            return await self._lost("reply lost")
        report = work.result()
        ends = [(world.loop.now, self.process.name, end.segment, end.state) for end in report.finished]
        world.log.told += ends
        for *_, segment, _ in [] if report.error else ends:
            if not world.machine.keeps(f'"event":"finish","segment":"{segment}"'.encode()):
                world.log.wrong.append(f"{segment} was told as ended before that was durable")
        if ends and faulty and world.chance(0.1) and not world.calm:
            world.lose_power()
        return report

    def _deliver(self, method: Callable[[], Awaitable[Report]]) -> asyncio.Task[Report]:
        if not self.process.alive:
            raise WorkerLostError("it is dead")
        return self.process.spawn(_awaited(method))

    async def _lost(self, what: str) -> Report:
        """The worker lives on, and nobody hears of it."""
        self.crew.world.hits[what] += 1
        await asyncio.sleep(self.crew.world.lot.uniform(0, 3))
        raise WorkerLostError(what)


async def _awaited(method: Callable[[], Awaitable[Report]]) -> Report:
    return await method()
