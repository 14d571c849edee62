"""The owner of one lane: claims it, reads it back, runs its segments, reports in batches.

It runs inside a Ray actor or in the coordinator's own process, and is told everything as plain data.
Invariant: it writes to its lane only while it is the newest owner.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

import structlog

from maker import assembly, place, records, takeover
from maker.budget import Allowance, Spend
from maker.chain import Chain, Finish, Park, Wait
from maker.cluster.messages import Orders, Report, Work
from maker.disk import DISK, Disk
from maker.engine import Drive, Engine
from maker.errors import MakerError, inert
from maker.hedging import Hedge
from maker.joins import Join
from maker.leases import Leases
from maker.model import Model
from maker.nouns import Parked, Segment
from maker.recovery import Recovery
from maker.run_directory import RunDirectory
from maker.suspects import GiveUp, GoOn
from maker.throttle import Throttles
from maker.window import FIRST

log = structlog.get_logger("maker")

SYNC_SECONDS = 1.0
"""Between two syncs of the journal."""


class LaneWorker:
    """`start` once, `exchange` again and again, `stop` at the end."""

    def __init__(self, orders: Orders, disk: Disk = DISK) -> None:
        self._orders, self._disk = orders, disk
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._drives: dict[str, Drive] = {}
        """Segments under way, and those that wait to be told to go on."""
        self._finished: list[Finish] = []
        self._parked: list[Parked] = []
        self._waits: list[Wait] = []
        self._error: MakerError | None = None
        self._news = asyncio.Event()
        self._held = AsyncExitStack()
        """What must be let go of: models and the lane."""
        self._keeper: asyncio.Task[None] | None = None
        self._number = 0
        self._answer: asyncio.Task[Report] | None = None
        """To the newest exchange."""

    async def start(self) -> Report:
        """Take the lane over and read it; what is open in it goes on when an exchange says so.

        Until then no text in it is parsed: one might kill this process, and then it must be known which.
        """
        try:
            self._take_over()
        except BaseException:
            await self._held.aclose()
            raise
        self._keeper = asyncio.create_task(self._keep())
        return self._report()

    def _take_over(self) -> None:
        orders, manifest = self._orders, self._orders.manifest
        directory = RunDirectory(place.at(orders.run))
        self._task = assembly.task(manifest)
        self._panels = assembly.Panels(manifest, self._task, orders.options)
        self._held.push_async_callback(self._close_models)
        folder = directory.lane(orders.lane)
        how = (orders.command, orders.durability, self._disk, orders.seal)
        claimed = partial(takeover.claim, folder, manifest.run, *how)
        fresh = partial(Recovery, self._task, self._panels.own, self._window)
        self._lane, recovery = takeover.take_over(claimed, fresh)
        self._held.callback(self._lane.close)
        self._recovery = recovery
        directory.check_owner(orders.command)  # after that: whoever owns the run now has seen this lane
        self._engine = Engine(self._panels.models, self._lane, recovery.ledger)
        self._engine.adapts = orders.window is None and not self._computes
        self._engine.means.throttles = Throttles(self._news.set)
        self._engine.means.gate.closed = orders.paused
        if orders.hedge is not None and not self._computes:
            self._engine.means.hedge = Hedge(None if orders.hedge == "auto" else orders.hedge)
        if orders.terms.capped:
            self._engine.means.allowance = Allowance(orders.terms, recovery.ledger.totals, self._news.set)
        self._finished += [Finish(name, state, steps) for name, steps, state in self._lane.finished()]
        self._finished += recovery.finished
        self._amend(recovery)
        for each in recovery.unfinished():
            drive = self._engine.keep(*each)
            self._drives[drive.chain.step.segment] = drive

    @property
    def _computes(self) -> bool:
        """A model takes this worker's own time: there is none to hide."""
        return any(hasattr(model, "resources") for model in self._panels.models.values())

    @property
    def _window(self) -> int:
        """To begin with."""
        return self._orders.window or (1 if self._computes else FIRST)

    async def exchange(
        self,
        number: int,
        work: Sequence[Work],
        wait: float,
        limit: Spend | None = None,
        leases: Leases | None = None,
    ) -> Report:
        """Take a new limit and new leases, begin new segments, go on with others; report when something has
        ended, a draw lacks allowance or a model refuses, or after `wait` seconds.

        `number` grows from 1. One that comes again, as a transport may have it, begins nothing and is told
        what the first one was.
        """
        if self._answer is None or number > self._number:
            self._number = number
            self._answer = asyncio.create_task(self._exchange(work, wait, limit, leases))
        return await asyncio.shield(self._answer)

    async def _exchange(
        self, work: Sequence[Work], wait: float, limit: Spend | None, leases: Leases | None
    ) -> Report:
        if leases is not None:
            self._take_leases(leases)
        if self._engine.means.allowance and limit is not None:
            self._engine.means.allowance.limit_to(limit)
        if self._error is None:
            for each in work:
                self._do(each)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), wait)
        if self._ended and self._lane.rest:
            await asyncio.sleep(self._lane.rest)  # others may end meanwhile
        return self._report()

    def _take_leases(self, leases: Leases) -> None:
        assert self._engine.means.throttles is not None
        self._engine.means.throttles.take(leases.models)
        self._engine.means.gate.turn(leases.paused)

    def _do(self, work: Work) -> None:
        match work:
            case Segment():
                self._run(self._open(work))
            case Join(segment, finals):
                self._run(self._engine.join(segment, finals))
            case GoOn(segments):
                self._go_on(segments)
            case GiveUp(segment, reason):
                self._give_up(segment, reason)

    def _open(self, segment: Segment) -> Drive:
        self._engine.write(records.from_segment(segment))
        chain = Chain(self._task, self._panels.own, segment, window=self._window)
        return self._engine.begin(chain, chain.start())

    async def stop(self) -> Report:
        """End what is under way, make the lane durable and let go of it."""
        if self._keeper is None:
            raise MakerError(f"lane {self._orders.lane}: its worker has not started")
        self._keeper.cancel()
        if self._answer:
            self._answer.cancel()
        await self._cancel()
        try:
            self._engine.write_faults()
            self._lane.sync()
        except MakerError as error:
            self._fail(error)
        await self._held.aclose()
        return self._report()

    async def _close_models(self) -> None:
        for model in self._panels:
            await self._close(model)

    async def _close(self, model: Model) -> None:
        try:
            await model.aclose()
        except Exception as error:
            log.warning("model_close_failed", model=model.name, error=inert(error))

    def _amend(self, recovery: Recovery) -> None:
        """Record the amendments of steps that are still parked, each after its panel could be made."""
        for amendment in self._orders.amendments:
            self._panels.amended(amendment)
            if recovery.amend(amendment):
                self._engine.write(amendment.record())

    def _go_on(self, segments: Sequence[str]) -> None:
        parked, going = self._recovery.resume(self._panels.amended, segments)
        for each, where in parked:
            self._engine.keep(each.chain, each.samples, each.park, each.amendment)
            del self._drives[where.segment]
            self._parked.append(where)
            self._news.set()
        for each in going:
            models = self._panels.models_of(each.amendment) if each.amendment else None
            park = each.park if each.chain.children else None
            drive = self._engine.begin(each.chain, each.wishes, each.samples, park, each.amendment, models)
            self._run(drive)

    def _give_up(self, segment: str, reason: str) -> None:
        """Without the samples of its head, which stay unread."""
        drive = self._drives.pop(segment)
        match drive.do(drive.chain.fail(reason)):
            case Park(parked):
                self._parked.append(parked)
                self._news.set()

    def _run(self, drive: Drive) -> None:
        name = drive.chain.step.segment
        self._drives[name] = drive
        self._tasks[name] = asyncio.create_task(self._drive(name, drive))

    async def _drive(self, name: str, drive: Drive) -> None:
        try:
            ended = await drive.run()
        except MakerError as error:
            self._fail(error)
            return
        except Exception as error:
            log.exception("segment_broke", segment=name)
            self._fail(MakerError(f"segment {name} broke: {type(error).__name__}: {inert(error)}"))
            return
        del self._tasks[name], self._drives[name]
        match ended:
            case Finish():
                self._finished.append(ended)
            case Park(parked):
                self._parked.append(parked)
            case Wait():
                self._waits.append(ended)
        self._news.set()

    async def _keep(self) -> None:
        """Sync the journal in time and notice a takeover."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            try:
                self._engine.write_faults()
                if self._lane.due:
                    self._sync()
            except MakerError as error:
                self._fail(error)
                await self._cancel()  # though nobody may be there to tell us to stop
                return

    def _sync(self) -> None:
        self._lane.sync()
        if not self._lane.is_open:
            self._lane.turn(self._engine.page())

    @property
    def _ended(self) -> bool:
        """Whether there is an end to tell."""
        return bool(self._finished or self._parked or self._waits)

    def _fail(self, error: MakerError) -> None:
        self._error = self._error or error
        self._news.set()

    async def _cancel(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _report(self) -> Report:
        """What has ended is durable, and still ours, before it is told."""
        if self._ended and self._lane.is_open:
            try:
                self._sync()
            except MakerError as error:
                self._fail(error)
        report = Report(
            self._orders.lane,
            self._engine.ledger.totals.copy(),
            {name: drive.chain.step.index for name, drive in self._drives.items()},
            tuple(self._finished),
            tuple(self._parked),
            tuple(self._waits),
            self._error,
            tuple(self._engine.drifts.values()),
            tuple(self._engine.repeated),
            self._engine.means.allowance.account() if self._engine.means.allowance else None,
            self._engine.means.throttles.report() if self._engine.means.throttles else {},
            dict(self._engine.latencies),
            socket.gethostname(),
        )
        self._engine.latencies.clear()
        self._engine.drifts.clear()
        self._engine.repeated.clear()
        self._finished.clear()
        self._parked.clear()
        self._waits.clear()
        self._news.clear()
        return report
