"""The task and the model of a simulation. What a draw answers depends on its step, state and draw index
alone, so that the auditor can work out for itself what an undisturbed run decides."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from random import Random

from maker.model import Request
from maker.nouns import Fork, Json, Message, Prompt, RedFlag, Sample, Segment, Step
from tests.simulation.world import CURRENT


def answer(
    seed: int,
    segment: str,
    step: int,
    state: int,
    draw: int,
    error: float,
    flags: float,
    asked: tuple[str, int] = ("endpoint", 0),
) -> str:
    """What the endpoint says, unique to state and draw: `NUMBER PLACE`, or `? PLACE` for nonsense.

    asked: which model, in which words.
    """
    other = "" if asked == ("endpoint", 0) else f"/{asked}"
    lot = Random(f"{seed}/{segment}/{step}/{state}/{draw}{other}")
    if lot.random() < flags:
        return f"? {state}.{draw}"
    truth = (state * 31 + 17) % 5
    return f"{(truth + lot.randint(1, 2)) % 5 if lot.random() < error else truth} {state}.{draw}"


def digest(state: int) -> str:
    """As records name a state."""
    return hashlib.blake2b(str(state).encode(), digest_size=8).hexdigest()


class Trail:
    """A chain of numbers, each a function of all before it; half way, above `depth`, it waits for two chains
    of half its length.
    """

    def __init__(self, length: int, count: int, depth: int) -> None:
        self.length, self.count, self.depth = length, count, depth
        self._log = CURRENT.get().world.log

    def segments(self) -> Iterable[Segment]:
        return [Segment(f"s{number}", number) for number in range(self.count)]

    def prompt(self, step: Step) -> Prompt | None:
        return (
            None if step.index == self._length(step.segment) else Prompt((Message("user", str(step.state)),))
        )

    def variant(self, step: Step, number: int) -> Prompt:
        return Prompt((Message("user", f"{step.state} in words {number}"),))

    def _length(self, segment: str) -> int:
        return self.length >> segment.count("/")

    def parse(self, step: Step, text: str) -> Json:
        if (step.segment, step.index, text) not in self._log.journaled:
            self._log.wrong.append(
                f"{step.segment}:{step.index} parsed {text!r}, which is not in the journal"
            )
        number = text.split()[0]
        if number == "?":
            raise RedFlag("malformed")
        return int(number)

    def advance(self, step: Step, answer: Json) -> Json | Fork:
        state = (step.state * 7 + answer + 1) % 10007
        half = self._length(step.segment) // 2
        if step.index != half or half == 0 or step.segment.count("/") >= self.depth:
            return state
        return Fork([state + 1, state + 2], state)

    def join(self, step: Step, finals: list[Json]) -> Json:
        return (step.state + 3 * finals[0] + 5 * finals[1]) % 10007

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool:
        steps = [(segment, index) for segment, index, _ in decided]
        return steps == sorted(steps) and len(steps) == len({*steps})

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return dict(sorted(finals.items()))


def _wait(lot: Random) -> float:
    """Seconds; often the same as others', so that samples come in together."""
    return lot.choice((0.0, 1.0, lot.expovariate(1.0)))


class Endpoint:
    """A model that logs each call it gets, and now and then answers late or only when asked again."""

    temperatures = (None, None)

    def __init__(
        self, seed: int, error: float, flags: float, faults: float, window: int, name: str = "endpoint"
    ) -> None:
        self.name = name
        self._seed, self._error, self._flags, self._faults = seed, error, flags, faults
        self._window = window

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        process, step = CURRENT.get(), request.step
        world, log = process.world, process.world.log
        place = (step.segment, step.index, digest(step.state))
        waits = sorted((_wait(world.lot), seat.draw, seat) for seat in request.seats)
        for _, draw, _ in waits:
            process.check()
            log.calls.append((world.loop.now, process.name, *place, draw))
            log.tries[process.name, *place, draw] += 1
        before = (step.segment, step.index - 1)
        if step.index and before not in (log.decided if self._window == 1 else log.sampled):
            log.wrong.append(f"{step.segment}:{step.index} was asked before the step before it was written")
        if step.index == 0 and "/" in step.segment:
            parent, _, child = step.segment.rpartition("/")
            fork = f'{{"kind":"decision","segment":"{parent}","step":{child.partition(".")[0]},'
            if not world.machine.keeps(fork.encode()):
                log.wrong.append(f"{step.segment} was begun before the fork that it comes from was durable")
        words = {f" in words {seat.variant}" if seat.variant else "" for seat in request.seats}
        if {f"{step.state}{each}" for each in words} != {request.prompt.messages[0].content}:
            log.wrong.append(f"{step.segment}:{step.index} was asked in other words than its seats say")
        waited = 0.0
        for wait, draw, seat in waits:
            if wait > waited:  # others come at the same time
                await asyncio.sleep(wait - waited)
                waited = wait
            while world.chance(self._faults):
                process.check()
                request.on_fault("http-503")
                await asyncio.sleep(world.lot.expovariate(2.0))
            process.check()
            shares = (self._error, self._flags, (self.name, seat.variant))
            text = answer(self._seed, step.segment, step.index, step.state, draw, *shares)
            log.texts[*place, draw] = text
            yield Sample(seat, text, "stop", 1, 1, wait)

    async def aclose(self) -> None:
        pass
