"""The embedded model: very small language models in numpy, one a task, each mostly right in its own.

It needs no key and no network. It does not read the rules in the prompt and knows no task but those in
`dialects/`; which one is asked shows at the prompt's end. Chains that wait in the same turn of the event
loop are drawn in one batch. Invariant: a seat's text depends on its prompt, temperature and seed alone.
Read next: `drawing.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from time import perf_counter
from typing import ClassVar

from maker.errors import UsageError
from maker.model import Request
from maker.nouns import Message, Sample, Seat, Step
from maker.task import Decomposer
from maker.workers.embedded import dialects, weights
from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.drafting import Drafts
from maker.workers.embedded.drawing import Asked, Draw, Drawing
from maker.workers.embedded.transformer import CONTEXT, Transformer

MOST = 64
"""Prompts in one batch: a longer queue is drawn in several turns, so that the loop stays awake."""


@cache
def load(dialect: Dialect, number: int = 1) -> Transformer:
    """A shipped set of weights, read once a process.

    UsageError if the dialect has no set of this number, MakerError if the weights are damaged.
    """
    held = weights.sets(dialect.name)
    if not 1 <= number <= held:
        expected = "1" if held == 1 else f"1 to {held}"
        raise UsageError(f"embedded: weights={number}, expected {expected}: {dialect.name} has no more")
    return Transformer(weights.read(weights.shipped(dialect.name, number)))


def fill(dialect: Dialect, asked: list[Asked], drafts: Drafts | None = None, number: int = 1) -> None:
    """Fill all draws, in one batch; with drafts that were kept it takes fewer passes."""
    Drawing(load(dialect, number), drafts or Drafts(dialect), asked).run()


@dataclass(frozen=True, slots=True)
class _Waiting:
    dialect: Dialect
    asked: Asked
    drawn: asyncio.Future[None]


class Embedded:
    """`--model embedded`, `--model embedded:temperature=2.0`, `--model embedded:weights=2`.

    temperature: 0 or more; 0 takes the likeliest token. At 1.0 hardly an answer is wrong; from 2.0 on
    enough are to make runs without voting fail (docs/embedded-model.md has the rates). weights: which of the
    sets that were trained apart, for a panel whose members err at different questions; from 1. task: given
    by Maker; one that the model does not know is refused before anything is drawn.
    """

    resources: ClassVar[Mapping[str, float]] = {"num_cpus": 1}
    """Of its actor's node: it computes."""

    def __init__(self, temperature: float = 1.0, weights: int = 1, task: Decomposer | None = None) -> None:
        if not (isinstance(temperature, int | float) and math.isfinite(temperature) and temperature >= 0):
            raise UsageError(
                f"embedded: temperature={temperature!r}, expected a number from 0 up, such as 1.5"
            )
        self.name = _name(temperature, weights)
        self.temperatures: tuple[float | None, float | None] = (float(temperature), float(temperature))
        self._temperature, self._number = float(temperature), weights
        if task is not None:
            _try(task, weights)
        self._waiting: list[_Waiting] = []
        self._drafts: dict[Dialect, Drafts] = {}

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        """Fill every seat; UsageError if the prompt is not a question of a task that the model knows."""
        begun = perf_counter()
        dialect, prompt = _question(request.prompt.messages, self._number)
        asked = self._asked(request, prompt)
        loop = asyncio.get_running_loop()
        drawn = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush, loop)
        self._waiting.append(_Waiting(dialect, asked, drawn))
        await drawn
        for sample in self._samples(request, dialect, asked, perf_counter() - begun):
            yield sample

    async def aclose(self) -> None:
        for waiting in self._waiting:
            waiting.drawn.cancel()
        self._waiting.clear()

    # -- one batch a turn --------------------------------------------------------------------------

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Draw for all who wait and have not gone away; their tasks go on in the next turn."""
        batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            loop.call_soon(self._flush, loop)
        wanted: dict[Dialect, list[Asked]] = {}
        for waiting in batch:
            if not waiting.drawn.done():
                wanted.setdefault(waiting.dialect, []).append(waiting.asked)
        for dialect, asked in wanted.items():
            fill(dialect, asked, self._drafts.setdefault(dialect, Drafts(dialect)), self._number)
        for waiting in batch:
            if not waiting.drawn.done():
                waiting.drawn.set_result(None)

    # -- from a request and back to samples --------------------------------------------------------

    def _asked(self, request: Request, prompt: list[int]) -> Asked:
        cap = request.prompt.max_tokens
        draws = [Draw(self._heat(seat), seat.seed) for seat in request.seats]
        return Asked(prompt, draws, CONTEXT if cap is None else max(1, cap))

    def _heat(self, seat: Seat) -> float:
        return self._temperature if seat.temperature is None else seat.temperature

    def _samples(self, request: Request, dialect: Dialect, asked: Asked, latency: float) -> Iterator[Sample]:
        share, rest = divmod(len(asked.prompt), len(asked.draws))
        for number, (seat, draw) in enumerate(zip(request.seats, asked.draws, strict=True)):
            text, stopped = _text(dialect, draw, request.prompt.stop)
            yield Sample(
                seat=seat,
                text=text,
                finish="stop" if stopped else "length",
                tokens_in=share + (number < rest),
                tokens_out=len(draw.tokens),
                latency=latency,
                model="embedded" if self._number == 1 else f"embedded-{self._number}",
                logprob=draw.logprob,
            )


def _name(temperature: float, number: int) -> str:
    """As on a command line, without what is as usual."""
    chosen = {"temperature": (temperature, 1.0), "weights": (number, 1)}
    options = ",".join(f"{option}={value}" for option, (value, usual) in chosen.items() if value != usual)
    return f"embedded:{options}" if options else "embedded"


def _try(task: Decomposer, number: int) -> None:
    """UsageError if even the first question of a task is none that this model can read."""
    for segment in islice(task.segments(), 1):
        prompt = task.prompt(Step(segment.id, 0, segment.state))
        if prompt is not None:
            _question(prompt.messages, number)


def _question(messages: tuple[Message, ...], number: int) -> tuple[Dialect, list[int]]:
    """A question whose dialect has its weights loaded: damaged ones are an error of who asks."""
    dialect, prompt = dialects.find(messages)
    if len(prompt) >= CONTEXT:
        raise UsageError(f"the embedded model saw a prompt of {len(prompt)} tokens, expected under {CONTEXT}")
    load(dialect, number)
    return dialect, prompt


def _text(dialect: Dialect, draw: Draw, stops: tuple[str, ...]) -> tuple[str, bool]:
    """The response up to its end mark or the first stop, and whether it had one of them."""
    text = dialect.words.decode(draw.tokens if draw.cut else draw.tokens[:-1])
    ends = [at for at in map(text.find, stops) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, not draw.cut)
