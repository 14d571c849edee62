"""One command's life on a run: claim it, have a coordinator run it, judge what came of it, write the result.

Once the run is claimed, every end is a `RunResult`. It does not know where workers live (the crew does) nor
how a run is asked for (`api.py`). Invariant: only the command that owns the run writes its result.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from maker import asked, control, prices, steps, summary
from maker.amendment import Amendment
from maker.budget import Terms
from maker.cluster.coordinator import Coordinator, Progress
from maker.cluster.crew import Crew
from maker.cluster.messages import Orders
from maker.cluster.pacing import Pacing
from maker.errors import BlockedError, BudgetSpentError, FencedError, MakerError, StorageError, inert
from maker.manifest import Manifest
from maker.metrics import Meter
from maker.nouns import Json
from maker.operation import Operation
from maker.pulse import Pulse
from maker.result import RunResult, Status
from maker.retry import Retry
from maker.run_directory import RunDirectory
from maker.task import Task
from maker.totals import Totals


@dataclass(frozen=True, slots=True)
class Command:
    directory: RunDirectory
    manifest: Manifest
    task: Task
    operation: Operation = field(default_factory=Operation)
    retry: Retry | None = None
    """Another panel for the steps that are parked when it begins."""
    terms: Terms = field(default_factory=Terms)
    """What the run may spend."""
    on_progress: Callable[[Progress], None] = lambda progress: None

    async def carry_out(self, crew: Crew) -> RunResult:
        """Run to an end; cancelled, it lets go in order and the run can go on."""
        number = self.directory.claim(self._settings())
        lanes = self.directory.lanes()  # after the claim: an older command begins none that is not among them
        check_owner = partial(self.directory.check_owner, number)
        watch = self.directory.watch(number)
        amendments = self.retry.amendments(self.directory) if self.retry else {}
        pacing = self._pacing(number)
        orders = partial(self._orders, number, amendments, pacing)
        before = summary.lane_totals(self.directory)
        meter = Meter(self.directory.path.name, Totals.summed(before.values()))
        coordinator = Coordinator(
            self.task,
            crew,
            orders,
            lanes,
            self.operation.workers,
            watch,
            partial(self._report, Pulse(self.directory, number), meter, crew),
            self.terms,
            before,
            pacing,
        )
        result = await self._run(coordinator)
        crew.publish(meter.read(coordinator.progress))
        return self._conclude(result, check_owner)

    def _report(self, pulse: Pulse, meter: Meter, crew: Crew, progress: Progress) -> None:
        self.on_progress(progress)
        pulse(progress)
        crew.publish(meter(progress))

    def _settings(self) -> dict[str, Json]:
        """What it may choose anew, recorded with its claim."""
        chosen = {**self.operation.settings(), "price": prices.to_json(self.terms.prices)}
        if self.retry:
            chosen["retry"] = self.retry.to_json()
        return asked.settings(max_samples=self.manifest.max_samples, **chosen)

    def _pacing(self, number: int) -> Pacing:
        known: list[dict[str, Json]] = []

        def settings() -> control.Settings:
            known.extend(self.directory.controls(len(known)))
            return control.settled(known, number, self.operation.max_concurrency)

        return Pacing(settings, partial(self.directory.keep_limits, number))

    def _orders(
        self, number: int, amendments: Mapping[str, Sequence[Amendment]], pacing: Pacing, lane: str
    ) -> Orders:
        where = (str(self.directory.path), lane, number)
        retried = tuple(amendments.get(lane, ()))
        how = (self.operation.durability, self.operation.model_options)
        window, seal = self.operation.width, self.operation.seal
        now = (pacing.limits.paused, self.operation.hedge_after)
        return Orders(self.manifest, *where, *how, retried, self.terms, window, seal, *now)

    async def _run(self, coordinator: Coordinator) -> RunResult:
        """Every end of a coordinator as a result."""
        finish = partial(self._result, coordinator)
        try:
            await coordinator.run()
        except (BlockedError, StorageError) as error:
            return finish("blocked", str(error))
        except FencedError as error:
            return finish("fenced", str(error))
        except BudgetSpentError as error:
            return finish("budget", str(error))
        except asyncio.CancelledError:
            return finish("stopped", "asked to stop; the same command goes on")
        except MakerError as error:
            if error.exit_code != 1:
                raise
            return finish("failed", str(error))
        if coordinator.parked:
            first = min(coordinator.parked.values(), key=lambda parked: parked.segment)
            where = f"{first.segment}:{first.index}"
            return finish("parked", f"{len(coordinator.parked)} parked; the first is {where}: {first.reason}")
        return self._judged(coordinator)

    def _judged(self, coordinator: Coordinator) -> RunResult:
        finish = partial(self._result, coordinator)
        try:
            stitched = self.task.stitch(coordinator.finals)
            verdict = self.task.verify(steps.decided(self.directory))
        except MakerError as error:
            if error.exit_code != 1:
                raise
            return finish("failed", str(error))
        if verdict is not True and verdict is not None:
            return finish("failed", f"not verified: {inert(verdict or 'the task says no')}", stitched, False)
        return finish("done", None, stitched, verdict)

    def _conclude(self, result: RunResult, check_owner: Callable[[], None]) -> RunResult:
        """Write the result, if the run is still this command's."""
        if result.status == "fenced":
            return result
        try:
            check_owner()
            self.directory.write_result(result.to_json())
        except FencedError as error:
            return replace(result, status="fenced", reason=str(error))
        except StorageError as error:
            blocked = replace(result, status="blocked", reason=str(error))
            return result if result.status == "blocked" else blocked
        return result

    def _result(
        self,
        coordinator: Coordinator,
        status: Status,
        reason: str | None,
        result: Json = None,
        verified: bool | None = None,
    ) -> RunResult:
        progress = coordinator.progress
        totals = progress.totals
        parked = [park.tally for park in coordinator.parked.values()]
        reasons = Counter(totals.reasons)
        for flags in (flags for tally in parked for flags in tally.flags):
            reasons[flags.reason] += len(flags.draws)
        return RunResult(
            status,
            None if reason is None else inert(reason, 1000),
            result,
            verified,
            steps=totals.steps,
            votes=totals.votes + sum(len(votes.draws) for tally in parked for votes in tally.votes),
            samples=totals.samples,
            flagged=totals.flagged + sum(len(flags.draws) for tally in parked for flags in tally.flags),
            contested=totals.contested,
            parked=progress.parked,
            by_person=totals.by_person,
            transport_faults=totals.transport_faults,
            drifts=totals.drifts,
            repeats=totals.repeats,
            hedged=totals.hedged,
            tokens_in=totals.tokens_in,
            tokens_out=totals.tokens_out,
            tokens_cached=totals.tokens_cached,
            cost=progress.cost,
            flags=dict(reasons),
            lost_workers=progress.lost_workers,
            seconds=round(progress.seconds, 3),
            run=str(self.directory.path),
        )
