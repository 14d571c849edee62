"""The embedded model: a very small language model in numpy that plays the towers of Hanoi, mostly right.

It needs no key and no network. It does not read the rules in the prompt, knows no other task and no
more than 20 disks. Chains that wait in the same turn of the event loop are drawn in one batch.
Invariant: a seat's text depends on its prompt, temperature and seed alone. Read next: `drawing.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from functools import cache
from itertools import islice
from time import perf_counter

from maker.errors import UsageError
from maker.model import Request
from maker.nouns import Sample, Seat, Step
from maker.task import Decomposer
from maker.workers.embedded import tokenizer, weights
from maker.workers.embedded.drawing import Asked, Draw, Drawing
from maker.workers.embedded.transformer import CONTEXT, Transformer

MOST = 64
"""Prompts in one batch: a longer queue is drawn in several turns, so that the loop stays awake."""


@cache
def load() -> Transformer:
    """The shipped model, read once a process; MakerError if its weights are damaged."""
    return Transformer(weights.read())


class Embedded:
    """`--model embedded` or `--model embedded:temperature=2.0`.

    temperature: 0 or more; 0 takes the likeliest token. At 1.0 hardly an answer is wrong; from 2.0 on
    enough are to make runs without voting fail (docs/embedded-model.md has the rates). task: given by
    Maker; one that the model does not know is refused before anything is drawn.
    """

    def __init__(self, temperature: float = 1.0, task: Decomposer | None = None) -> None:
        if not (isinstance(temperature, int | float) and math.isfinite(temperature) and temperature >= 0):
            raise UsageError(
                f"embedded: temperature={temperature!r}, expected a number from 0 up, such as 1.5"
            )
        self.name = "embedded" if temperature == 1.0 else f"embedded:temperature={temperature}"
        self.temperatures: tuple[float | None, float | None] = (float(temperature), float(temperature))
        self._temperature = float(temperature)
        self._transformer = load()
        if task is not None:
            _try(task)
        self._waiting: list[tuple[Asked, asyncio.Future[None]]] = []

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        """Fill every seat; UsageError if the prompt is not a question about Hanoi with 1 to 20 disks."""
        begun = perf_counter()
        asked = self._asked(request)
        loop = asyncio.get_running_loop()
        drawn = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush, loop)
        self._waiting.append((asked, drawn))
        await drawn
        for sample in self._samples(request, asked, perf_counter() - begun):
            yield sample

    async def aclose(self) -> None:
        for _, drawn in self._waiting:
            drawn.cancel()
        self._waiting.clear()

    # -- one batch a turn --------------------------------------------------------------------------

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Draw for all who wait and have not gone away; their tasks go on in the next turn."""
        batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            loop.call_soon(self._flush, loop)
        wanted = [(asked, drawn) for asked, drawn in batch if not drawn.done()]
        if wanted:
            Drawing(self._transformer, [asked for asked, _ in wanted]).run()
        for _, drawn in wanted:
            drawn.set_result(None)

    # -- from a request and back to samples --------------------------------------------------------

    def _asked(self, request: Request) -> Asked:
        prompt = tokenizer.template(request.prompt.messages)
        if len(prompt) >= CONTEXT:
            raise UsageError(
                f"the embedded model saw a prompt of {len(prompt)} tokens, expected under {CONTEXT}"
            )
        cap = request.prompt.max_tokens
        draws = [Draw(self._heat(seat), seat.seed) for seat in request.seats]
        return Asked(prompt, draws, CONTEXT if cap is None else max(1, cap))

    def _heat(self, seat: Seat) -> float:
        return self._temperature if seat.temperature is None else seat.temperature

    def _samples(self, request: Request, asked: Asked, latency: float) -> Iterator[Sample]:
        share, rest = divmod(len(asked.prompt), len(asked.draws))
        for number, (seat, draw) in enumerate(zip(request.seats, asked.draws, strict=True)):
            text, stopped = _text(draw, request.prompt.stop)
            yield Sample(
                seat=seat,
                text=text,
                finish="stop" if stopped else "length",
                tokens_in=share + (number < rest),
                tokens_out=len(draw.tokens),
                latency=latency,
                model="embedded",
                logprob=draw.logprob,
            )


def _try(task: Decomposer) -> None:
    """UsageError if even the first question of a task is none that this model can read."""
    for segment in islice(task.segments(), 1):
        prompt = task.prompt(Step(segment.id, 0, segment.state))
        if prompt is not None:
            tokenizer.template(prompt.messages)


def _text(draw: Draw, stops: tuple[str, ...]) -> tuple[str, bool]:
    """The response up to its end mark or the first stop, and whether it had one of them."""
    text = tokenizer.decode(draw.tokens if draw.cut else draw.tokens[:-1])
    ends = [at for at in map(text.find, stops) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, not draw.cut)
