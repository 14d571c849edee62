"""A decomposer of your own: adds up numbers, one addition a step.

Change it into your task: what a state holds, what is asked at a step, how an answer is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate

from maker import Message, Prompt, RedFlag, Segment, Step


class NewTask:
    """numbers: whole numbers from 0 up."""

    def __init__(self, numbers: tuple[int, ...] = (12, 7, 30, 51, 9, 88)) -> None:
        self.numbers, self.steps = numbers, len(numbers)

    def segments(self) -> Iterable[Segment]:
        return [Segment("sum", 0)]

    def prompt(self, step: Step) -> Prompt | None:
        if step.index == len(self.numbers):
            return None
        question = f"What is {step.state} + {self.numbers[step.index]}? Answer with the number alone."
        return Prompt((Message("user", question),), max_tokens=20)

    def parse(self, step: Step, text: str) -> int:
        if not re.fullmatch(r"\s*\d{1,30}\s*", text, re.ASCII):
            raise RedFlag("malformed")
        return int(text)

    def advance(self, step: Step, answer: int) -> int:
        return answer

    def stitch(self, finals: Mapping[str, int]) -> int:
        return finals["sum"]

    # -- optional: a judge of the whole run, and answers for --model sim -----------------------------

    def verify(self, decided: Iterable[tuple[str, int, int]]) -> bool:
        return [answer for _, _, answer in decided] == list(accumulate(self.numbers))

    def truth(self, step: Step) -> str:
        return str(step.state + self.numbers[step.index])

    def mistake(self, step: Step, rank: int) -> str:
        return str(step.state + self.numbers[step.index] + 1 + rank)
