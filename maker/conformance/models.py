"""What every model must keep: each seat filled once by a sample the journal can hold, and a quiet end.

Whether its answers are any good is not asked. Each check makes a model of its own and lets go of it.
Invariant: a model that hangs is a finding, not a hang.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from maker.conformance.finding import Finding, fail, ok, run_all
from maker.errors import PluginError
from maker.guard import explained
from maker.model import Model, Request, unsound
from maker.nouns import Message, Prompt, Sample, Seat, Step

STEP = Step("check", 0, None)
PROMPT = Prompt((Message("user", "Say a word."),), max_tokens=20)
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """How a model is made, and what it is asked."""

    make: Callable[[], Model]
    step: Step = STEP
    prompt: Prompt = PROMPT
    patience: float = PATIENCE
    """Seconds that a check may take."""


def check(asked: Asked) -> Iterator[Finding]:
    return run_all((name, partial(each, asked)) for name, each in CHECKS.items())


def named(asked: Asked) -> Finding:
    """It has a name and two temperatures, the same from each instance."""
    one: Any = asked.make()
    two: Any = asked.make()
    name = getattr(one, "name", None)
    heats: tuple[Any, ...] = tuple(getattr(one, "temperatures", ()))
    if not isinstance(name, str) or not name:
        return fail(f"its name is {name!r}", "a text", 'name = "mine"')
    if len(heats) != 2 or not all(heat is None or isinstance(heat, int | float) for heat in heats):
        return fail(f"its temperatures are {heats!r}", "two numbers or None", "temperatures = (0.0, 0.1)")
    if (two.name, tuple(two.temperatures)) != (name, heats):
        return fail("another instance has another name or temperatures", "the same: they are in the journal")
    return ok(f"{name}, temperatures {heats[0]} and {heats[1]}")


def fills(asked: Asked) -> Finding:
    """Every seat of a request gets exactly one sample, with the seat as it was given."""

    async def play(model: Model) -> Finding:
        for count in (1, 2, 7):
            seats = _seats(model, count)
            samples = await _draw(model, asked, seats)
            if wrong := _wrong(seats, samples):
                return wrong
        return ok("requests of 1, 2 and 7 seats are filled, each seat once")

    return _played(asked, play)


def together(asked: Asked) -> Finding:
    """Requests at the same time do not mix up their seats."""

    async def play(model: Model) -> Finding:
        lots = [_seats(model, 3, first) for first in (0, 10, 20, 30)]
        drawn = await asyncio.gather(*(_draw(model, asked, seats) for seats in lots))
        wrong = (
            found for seats, samples in zip(lots, drawn, strict=True) if (found := _wrong(seats, samples))
        )
        return next(wrong, ok("four requests at the same time keep their seats"))

    return _played(asked, play)


def cancelled(asked: Asked) -> Finding:
    """A draw that is cancelled ends, and the next one is filled."""

    async def play(model: Model) -> Finding:
        seats = _seats(model, 3)
        for wait in (0.0, 0.01):
            draw = asyncio.ensure_future(_draw(model, asked, seats))
            await asyncio.sleep(wait)
            draw.cancel()
            await asyncio.gather(draw, return_exceptions=True)
        return _wrong(seats, await _draw(model, asked, seats)) or ok(
            "after a cancelled draw the next is filled"
        )

    return _played(asked, play)


def closes(asked: Asked) -> Finding:
    """`aclose` may be called twice, and without a draw."""

    async def play(model: Model) -> Finding:
        await model.aclose()
        return ok("aclose can be called again")

    return _played(asked, play)


CHECKS: dict[str, Callable[[Asked], Finding]] = {
    "name": named,
    "seats": fills,
    "together": together,
    "cancel": cancelled,
    "close": closes,
}
"""By name, in the order in which they are run."""


def _seats(model: Model, count: int, first: int = 0) -> tuple[Seat, ...]:
    heats = model.temperatures
    return tuple(Seat(d, model.name, heats[d > 0], 1000 + d) for d in range(first, first + count))


async def _draw(model: Model, asked: Asked, seats: tuple[Seat, ...]) -> list[Sample]:
    return [sample async for sample in model.draw(Request(asked.step, asked.prompt, seats))]


def _wrong(seats: tuple[Seat, ...], samples: list[Sample]) -> Finding | None:
    for sample in samples:
        if reason := unsound(sample):
            return fail("draw yielded a sample that the journal cannot hold", reason)
        if sample.latency < 0 or sample.tokens_in < 0 or sample.tokens_out < 0:
            return fail("a sample has a latency or token count below 0", "0 or more")
    if Counter(sample.seat for sample in samples) != Counter(seats):
        filled = sorted(sample.seat.draw for sample in samples)
        return fail(
            f"of the draws {[seat.draw for seat in seats]} these were filled: {filled}",
            "each once, with the seat of the request",
            "yield Sample(seat, ...) for each seat in request.seats",
        )
    return None


def _played(asked: Asked, play: Callable[[Model], Awaitable[Finding]]) -> Finding:
    """What comes of it with a model of its own, which is let go of, within the time."""

    async def whole() -> Finding:
        model = asked.make()
        try:
            async with asyncio.timeout(asked.patience):
                try:
                    return await play(model)
                finally:
                    await model.aclose()
        except TimeoutError:
            return fail(f"it did not end within {asked.patience:.0f} s", "samples, or a BlockedError")
        except Exception as error:
            raise PluginError(explained("the model", asked.step, error, model.draw)) from error

    return asyncio.run(whole())
