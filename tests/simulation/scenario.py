"""What happens in one seed: some commands on one run that are killed, paused, cut off and out of luck, in any
order and at once; then a calm one, which must end with what an undisturbed run gives."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import structlog

from maker import assembly, journal, plugins
from maker.asked import source
from maker.budget import NO_CAP, Spend, Terms
from maker.command import Command
from maker.errors import MakerError
from maker.manifest import Manifest
from maker.operation import Operation
from maker.result import RunResult, stored
from maker.run_directory import RunDirectory
from tests.simulation.auditor import Asked, audit, spent
from tests.simulation.disk import SITES, Plan, SimDisk
from tests.simulation.network import SimCrew
from tests.simulation.world import Dead, Log, Loop, Machine, Process, World

PATIENCE = 3000.0
"""Virtual seconds that the calm command may take."""
SHARED = Path("/dev/shm")
"""Files in memory, where the system has them."""


@dataclass
class Outcome:
    seed: int
    wrong: list[str]
    hits: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    redrawn: int = 0


def simulate(seed: int) -> Outcome:
    """Play a seed and judge it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    folder = Path(tempfile.mkdtemp(prefix="simulated", dir=SHARED if SHARED.is_dir() else None))
    chunk_bytes = journal.CHUNK_BYTES
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, Loop)
            world = World(seed, folder, loop, Random(seed), Log(), Machine())
            return runner.run(_Scenario(world).play())
    finally:
        journal.CHUNK_BYTES = chunk_bytes
        for file in world.open_files:
            os.close(file)
        shutil.rmtree(folder)


