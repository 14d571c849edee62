"""A model with known faults: for trials without a key, for tests, and for checking the theory.

It asks the task for the `truth` of a step and, as often as it is told to, for a `mistake` instead.
What it says depends on the seat's seed alone, so a run with it is the same at every worker count,
in every order and after every crash. It does not read the prompt.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from random import Random
from typing import Protocol

from maker.errors import UsageError
from maker.model import Request
from maker.nouns import Sample, Seat, Step
from maker.options import Seconds

MALFORMED = "I would rather not say."
"""What a sample of the flagged share reads; no parser should take it."""


SPREAD = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: multiples of it fill the circle evenly (Knuth, volume 3, 6.4)."""


class Truthful(Protocol):
    """What a task must offer to be simulated."""

    def truth(self, step: Step) -> str: ...
    def mistake(self, step: Step, rank: int) -> str: ...


class Simulated:
    """error: share of valid samples that are wrong. rivals: how many wrong answers share them, evenly.
    flags: share of samples that are malformed. hard, hard_error: share of steps, chosen by their
    segment and index, that have another error. latency: median seconds (or 20ms, 1.5s); sigma: of its
    logarithm (lognormal; 0 is constant). hard_seed: which steps are hard.
    """

    def __init__(
        self,
        task: Truthful,
        error: float = 0.0,
        rivals: int = 1,
        flags: float = 0.0,
        hard: float = 0.0,
        hard_error: float = 0.35,
        hard_seed: int = 0,
        latency: Seconds = 0.0,
        sigma: float = 0.0,
    ) -> None:
        shares = {"error": error, "flags": flags, "hard": hard, "hard_error": hard_error}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise UsageError(f"sim: {name}={share}, expected a share from 0 to 1")
        if rivals < 1 or not (0 <= latency < math.inf and 0 <= sigma < math.inf):
            raise UsageError("sim: expected rivals >= 1, and finite latency and sigma >= 0")
        if not (hasattr(task, "truth") and hasattr(task, "mistake")):
            raise UsageError(
                f"sim: the task cannot be simulated, {_lack(task)}; give another --model, such as openai:NAME"
            )
        self.name = "sim"
        self.temperatures = (None, None)
        self._task, self._error, self._rivals, self._flags = task, error, rivals, flags
        self._hard, self._hard_error, self._hard_seed = hard, hard_error, hard_seed
        self._latency, self._sigma = latency, sigma

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        error = self._error_at(request.step)
        said: dict[int | None, str] = {}
        drawn = sorted((self._draw(request.step, seat, error, said) for seat in request.seats), key=_latency)
        began = asyncio.get_running_loop().time()
        for sample in drawn:
            if sample.latency:
                await self._wait(began + sample.latency)
            yield sample

    async def _wait(self, until: float) -> None:
        """By the event loop's clock."""
        await asyncio.sleep(until - asyncio.get_running_loop().time())

    async def aclose(self) -> None:
        pass

    def _draw(self, step: Step, seat: Seat, error: float, said: dict[int | None, str]) -> Sample:
        lot = (seat.seed * SPREAD % 2**64) / 2**64
        if lot < self._flags:
            text = MALFORMED
        else:
            wrong = lot < self._flags + (1 - self._flags) * error
            rank = Random(seat.seed).randrange(self._rivals) if wrong else None
            text = said.get(rank) or said.setdefault(rank, self._say(step, rank))
        late = Random(seat.seed).gauss(sigma=self._sigma) if self._latency else 0.0
        return Sample(seat, text, "stop", 0, len(text) // 4, self._latency * math.exp(late), "sim")

    def _say(self, step: Step, rank: int | None) -> str:
        """A mistake by its rank, or the truth."""
        return self._task.truth(step) if rank is None else self._task.mistake(step, rank)

    def _error_at(self, step: Step) -> float:
        if not self._hard:
            return self._error
        lot = Random(f"{self._hard_seed}/{step.segment}/{step.index}").random()
        return self._hard_error if lot < self._hard else self._error


def _lack(task: object) -> str:
    """Why a task has no truth: in its own words, where a property of it says so."""
    if isinstance(getattr(type(task), "truth", None), property):
        try:
            task.truth  # type: ignore[attr-defined]  # noqa: B018
        except AttributeError as error:
            return str(error)
    return "it has no truth() and mistake()"


def _latency(sample: Sample) -> float:
    return sample.latency
