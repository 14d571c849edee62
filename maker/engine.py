"""Does what chains wish: draws from models, writes the journal, one event loop for many segments.

It decides nothing. The order it keeps: a raw response is written before the chain reads it, a decision
before anything that is built on it. Invariant: what is in the journal is enough to rebuild every chain,
and no sample that was paid for is dropped while the process lives.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from maker import records
from maker.chain import Chain, Commit, Draw, Finish, Park, Wish
from maker.errors import BlockedError, inert
from maker.journal import Journal
from maker.model import Model, Request
from maker.nouns import Sample
from maker.totals import Totals

Ended: TypeAlias = Finish | Park


@dataclass(slots=True)
class Engine:
    """What the segments of one lane share."""

    models: Mapping[str, Model]
    """By the name that seats carry."""
    journal: Journal
    totals: Totals
    faults: Counter[str] = field(default_factory=Counter)
    """Transport faults not yet written, by slug."""

    async def run(self, chain: Chain, pending: list[Wish]) -> Ended:
        """Drive one chain from its pending wishes to its end.

        Raises BlockedError when a model cannot draw; what was under way is written first.
        """
        return await _Drive(self, chain).run(pending)

    def write(self, record: records.Record) -> None:
        self.journal.append(record)
        self.totals.fold(record)

    def write_faults(self) -> None:
        """One event for the faults since the last one, if any."""
        if self.faults:
            self.write(records.event("faults", counts=dict(self.faults)))
            self.faults.clear()


@dataclass(slots=True)
class _Drive:
    """One chain under way: its draws are tasks that put what they get into one inbox."""

    engine: Engine
    chain: Chain
    inbox: asyncio.Queue[Sample | Exception] = field(default_factory=asyncio.Queue)
    draws: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, wishes: list[Wish]) -> Ended:
        try:
            ended = self._do(wishes)
            while ended is None:
                ended = self._do(self._receive(await self.inbox.get()))
            return ended
        except BlockedError:
            await self._drain()
            raise
        finally:
            await self._cancel()

    def _do(self, wishes: list[Wish]) -> Ended | None:
        for wish in wishes:
            match wish:
                case Draw():
                    self._draw(wish)
                case Commit(decision):
                    self.engine.write(records.from_decision(decision))
                case Park(parked):
                    self.engine.write(records.from_parked(parked))
                    return wish
                case Finish(segment, state, steps):
                    self.engine.write(records.event("finish", segment=segment, steps=steps, state=state))
                    return wish
        return None

    def _receive(self, event: Sample | Exception) -> list[Wish]:
        if isinstance(event, Sample):
            self._write_sample(event)
            return self.chain.receive(event)
        if isinstance(event, BlockedError):
            raise event
        return self.chain.fail(f"the model raised {type(event).__name__}: {inert(event)}")

    def _write_sample(self, sample: Sample) -> None:
        step = self.chain.step
        self.engine.write(records.from_sample(step.segment, step.index, self.chain.state, sample))

    def _draw(self, wish: Draw) -> None:
        task = asyncio.create_task(self._collect(wish))
        self.draws.add(task)
        task.add_done_callback(self.draws.discard)

    async def _collect(self, wish: Draw) -> None:
        request = Request(wish.step, wish.prompt, wish.seats, self._count_fault)
        missing = {seat.draw for seat in wish.seats}
        try:
            async for sample in self.engine.models[wish.model].draw(request):
                missing.discard(sample.seat.draw)
                self.inbox.put_nowait(sample)
            if missing:
                raise RuntimeError(f"{wish.model} left seats {sorted(missing)} unfilled")
        except Exception as error:
            self.inbox.put_nowait(error)

    def _count_fault(self, fault: str) -> None:
        self.engine.faults[fault] += 1

    async def _drain(self) -> None:
        """Wait for what is under way and write what comes of it."""
        while self.draws or not self.inbox.empty():
            if self.draws:
                await asyncio.wait(self.draws)
            self._flush()

    def _flush(self) -> None:
        while not self.inbox.empty():
            event = self.inbox.get_nowait()
            if isinstance(event, Sample):
                self._write_sample(event)

    async def _cancel(self) -> None:
        """End what is under way; what has come in is still written."""
        draws = list(self.draws)
        for draw in draws:
            draw.cancel()
        await asyncio.gather(*draws, return_exceptions=True)
        self._flush()
