"""Extract, transform, load: 1,000 untidy lines become typed records, one vote a line, and are added up.

    maker run examples/etl.py:Payments --model examples/etl.py:Clerk

The answer of a step is a `Payment`. Two are equal when their canonical forms are: the clerks write a name in
large or small letters, and their votes still count together. What is not a valid payment never votes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from random import Random
from typing import Annotated, Literal

from pydantic import BaseModel

import maker
from maker import Canonical, Message, Prompt, Sample, Segment, Step
from maker.model import Request


class Payment(BaseModel):
    payer: Annotated[str, Canonical(str.casefold)]
    cents: int
    currency: Literal["EUR", "USD"]


def untidy(number: int) -> str:
    """A line as it might stand in somebody's notes."""
    payer, cents = ("Ada", "Ben", "Cleo")[number % 3], 100 + number * 7
    amount = f"{cents // 100}.{cents % 100:02}"
    return f"{payer} paid {amount}$" if number % 2 else f"{amount} EUR from {payer}"


class Payments:
    answer = Payment

    def __init__(self, lines: int = 1000) -> None:
        self.steps = lines

    def segments(self) -> Iterable[Segment]:
        return (Segment(f"{number:06d}", untidy(number)) for number in range(self.steps))

    def prompt(self, step: Step) -> Prompt | None:
        if step.index == 1:
            return None
        rules = f"Answer with one JSON object of this schema, nothing else: {maker.schema(Payment)}"
        return Prompt((Message("system", rules), Message("user", step.state)))

    def check(self, step: Step, answer: Payment) -> bool:
        return answer.payer.casefold() in step.state.casefold()

    def advance(self, step: Step, answer: Payment) -> list[str | int]:
        return [answer.currency, answer.cents]

    def stitch(self, finals: Mapping[str, tuple[str, int]]) -> dict[str, int]:
        """Cents of each currency."""
        totals = Counter[str]()
        for currency, cents in finals.values():
            totals[currency] += cents
        return dict(sorted(totals.items()))


class Clerk:
    """Reads a line; one answer in ten is wrong, and one in twenty is a remark instead."""

    name, temperatures = "clerk", (None, None)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        line = request.prompt.messages[-1].content
        units, cents = re.findall(r"(\d+)\.(\d\d)", line)[0]
        payer = re.findall(r"Ada|Ben|Cleo", line)[0]
        for seat in request.seats:
            lot = Random(seat.seed)
            wrong = lot.random() < 0.1
            read = {
                "payer": lot.choice([payer, payer.upper()]),
                "cents": int(units + cents) * (1 + 9 * wrong),
            }
            text = json.dumps({**read, "currency": "USD" if "$" in line else "EUR"})
            yield Sample(seat, "It is untidy." if lot.random() < 0.05 else text, "stop", 0, 1, 0.0)

    async def aclose(self) -> None:
        pass
