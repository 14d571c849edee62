"""Virtual time and processes that are tasks of one event loop, so that a seed decides every interleaving.

A process is a context variable: whatever a task of it starts belongs to it too. One that was killed has
no further effect (its disk, its calls, its model refuse it); one that is paused does not run until it wakes.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import zstandard

from maker.errors import MakerError

T = TypeVar("T")


class Dead(BaseException):
    """The process was killed; what it does now never happens."""


class StuckError(Exception):
    """Everybody waits and nothing will ever happen."""


class Process:
    """One operating-system process of the world, on its only machine."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.alive, self.paused = True, False
        self.calm = False
        """Nothing happens to it: the last command of a scenario."""
        self.ended = world.loop.create_future()
        self.held: list[tuple[Callable[..., object], tuple[Any, ...], Context]] = []
        self.children: list[Process] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of this process; whatever it starts is this process's too."""
        context = copy_context()
        context.run(CURRENT.set, self)
        return self.world.loop.create_task(work, context=context)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def check(self) -> None:
        if not self.alive:
            raise Dead

    def kill(self) -> None:
        """As by SIGKILL: nothing that it does from now on happens."""
        if self.alive:
            self.world.hits["killed"] += 1
            self.exit()

    def exit(self) -> None:
        """It has ended."""
        self.alive, self.paused = False, False
        for callback, args, context in self.held:
            self.world.loop.call_soon(callback, *args, context=context)
        self.held.clear()
        for task in list(self._tasks):
            task.cancel()
        if not self.ended.done():
            self.ended.set_result(None)

    def pause(self, seconds: float) -> None:
        if self.alive and not self.paused:
            self.paused = True
            self.world.hits["paused"] += 1
            self.world.log.woken[self.name].append(self.world.loop.now + seconds)
            self.world.loop.call_later(seconds, self.wake, context=OUTSIDE)

    def wake(self) -> None:
        self.paused = False
        held, self.held = self.held, []
        for callback, args, context in held:
            self.world.loop.call_soon(callback, *args, context=context)


class Log:
    """What the world saw from outside, each with its virtual time; Maker never reads it."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str, str, int, str, int]] = []
        """(when, process, segment, step, digest of its state, draw) of each call to the endpoint."""
        self.tries: Counter[tuple[str, str, int, str, int]] = Counter()
        """(process, segment, step, digest of its state, draw) to how often that was called."""
        self.texts: dict[tuple[str, int, str, int], str] = {}
        """(segment, step, digest of its state, draw) to what the endpoint answered."""
        self.journaled: set[tuple[str, int, str]] = set()
        """(segment, step, text) of each sample that some process has written."""
        self.written: list[tuple[float, str, str, int, str, int]] = []
        """(when, process, segment, step, digest of its state, draw) of each sample on the disk."""
        self.sampled: set[tuple[str, int]] = set()
        """Steps that some process has written a sample of."""
        self.decided: set[tuple[str, int]] = set()
        """Steps that some process has written a decision of."""
        self.claims: list[tuple[float, str, str, tuple[int, int]]] = []
        """(when, process, lane, epoch)"""
        self.told: list[tuple[float, str, str, object]] = []
        """(when, process, segment, final state) of each end that a coordinator was told."""
        self.woken: defaultdict[str, list[float]] = defaultdict(list)
        """When each process goes on after a pause."""
        self.outages: list[float] = []
        self.wrong: list[str] = []
        """Promises seen broken while it went."""


CURRENT: ContextVar[Process] = ContextVar("process")
OUTSIDE = Context()
"""Of what belongs to no process."""


class Machine:
    """What has been written and named but is not durable yet."""

    def __init__(self) -> None:
        self.paths: dict[int, Path] = {}
        """Of open files."""
        self.synced: dict[Path, int] = {}
        """Bytes of each file written here that an outage would leave."""
        self.names: defaultdict[Path, list[Callable[[], None]]] = defaultdict(list)
        """How to undo each change of a folder's names that is not durable, in order."""
        self.spoiled: set[Path] = set()
        """Files of which an fsync has failed: the system has dropped what it could not write."""
        self.full = False
        self.lost = 0
        """Bytes forgotten."""

    def keeps(self, mark: bytes) -> bool:
        """Whether some lane's file holds these bytes where an outage would leave them."""
        newest_first = reversed(self.synced.items())
        return any(mark in _durable(path, size) for path, size in newest_first if path.exists())

    def lose_power(self, lot: Random) -> None:
        """Each file keeps some prefix of what was not synced, each folder some first changes of its names."""
        for path, durable in list(self.synced.items()):
            if path.exists() and (size := path.stat().st_size) > durable:
                kept = lot.randint(durable, size)
                self.lost += size - kept
                os.truncate(path, kept)
        for undo in self.names.values():
            for _ in range(lot.randint(0, len(undo))):
                undo.pop()()
            undo.clear()
        self.paths.clear()
        self.spoiled.clear()
        self.synced = {path: path.stat().st_size for path in self.synced if path.exists()}


def _durable(path: Path, size: int) -> bytes:
    data = path.read_bytes()[:size]
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if path.suffix == ".zst" else data


@dataclass
class World:
    seed: int
    folder: Path
    loop: Loop
    lot: Random
    log: Log
    machine: Machine
    hits: Counter[str] = field(default_factory=Counter)
    """What happened, by kind and place."""
    open_files: list[int] = field(default_factory=list)
    calm: bool = False
    """The last command has begun: the power stays on."""
    processes: list[Process] = field(default_factory=list)

    def process(self, name: str) -> Process:
        process = Process(self, name)
        self.processes.append(process)
        return process

    def lose_power(self) -> None:
        """Every process dies, and the machine forgets what was not durable."""
        for each in self.processes:
            each.kill()
        self.machine.lose_power(self.lot)
        self.log.outages.append(self.loop.now)
        self.hits["outage"] += 1

    def chance(self, share: float) -> bool:
        return self.lot.random() < share


class Loop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer; a paused process's callbacks are held back."""

    def __init__(self) -> None:
        super().__init__(_NoWaiting(self))
        _Task.numbers = count()
        self.now = 0.0
        self.errors: list[BaseException] = []
        self.set_task_factory(_owned_task)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = copy_context() if context is None else context  # an empty one is false
        owner = context.get(CURRENT)
        if owner is not None and owner.paused:
            owner.held.append((callback, args, context))
            return asyncio.Handle(callback, list(args), self, context)  # nobody cancels these
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        owner = context.get(CURRENT)
        if owner is None:
            return super().call_at(when, callback, *args, context=context)

        def fire() -> None:
            if not timer.cancelled():
                self.call_soon(fire, context=context) if owner.paused else callback(*args)

        timer = super().call_at(when, fire, context=context)
        return timer

    def _note(self, loop: asyncio.AbstractEventLoop, what: dict[str, Any]) -> None:
        error = what.get("exception")
        if error is not None and not isinstance(error, Dead | MakerError):  # told to a caller that is gone
            self.errors.append(error)


class _NoWaiting(selectors.SelectSelector):
    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError
        self._loop.now += max(timeout, 0)
        return []


class _Task(asyncio.Task[Any]):
    """Hashed by its number: a TaskGroup cancels its tasks in the order of a set."""

    numbers = count()

    def __init__(self, *args: Any, **options: Any) -> None:
        self.number = next(self.numbers)
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self.number


def _owned_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    context = options.get("context")
    owner = context.get(CURRENT) if context is not None else CURRENT.get(None)
    if owner is not None and not owner.alive:
        work.close()
        raise Dead
    task = _Task(work, loop=loop, **options)
    if owner is not None:
        owner.adopt(task)
    return task
