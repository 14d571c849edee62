"""Runs a whole task: places segments as the schedule wishes, replaces lost workers, gathers final states.

It holds final states and counters, never steps. Invariant: what it says of the run stands in the
journal.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

import structlog

from maker import family, prices
from maker.budget import Budget, Terms
from maker.cluster.crew import Crew, Worker, WorkerLostError
from maker.cluster.messages import Orders, Report, Work
from maker.cluster.pacing import Pacing
from maker.errors import BudgetSpentError, MakerError, PluginError, inert
from maker.joins import Join, Joins
from maker.latency import Histogram
from maker.limits import Figures
from maker.nouns import Json, Parked, Segment
from maker.schedule import Assign, Launch, Retire, Schedule
from maker.suspects import Suspects
from maker.task import Task
from maker.totals import Totals

log = structlog.get_logger("maker")

REPORT_SECONDS = 1.0
"""How often a worker reports while nothing ends."""
PROBE_SECONDS = 0.1
"""The same while others wait for a suspect to leave its step."""
START_SECONDS = 60.0
"""How long a worker that starts has its share of the segments kept for it; there may be no room for it."""
STOP_SECONDS = 20.0
"""How long a worker may take to let go when the run ends early."""
MAX_LOSSES = 6
"""Workers that a lane may lose in a row without a decided step in between."""
MAX_PAUSE = 30.0
"""Seconds before a lost worker is replaced, at most."""
BREADTH = 32
"""Segments that one worker runs at a time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is, as its workers last reported."""

    totals: Totals
    going: int
    """Segments under way."""
    finished: int
    parked: int
    lost_workers: int
    seconds: float
    """Since this command began."""
    expected: int | None
    """Steps of the whole run, where the task knows (its attribute `steps`)."""
    cost: float | None
    """Of the whole run so far; None where no prices were given."""
    paused: bool = False
    """By a person."""
    requests: Mapping[str, Figures] = field(default_factory=dict)
    """By a model's name."""
    latencies: Mapping[str, Histogram] = field(default_factory=dict)
    """Of the samples of this command, by their model's name."""


