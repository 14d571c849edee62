"""A decomposer and a model of one's own, in one file outside the package.

    maker run examples/own_task.py:Collatz -T start=27 --model examples/own_task.py:Careless

A step asks for the next number of the Collatz sequence; the model gets one answer in ten wrong.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Iterable, Mapping

from maker import Message, Prompt, RedFlag, Sample, Segment, Step
from maker.model import Request


class Collatz:
    """From `start` down to 1."""

    def __init__(self, start: int = 27) -> None:
        self.start = start

    def segments(self) -> Iterable[Segment]:
        return [Segment("main", {"number": self.start, "steps": 0})]

    def prompt(self, step: Step) -> Prompt | None:
        if step.state["number"] == 1:
            return None
        rule = "Halve an even number; of an odd one take three times and add one."
        return Prompt((Message("user", f"{rule} The number is {step.state['number']}. The next is:"),))

    def parse(self, step: Step, text: str) -> int:
        if not re.fullmatch(r"\s*\d{1,30}\s*", text, re.ASCII):
            raise RedFlag("malformed")
        return int(text)

    def advance(self, step: Step, answer: int) -> dict[str, int]:
        return {"number": answer, "steps": step.state["steps"] + 1}

    def stitch(self, finals: Mapping[str, dict[str, int]]) -> int:
        return finals["main"]["steps"]


class Careless:
    """Reads the number from the prompt; `error` is the share of its answers that are off by one."""

    name, temperatures = "careless", (None, None)

    def __init__(self, error: float = 0.1) -> None:
        self.error = error

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        number = int(request.prompt.messages[-1].content.rsplit("is ", 1)[1].split(".")[0])
        right = number // 2 if number % 2 == 0 else 3 * number + 1
        for seat in request.seats:
            wrong = random.Random(seat.seed).random() < self.error
            yield Sample(seat, str(right + wrong), "stop", 0, 1, 0.0)

    async def aclose(self) -> None:
        pass
