"""The owner of one lane: claims it, reads it back, runs its segments, reports in batches.

It runs inside a Ray actor or in the coordinator's own process, and is told everything as plain data.
Invariant: it writes to its lane only while it is the newest owner.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

import structlog

from maker import assembly, place, records, takeover
from maker.amendment import Amendment
from maker.budget import Account, Allowance, Spend, Terms
from maker.chain import Chain, Finish, Park, Wait
from maker.disk import DISK, Disk
from maker.engine import Drive, Engine
from maker.errors import MakerError, inert
from maker.hedging import Hedge
from maker.joins import Join
from maker.journal import SEAL, Durability, Seal
from maker.latency import Histogram
from maker.leases import Leases, Traffic
from maker.manifest import Manifest
from maker.model import Model
from maker.nouns import Parked, Segment
from maker.records import Record
from maker.recovery import Recovery
from maker.run_directory import RunDirectory
from maker.suspects import GiveUp, GoOn
from maker.throttle import Throttles
from maker.totals import Totals
from maker.window import FIRST

log = structlog.get_logger("maker")

Work: TypeAlias = Segment | Join | GoOn | GiveUp
"""What a worker is given to do: a new segment, or something with one that is in its lane."""

SYNC_SECONDS = 1.0
"""Between two syncs of the journal."""


@dataclass(frozen=True, slots=True)
class Orders:
    """All that a worker needs to know to own a lane."""

    manifest: Manifest
    run: str
    """The run's directory, or its URI."""
    lane: str
    command: int
    """Which command of the run gives them."""
    durability: Durability = "group"
    options: Mapping[str, str] = field(default_factory=dict)
    """Operational options for models, such as `base_url`."""
    amendments: tuple[Amendment, ...] = ()
    """For steps that were parked when the command began."""
    terms: Terms = field(default_factory=Terms)
    """What the run may spend."""
    window: int | None = 1
    """Steps of a segment that may be voted on at a time; None finds it."""
    seal: Seal = SEAL
    """Where the journal is kept in an object store."""
    paused: bool = False
    """Nothing is to be drawn until an exchange says so."""
    hedge: Literal["auto"] | float | None = None
    """Seconds after which a draw without a reply is sent once more."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in a lane since the last report; the first one is of all that is in it."""

    lane: str
    totals: Totals
    """Of the lane since the run began."""
    going: Mapping[str, int]
    """The open step of each segment under way, or read back and waiting to be told to go on."""
    finished: tuple[Finish, ...] = ()
    parked: tuple[Parked, ...] = ()
    waits: tuple[Wait, ...] = ()
    error: MakerError | None = None
    """Why the lane cannot go on."""
    drifts: tuple[Record, ...] = ()
    """Of models that answer as others than before, the newest of each."""
    repeats: tuple[Record, ...] = ()
    """Of models that give one answer again and again instead of drawing anew."""
    account: Account | None = None
    """What the lane has spent and may spend; None when nothing is capped."""
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    """Requests to models that take permits, by name."""
    latencies: Mapping[str, Histogram] = field(default_factory=dict)
    """Of the samples since the last report, by their model's name."""
    node: str = ""
    """The machine that the worker is on."""


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
        self._engine.throttles = Throttles(self._news.set)
        self._engine.gate.closed = orders.paused
        if orders.hedge is not None and not self._computes:
            self._engine.hedge = Hedge(None if orders.hedge == "auto" else orders.hedge)
        if orders.terms.capped:
            self._engine.allowance = Allowance(orders.terms, recovery.ledger.totals, self._news.set)
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
        if self._engine.allowance and limit is not None:
            self._engine.allowance.limit_to(limit)
        if self._error is None:
            for each in work:
                self._do(each)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), wait)
        if self._ended and self._lane.rest:
            await asyncio.sleep(self._lane.rest)  # others may end meanwhile
        return self._report()

    def _take_leases(self, leases: Leases) -> None:
        assert self._engine.throttles is not None
        self._engine.throttles.take(leases.models)
        self._engine.gate.turn(leases.paused)

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
            self._engine.allowance.account() if self._engine.allowance else None,
            self._engine.throttles.report() if self._engine.throttles else {},
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