class _Scenario:
    def __init__(self, world: World) -> None:
        lot = world.lot
        self.world, self.machine = world, world.machine
        self.asked = Asked(
            world.seed,
            length=lot.randint(2, 10),
            count=lot.randint(1, 4),
            depth=lot.choice((0, 0, 0, 0, 1, 2)),
            k=lot.randint(1, 3),
            error=lot.choice((0.0, 0.1, 0.3)),
            flags=lot.choice((0.0, 0.2)),
            durability=lot.choice(("group", "group", "step")),
            window=lot.choice((1, 1, 2, 6)),
            ladder=Random(f"ladder/{world.seed}").random() < 0.3,
            hedge=Random(f"hedge/{world.seed}").choice((None, None, "0s", "500ms", "2s")),
        )
        self.faults = lot.choice((0.0, 0.1))
        journal.CHUNK_BYTES = lot.choice((600, 2000, 6000, 4 << 20))
        self.most = lot.randint(1, 3 * self.asked.length * self.asked.count * self.asked.k)
        """Calls that the disturbed commands may make together, where they are capped."""
        self.capped = lot.random() < 0.4
        self.wrong: list[str] = []
        self.ends: list[tuple[Process, asyncio.Task[RunResult]]] = []

    async def play(self) -> Outcome:
        for number in range(self.world.lot.randint(0, 4)):
            await self._disturbed(number)
            if self.capped and (found := spent(self.world.folder / "run")) > self.most:
                self.wrong.append(f"the journal holds {found} calls, at most {self.most} were allowed")
        await self._calm()
        self._check_ends()
        log = self.world.log
        if not self.wrong:
            self.wrong += audit(self.world.folder / "run", self.asked, log)
        self.wrong += [f"{type(error).__name__}: {error}" for error in self.world.loop.errors]
        seats = Counter(tuple(seat) for _, *seat in log.tries)
        redrawn = sum(seats.values()) - len(seats)
        return Outcome(self.world.seed, self.wrong, self.world.hits, sum(seats.values()), redrawn)

    # -- commands ----------------------------------------------------------------------------------

    def _launch(self, name: str, faulty: bool) -> tuple[Process, asyncio.Task[RunResult]]:
        lot, process = self.world.lot, self.world.process(name)
        process.calm = not faulty
        disk = SimDisk(process, self._plan() if faulty and lot.random() < 0.5 else {})
        crew = SimCrew(self.world, process, self._plan, faulty)
        cap = lot.choice((3, 8, 60)) if faulty else 60
        calls = lot.randint(1, self.most) if faulty and self.capped else NO_CAP
        work = self._command(disk, crew, max(cap, self.asked.k), lot.randint(1, 3), calls)
        task = process.spawn(work)
        task.add_done_callback(lambda _: self._reap(process))
        self.ends.append((process, task))
        return process, task

    async def _command(self, disk: SimDisk, crew: SimCrew, cap: int, workers: int, calls: int) -> RunResult:
        """What `api.run` does."""
        asked, directory = self.asked, RunDirectory(self.world.folder / "run", disk)
        manifest = directory.begin(_manifest(asked, self.faults, cap))
        if finished := stored(directory):
            return finished
        subject = assembly.task(manifest)
        terms = Terms(Spend(calls, NO_CAP, NO_CAP))
        window = self.world.lot.randint(1, asked.window)
        how = {"durability": asked.durability, "hedge": asked.hedge}
        operation = Operation.of({"workers": workers, "window": window, **how})  # type: ignore[typeddict-item]
        command = Command(directory, manifest, subject, operation, terms=terms)
        return await command.carry_out(crew)

    def _plan(self) -> Plan:
        """At which operation of a disk something happens, if at all."""
        lot = self.world.lot
        if lot.random() < 0.5:
            return {}
        site, which = lot.choice(SITES), 1 + int(lot.expovariate(1 / 6))
        return {(site, which): lot.choice(("before", "after", "torn", "full", "eio"))}

    def _reap(self, owner: Process) -> None:
        """When a command ends or dies its workers are killed, sooner or later."""
        owner.exit()
        for child in owner.children:
            delay = self.world.lot.choice((0.0, 0.0, self.world.lot.uniform(0, 20)))
            self.world.loop.call_later(delay, child.kill)

    async def _disturbed(self, number: int) -> None:
        lot = self.world.lot
        self.machine.full = lot.random() < 0.05
        process, task = self._launch(f"c{number}", faulty=True)
        await asyncio.wait({task, process.ended}, timeout=lot.expovariate(lot.choice((2, 1 / 12))))
        if not task.done():
            self.world.hits[(how := lot.choice(_DISTURBANCES)).__name__.strip("_")] += 1
            how(self, process, task)
        await asyncio.sleep(lot.choice((0.0, lot.uniform(0, 10))))

    async def _calm(self) -> None:
        self.machine.full, self.world.calm = False, True
        _, task = self._launch("calm", faulty=False)
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            self.wrong.append("the calm command has not ended")
        await asyncio.sleep(60)
        for process in self.world.processes:
            process.kill()
        await asyncio.sleep(1)

    def _check_ends(self) -> None:
        for process, task in self.ends:
            error = None if not task.done() or task.cancelled() else task.exception()
            if isinstance(error, Dead) or task.cancelled() or not task.done():
                continue
            allowed = _FINE if process.calm else _DISTURBED
            if error is not None and (process.calm or not isinstance(error, MakerError)):
                self.wrong.append(f"{process.name} raised {type(error).__name__}: {error}")
            elif error is None and (
                task.result().status not in allowed or "please report this" in (task.result().reason or "")
            ):
                self.wrong.append(f"{process.name} ended {task.result().status}: {task.result().reason}")
            elif error is not None and error.exit_code not in (1, 2, 5):
                self.wrong.append(f"{process.name} raised {type(error).__name__}: {error}")

    # -- disturbances ------------------------------------------------------------------------------

    def _kill(self, process: Process, task: asyncio.Task[RunResult]) -> None:
        process.kill()

    def _pause(self, process: Process, task: asyncio.Task[RunResult]) -> None:
        for each in (process, *process.children):
            if each is process or self.world.chance(0.5):
                each.pause(self.world.lot.uniform(1, 60))

    def _leave_it_running(self, process: Process, task: asyncio.Task[RunResult]) -> None:
        pass

    def _ask_to_stop(self, process: Process, task: asyncio.Task[RunResult]) -> None:
        task.cancel()

    def _lose_power(self, process: Process, task: asyncio.Task[RunResult]) -> None:
        self.world.lose_power()


_DISTURBANCES = (
    _Scenario._kill,
    _Scenario._kill,
    _Scenario._pause,
    _Scenario._leave_it_running,
    _Scenario._ask_to_stop,
    _Scenario._lose_power,
)
_FINE = {"done"}
_DISTURBED = {"done", "parked", "budget", "blocked", "stopped", "fenced", "failed"}


def _manifest(asked: Asked, faults: float, cap: int) -> Manifest:
    here = "tests.simulation.endpoint"
    options = (
        f"seed={asked.seed},error={asked.error},flags={asked.flags},faults={faults},window={asked.window}"
    )
    names = ("", ",name=other") if asked.ladder else ("",)
    return Manifest(
        run=f"simulated-{asked.seed}",
        maker="0",
        task=source(plugins.DECOMPOSERS, f"{here}:Trail"),
        parameters={"length": asked.length, "count": asked.count, "depth": asked.depth},
        models=[source(plugins.MODELS, f"{here}:Endpoint:{options}{name}") for name in names],
        voter=source(plugins.VOTERS, f"ahead_by_k:k={asked.k}"),
        red_flags=[],
        seed=asked.seed,
        escalate=["variant", "model"] if asked.ladder else [],
        max_samples=cap,
    )
