"""What an endpoint answers to the prompts of decomposers/recursive: read from their text alone, with errors.

It can multiply single digits, put two numbers in order, cut a number or a list in two, and compose: what a
small model is trusted with. Invariant: an answer depends on prompt and seed alone.
"""

from __future__ import annotations

import heapq
import json
import re
from dataclasses import dataclass
from itertools import chain
from random import Random

from maker.workers.simulated import MALFORMED

_PROBLEM = re.compile(r"Here is a problem:\n(.*)\n\n")
_MULTIPLY = re.compile(r"Multiply (\d+) by (\d+)")
_CANDIDATE = re.compile(r"^(\d+): .* by (\d+)\n +S1 \* 10\^(\d+) \+ S2$", re.MULTILINE)
_HALVES = re.compile(r"^(\d+): Sort in ascending order: (\[.*?\]); .*: (\[.*?\])$", re.MULTILINE)
_SHIFT = re.compile(r"S1 \* 10\^(\d+) \+ S2")
_SOLUTION = re.compile(r"has the solution (.*)")
_STAGES = (
    ("ATOMIC:", "atomic"),
    ("SUBPROBLEM:", "split"),
    ("CANDIDATE:", "choose"),
    ("It was split", "compose"),
)


@dataclass(frozen=True, slots=True)
class Splitting:
    error: float = 0.02
    """Share of wrong answers among those that can be read, at every stage."""
    flags: float = 0.02
    """Share of answers that no parser takes."""

    def __call__(self, prompt: str, seed: int) -> str:
        lot = Random(seed)
        if lot.random() < self.flags:
            return MALFORMED
        found = _PROBLEM.search(prompt)
        assert found is not None
        stage = next((name for mark, name in _STAGES if mark in prompt), "solve")
        kind = _Product if _MULTIPLY.fullmatch(found[1]) else _Order
        said: str = getattr(kind(found[1]), stage)(prompt, lot.random() < self.error, lot)
        return f"Let me see.\n{said}"


class _Product:
    def __init__(self, problem: str) -> None:
        found = _MULTIPLY.fullmatch(problem)
        assert found is not None
        self.left, self.right = found[1], found[2]

    def atomic(self, prompt: str, wrong: bool, lot: Random) -> str:
        return f"ATOMIC: {_yes((len(self.left) == len(self.right) == 1) != wrong)}"

    def split(self, prompt: str, wrong: bool, lot: Random) -> str:
        """The longer number, near the middle; a wrong one shifts too far."""
        one, two = (self.left, self.right) if len(self.left) <= len(self.right) else (self.right, self.left)
        low = max(1, min(len(two) - 1, len(two) // 2 + lot.randint(0, 1)))
        parts = (two[:-low], two[-low:])
        lines = [f"SUBPROBLEM: Multiply {one} by {part}" for part in parts]
        return "\n".join([*lines, f"COMPOSITION: S1 * 10^{low + wrong} + S2"])

    def choose(self, prompt: str, wrong: bool, lot: Random) -> str:
        found = _CANDIDATE.findall(prompt)
        sound = [number for number, low, shift in found if len(low) == int(shift)]
        others = [number for number, *_ in found if number not in sound[:1]]
        return f"CANDIDATE: {others[0] if wrong or not sound else sound[0]}"

    def solve(self, prompt: str, wrong: bool, lot: Random) -> str:
        return f"SOLUTION: {int(self.left) * int(self.right) + wrong:,}"

    def compose(self, prompt: str, wrong: bool, lot: Random) -> str:
        shift = _SHIFT.search(prompt)
        assert shift is not None
        high, low = (int(each.replace(",", "")) for each in _SOLUTION.findall(prompt))
        return f"SOLUTION: {high * 10 ** int(shift[1]) + low + wrong}"


class _Order:
    def __init__(self, problem: str) -> None:
        self.numbers: list[int] = json.loads(problem[problem.index("[") :])

    def atomic(self, prompt: str, wrong: bool, lot: Random) -> str:
        return f"ATOMIC: {_yes((len(self.numbers) <= 2) != wrong)}"

    def split(self, prompt: str, wrong: bool, lot: Random) -> str:
        """A wrong one loses a number."""
        half = len(self.numbers) // 2
        parts = (self.numbers[:half], self.numbers[half + wrong :])
        lines = [f"SUBPROBLEM: Sort in ascending order: {part}" for part in parts]
        return "\n".join([*lines, "COMPOSITION: merge S1 and S2"])

    def choose(self, prompt: str, wrong: bool, lot: Random) -> str:
        found = _HALVES.findall(prompt)
        whole = [name for name, *halves in found if [*chain(*map(json.loads, halves))] == self.numbers]
        others = [number for number, *_ in found if number not in whole[:1]]
        return f"CANDIDATE: {others[0] if wrong or not whole else whole[0]}"

    def solve(self, prompt: str, wrong: bool, lot: Random) -> str:
        return f"SOLUTION: {sorted(self.numbers)[:: -1 if wrong else 1]}"

    def compose(self, prompt: str, wrong: bool, lot: Random) -> str:
        merged = list(heapq.merge(*map(json.loads, _SOLUTION.findall(prompt))))
        return f"SOLUTION: {merged[1:] if wrong else merged}"


def _yes(verdict: bool) -> str:
    return "yes" if verdict else "no"