@dataclass
class Coordinator:
    """One run: `run` returns when every segment has finished or is parked."""

    task: Task
    crew: Crew
    orders: Callable[[str], Orders]
    """What the worker of a lane is told."""
    lanes: Sequence[str]
    """Those that exist."""
    workers: int
    check_owner: Callable[[], None] = lambda: None
    """Raises FencedError when this command does not own the run any more."""
    on_progress: Callable[[Progress], None] = lambda progress: None
    terms: Terms = field(default_factory=Terms)
    before: Mapping[str, Totals] = field(default_factory=dict)
    """What is in each lane that exists, for not every one may come to be read."""
    pacing: Pacing = field(default_factory=Pacing)
    """How many requests models may have under way."""
    finals: dict[str, Json] = field(default_factory=dict)
    """Final state of each finished segment."""
    parked: dict[str, Parked] = field(default_factory=dict)
    lost_workers: int = 0

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._schedule = Schedule(self.lanes, self.workers, BREADTH)
        self._segments = iter(self.task.segments())
        self._going: dict[str, Mapping[str, int]] = {}
        self._totals: dict[str, Totals] = dict(self.before)
        self._assigned: dict[str, list[Segment | Join]] = {}
        self._suspects = Suspects()
        self._joins = Joins(self.finals)
        self._children: deque[Segment] = deque()
        """Of segments that wait; some may have been begun."""
        self._known: set[str] = set()
        """Segments that some lane has had, or is about to have."""
        self._retired: set[str] = set()
        self._yielded: set[str] = set()
        self._wake: dict[str, asyncio.Event] = {}
        self._losses: Counter[str] = Counter()
        self._warned: set[tuple[str, str]] = set()
        """Events that were logged, each with its model."""
        self._latencies: defaultdict[str, Histogram] = defaultdict(Histogram)
        self._nodes: dict[str, str] = {}
        """Where each lane's worker is, or was last."""
        self._budget = self._new_budget() if self.terms.capped else None
        self._tended: set[str] = set()
        """Lanes that have a worker, or are about to."""
        self._resting: set[str] = set()
        """Those of them that wait to be given something: segments, allowance, leave."""

    def _new_budget(self) -> Budget:
        spent = {lane: self.terms.spent(totals) for lane, totals in self.before.items()}
        return Budget(self.terms.cap, self.workers, spent)

    @property
    def progress(self) -> Progress:
        totals = Totals.summed(self._totals.values())
        going = sum(map(len, self._going.values()))
        seconds = time.monotonic() - self._began
        counts = (going, len(self.finals), len(self.parked), self.lost_workers)
        expected = getattr(self.task.decomposer, "steps", None)
        cost, pacing = prices.money(self.terms.prices, totals), self.pacing
        requests = (pacing.limits.paused, pacing.figures)
        return Progress(totals, *counts, seconds, expected, cost, *requests, self._latencies)

    async def run(self) -> None:
        """Raises what a worker cannot go on after (BlockedError, FencedError, ...), all being stopped."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._watch = self._group.create_task(self.crew.watch())
                self._place()
        except BaseExceptionGroup as group:
            raise _worst(group) from None
        finally:
            self.pacing.store()
        own = {family.root(name) for name in (*self.finals, *self.parked)}
        if gone := own - self._yielded:
            raise PluginError(
                f"the journal holds segment {min(gone)}, which the task does not give any more: "
                "segments must be the same each time"
            )
        if left := self._yielded - self.finals.keys() - {family.root(name) for name in self.parked}:
            raise MakerError(f"segment {min(left)} was left without an end: please report this")

    # -- the shell of the schedule -----------------------------------------------------------------

    def _place(self) -> None:
        self._tell_joined()
        if not self._schedule.reading:
            self._schedule.offer(islice(self._unknown(), self._schedule.room))
        for wish in self._schedule.wishes():
            match wish:
                case Launch(lane):
                    self._tended.add(lane)
                    self._group.create_task(self._tend(lane))
                case Assign(lane, segments):
                    self._assigned[lane].extend(segments)
                    self._rouse(lane)
                case Retire(lane):
                    self._retired.add(lane)
                    self._rouse(lane)
        self._share_out()
        if not self._tended:  # nothing is left to be done
            self._watch.cancel()

    def _tell_joined(self) -> None:
        """Segments whose children have ended go on, in the lane where they waited."""
        for lane, join in self._joins.ready():
            if self._schedule.join(lane, join.segment):
                self._joins.given(join)
                self._assigned[lane].append(join)
                self._rouse(lane)
        self._schedule.hold(self._joins.lanes())

    def _unknown(self) -> Iterator[Segment]:
        """Segments that no lane has had: the newest fork's children first, so that few segments wait."""
        while self._children:
            child = self._children.popleft()
            if child.id not in self._known:
                self._known.add(child.id)
                yield child
        for segment in self._segments:
            self._yielded.add(segment.id)
            if segment.id not in self._known:
                yield segment

    async def _tend(self, lane: str) -> None:
        """Hire a worker for a lane and look after it until it retires or is lost."""
        self._assigned[lane], self._wake[lane] = [], asyncio.Event()
        self._retired.discard(lane)
        patience = self._group.create_task(self._be_late(lane))
        await asyncio.sleep(min(2.0 ** self._losses[lane] - 1, MAX_PAUSE))
        worker, numbers = self.crew.hire(self.orders(lane)), count(1)
        try:
            first = await worker.start()
            patience.cancel()
            self._joins.reread(lane)
            self._suspects.read(lane, first.going)
            self._take(first)
            while lane not in self._retired:
                await self._look_after(lane, worker, next(numbers))
            last = await worker.stop()
            self._note(last)
            if last.error:
                raise last.error
            self.pacing.limits.forget(lane)
            self._schedule.left(lane)
        except WorkerLostError as error:
            self._lose(lane, error)
        except BaseException:
            await asyncio.shield(self._dismiss(worker))
            raise
        finally:
            patience.cancel()
        self._tended.discard(lane)
        self._place()

    async def _be_late(self, lane: str) -> None:
        await asyncio.sleep(START_SECONDS)
        self._schedule.late(lane)
        self._place()

    async def _look_after(self, lane: str, worker: Worker, number: int) -> None:
        """One report, or while the lane has nothing to do, a wait for something to give it."""
        work = self._work(lane)
        if work or (self._going[lane] and not self._starves(lane)):
            limit = self._budget.grant(lane) if self._budget else None
            wait = PROBE_SECONDS if self._suspects.probing(lane) else REPORT_SECONDS
            report = await worker.exchange(number, work, wait, limit, self.pacing.grant(lane))
            self._suspects.reported(lane, report.going)
            self._take(report)
        else:
            self._resting.add(lane)
            self._share_out()
            await self._wake[lane].wait()
        self._wake[lane].clear()

    def _work(self, lane: str) -> list[Work]:
        given, self._assigned[lane] = self._assigned[lane], []
        names = [each.segment if isinstance(each, Join) else each.id for each in given]
        self._suspects.begun(lane, names)
        return [*self._suspects.orders(lane), *given]

    def _rouse(self, lane: str) -> None:
        self._resting.discard(lane)
        self._wake[lane].set()

    # -- the budget --------------------------------------------------------------------------------

    def _starves(self, lane: str) -> bool:
        return self._budget is not None and self._budget.starves(lane)

    def _share_out(self) -> None:
        """Rouse lanes that can be served again; BudgetSpentError when all rest and one of them cannot."""
        if self._budget is None:
            return
        hungry = sorted(lane for lane in self._resting if self._going[lane])
        for lane in hungry:
            if not self._budget.starves(lane):
                self._rouse(lane)
        if hungry and self._resting == self._tended:
            raise BudgetSpentError(self._budget.reason(hungry[0]))

    def _take(self, report: Report) -> None:
        before = self._totals.get(report.lane)
        if before and report.totals.steps > before.steps:
            self._losses[report.lane] = 0
        self._note(report)
        ended = [end.segment for end in report.finished]
        ended += [end.segment for end in report.parked] + [end.segment for end in report.waits]
        self._schedule.reported(report.lane, report.going, ended)
        self.on_progress(self.progress)
        if report.error:
            raise report.error
        self.check_owner()
        self.pacing.hear()
        self._place()

    def _lose(self, lane: str, error: WorkerLostError) -> None:
        self.lost_workers += 1
        self._losses[lane] += 1
        where = {"lane": lane, "worker_node": self._nodes.get(lane)}
        log.warning("worker_lost", **where, in_a_row=self._losses[lane], reason=inert(error))
        self._suspects.lost(lane, inert(error))
        if self._losses[lane] > MAX_LOSSES:
            raise MakerError(f"lane {lane} lost {MAX_LOSSES + 1} workers in a row without a step: {error}")
        self._schedule.lost(lane)

    async def _dismiss(self, worker: Worker) -> None:
        """Stop a worker whatever state it is in; its last report still counts."""
        try:
            report = await asyncio.wait_for(worker.stop(), STOP_SECONDS)
        except Exception:
            return
        self._note(report)

    def _warn_of_models(self, report: Report) -> None:
        """Once a command for each model and event: the journal has every one."""
        for drift in report.drifts:
            self._warn("model_drift", drift["model"], was=drift["was"], now=drift["now"])
        for found in report.repeats:
            self._warn("votes_repeat", found["model"], sign=found["sign"])

    def _warn(self, event: str, model: str, **what: Json) -> None:
        if (event, model) not in self._warned:
            self._warned.add((event, model))
            log.warning(event, model=model, **what)

    def _tell_of(self, parked: Parked, lane: str) -> None:
        where = {"lane": lane, "segment": parked.segment, "step": parked.index}
        log.warning("segment_parked", **where, reason=inert(parked.reason))

    def _note(self, report: Report) -> None:
        self._warn_of_models(report)
        self._totals[report.lane], self._going[report.lane] = report.totals, report.going
        self._known.update(report.going)
        self._nodes[report.lane] = report.node
        for model, histogram in report.latencies.items():
            self._latencies[model].add(histogram)
        self.pacing.note(report.lane, report.traffic)
        if self._budget and report.account:
            self._budget.note(report.lane, report.account)
        for parked in report.parked:
            self._known.add(parked.segment)
            if parked.segment not in self.parked:
                self._tell_of(parked, report.lane)
            self.parked[parked.segment] = parked
        for wait in report.waits:
            self._known.add(wait.segment)
            self._joins.wait(report.lane, wait)
            self._children.extendleft(reversed(wait.children))
        for end in report.finished:
            self._known.add(end.segment)
            self.finals[end.segment] = end.state
            self._joins.ended(end.segment)


def _worst(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One exception to speak for a group: an unexpected one before a MakerError."""
    flat = [e for error in group.exceptions for e in _flat(error)]
    return min(flat, key=lambda error: isinstance(error, MakerError))


def _flat(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [e for inner in error.exceptions for e in _flat(inner)]
    return [error]
