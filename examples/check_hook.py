"""A check hook: where code can tell a wrong answer, one vote a step is enough, however bad the model.

    maker run examples/check_hook.py:Factors -T number=360360 --model sim:error=0.3 --k 1

A step asks for one prime factor of what is left; the check divides. A wrong factor is a red flag, and
another sample is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import prod

from maker import Message, Prompt, RedFlag, Segment, Step


class Factors:
    """number: 2 to 10**9, taken apart into primes, smallest first."""

    def __init__(self, number: int = 360360) -> None:
        if not 2 <= number <= 10**9:
            raise ValueError(f"number={number}, expected 2 to 10**9")
        self.number = number

    def segments(self) -> Iterable[Segment]:
        return [Segment("main", {"left": self.number, "found": []})]

    def prompt(self, step: Step) -> Prompt | None:
        if step.state["left"] == 1:
            return None
        question = f"What is the smallest prime factor of {step.state['left']}? Answer with the number alone."
        return Prompt((Message("user", question),), max_tokens=20)

    def parse(self, step: Step, text: str) -> int:
        if not re.fullmatch(r"\s*\d{1,12}\s*", text, re.ASCII):
            raise RedFlag("malformed")
        return int(text)

    def check(self, step: Step, answer: int) -> bool | str:
        return (answer > 1 and step.state["left"] % answer == 0) or "no_factor"

    def advance(self, step: Step, answer: int) -> dict[str, object]:
        return {"left": step.state["left"] // answer, "found": [*step.state["found"], answer]}

    def stitch(self, finals: Mapping[str, dict[str, list[int]]]) -> list[int]:
        return finals["main"]["found"]

    def verify(self, decided: Iterable[tuple[str, int, int]]) -> bool | str:
        found = [answer for _, _, answer in decided]
        return (prod(found) == self.number and all(map(_is_prime, found))) or f"{found} are not its primes"

    def truth(self, step: Step) -> str:
        return str(next(n for n in range(2, step.state["left"] + 1) if step.state["left"] % n == 0))

    def mistake(self, step: Step, rank: int) -> str:
        return str(step.state["left"] + 1 + rank)


def _is_prime(number: int) -> bool:
    return all(number % n for n in range(2, int(number**0.5) + 1))
