"""How a chain's draws are made: with leave to spend, not in a pause, each in a task, perhaps once more.

What comes of them is put into one inbox, for whoever drives the chain. It reads no sample and writes nothing.
Invariant: a draw comes to a sample for each of its seats, or to an error behind those that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from maker.budget import Allowance
from maker.chain import Place
from maker.hedging import Hedge, Race, Twice
from maker.model import Model, Request, unsound
from maker.nouns import Sample, Seat
from maker.pause import Gate
from maker.throttle import Throttles
from maker.voting import Draw

Came: TypeAlias = tuple[Draw, Sample | BaseException]


@dataclass(slots=True)
class Means:
    """What all draws of a lane share."""

    allowance: Allowance | None = None
    """What they may spend; None is as much as they like."""
    throttles: Throttles | None = None
    """How many requests models may have under way; None is as many as they like."""
    gate: Gate = field(default_factory=Gate)
    """Closed while nothing new may be drawn."""
    hedge: Hedge | None = None
    """When draws without a reply are sent once more; None is never."""


@dataclass(slots=True)
class Drawing:
    """Of one chain."""

    means: Means
    segment: str
    needs: Callable[[Place], bool]
    """Whether the chain goes on with what is drawn there."""
    on_fault: Callable[[str], None]
    inbox: list[Came] = field(default_factory=list)
    twice: list[tuple[Draw, Twice]] = field(default_factory=list)
    """Beside the inbox: what was paid twice."""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Something is in the inbox."""
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def draw(self, wish: Draw, model: Model) -> None:
        """As soon as it has leave."""
        if self.means.allowance is None:
            self._launch(wish, model)
            return
        places = tuple(_place(wish, seat.draw) for seat in wish.seats)
        self.means.allowance.ask(places, wish.prompt, wish.model, partial(self._launch, wish, model))

    def take(self) -> tuple[list[Came], list[tuple[Draw, Twice]]]:
        """Empty the inbox, and what is beside it."""
        came, self.inbox = self.inbox, []
        twice, self.twice = self.twice, []
        self.came.clear()
        return came, twice

    def settle(self, came: list[Came], twice: list[tuple[Draw, Twice]]) -> None:
        """What was taken is counted as spent now, and need not be held back any more."""
        if self.means.allowance:
            for draw, sample in came:
                if isinstance(sample, Sample):
                    self.means.allowance.settle(_place(draw, sample.seat.draw), sample.tokens_out)
        for draw, each in twice:
            self._settle_copy(draw, each.seats)

    def give_back(self, draw: Draw) -> None:
        """Nothing more comes of it: what its seats were given leave to spend is free."""
        if self.means.allowance:
            for seat in draw.seats:
                self.means.allowance.settle(_place(draw, seat.draw), 0)

    def begin_no_more(self) -> None:
        """What is under way may end; what waits for allowance or for a pause to end never begins."""
        self.means.gate.withdraw(self.segment)
        if self.means.allowance:
            self.means.allowance.withdraw(self.segment)

    async def drain(self) -> None:
        """Wait for what is under way."""
        if self.under_way:
            await asyncio.wait(self.under_way)

    def cancel(self) -> asyncio.Future[list[BaseException | None]]:
        """End what is under way, which may take as long as a model likes."""
        draws = list(self.under_way)
        for draw in draws:
            draw.cancel()
        return asyncio.gather(*draws, return_exceptions=True)

    def forget(self) -> None:
        """Give back what is held for the chain's draws."""
        if self.means.allowance:
            self.means.allowance.drop(self.segment)

    def _launch(self, wish: Draw, model: Model) -> None:
        if self.means.gate.closed:
            self.means.gate.hold(wish.step.segment, partial(self._launch, wish, model))
            return
        task = asyncio.create_task(self._collect(wish, model))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    def _put(self, draw: Draw, event: Sample | BaseException) -> None:
        self.inbox.append((draw, event))
        self.came.set()

    async def _collect(self, wish: Draw, model: Model) -> None:
        throttle = self.means.throttles.of(wish.model) if self.means.throttles else None
        request = Request(wish.step, wish.prompt, wish.seats, self.on_fault, throttle)
        try:
            missing = await (self._once if self.means.hedge is None else self._hedged)(wish, model, request)
            if missing:
                raise RuntimeError(f"{wish.model} left seats {sorted(missing)} unfilled")
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise
            self._put(wish, RuntimeError(f"{wish.model} cancelled itself"))
        except BaseException as error:
            self._put(wish, error)

    async def _once(self, wish: Draw, model: Model, request: Request) -> set[int]:
        """Draws that the model left unfilled."""
        missing = {seat.draw for seat in wish.seats}
        async for sample in model.draw(request):
            if reason := unsound(sample):  # models are plug-ins
                raise TypeError(reason)
            missing.discard(sample.seat.draw)
            self._put(wish, sample)
        return missing

    async def _hedged(self, wish: Draw, model: Model, request: Request) -> set[int]:
        """The same by two tries, where the first is late."""
        assert self.means.hedge is not None
        race = Race(
            self.means.hedge,
            model,
            request,
            partial(self._copy, wish, request),
            partial(self._settle_copy, wish),
            partial(self._put, wish),
            lambda twice: self.twice.append((wish, twice)),
        )
        await race.run()
        return set(race.missing)

    def _copy(self, wish: Draw, request: Request, seats: tuple[Seat, ...]) -> Request | None:
        """Leave to ask once more, for what the chain needs only, and where it is in nobody's way."""
        idle = request.throttle is None or request.throttle.spare
        if self.means.gate.closed or not idle or not self.needs((wish.step.index, wish.state)):
            return None
        places = [_place(wish, ~seat.draw) for seat in seats]
        allowance = self.means.allowance
        if allowance and not allowance.take(places, wish.prompt, wish.model):
            return None
        return replace(request, seats=seats, spare=True)

    def _settle_copy(self, draw: Draw, seats: tuple[Seat, ...]) -> None:
        if self.means.allowance:
            for seat in seats:
                self.means.allowance.settle(_place(draw, ~seat.draw), 0)


def _place(draw: Draw, number: int) -> tuple[str, int, str, int]:
    """Under which an allowance holds a draw of this index; of a copy it is the complement."""
    return draw.step.segment, draw.step.index, draw.state, number
