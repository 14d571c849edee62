"""What an endpoint answers to a Hanoi prompt: read from its text alone, as a model would read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from maker.decomposers.hanoi import Hanoi, path, wording
from maker.nouns import Json, Step
from maker.workers.simulated import MALFORMED

_ASKED = re.compile(r"previous_move = (.*)\ncurrent_state = (.*)$")


def right(prompt: str, ordinal: int) -> str:
    """The right answer."""
    state = _state(prompt)
    move = path.next_move(state["pegs"], state["previous"])
    return wording.write(move, path.apply(state["pegs"], move))


@dataclass(frozen=True, slots=True)
class Erring:
    """Right but for known shares; what a request is told depends on its prompt and its seed alone."""

    error: float = 0.02
    """Share of wrong answers among those that can be read."""
    flags: float = 0.02
    """Share of answers that no parser takes."""

    def __call__(self, prompt: str, seed: int) -> str:
        lot = Random(seed)
        if lot.random() < self.flags:
            return MALFORMED
        if lot.random() >= self.error:
            return right(prompt, seed)
        state = _state(prompt)
        return Hanoi(sum(map(len, state["pegs"]))).mistake(Step("0", 0, state), 0)


def _state(prompt: str) -> Json:
    found = _ASKED.search(prompt)
    assert found is not None
    pegs = [wording.integers(peg) for peg in re.findall(r"\[([\d, ]*)\]", found[2])]
    return {"previous": None if found[1] == "None" else wording.integers(found[1].strip("[]")), "pegs": pegs}
