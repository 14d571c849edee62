"""Measures the shipped weights that say several Hanoi moves at once: how sure an answer of m moves is.

`python -m training.moves FILE.json`. Exact by one teacher-forced pass, split into the moves and the pegs
after them, and drawn and parsed. Invariant: every number of moves is asked of the same weights and, within a
set, at the same states. Read next: `exact.py`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maker.decomposers.hanoi import several
from maker.nouns import Json
from maker.workers.embedded.dialects.hanoi_moves import DIALECT, LARGEST, MOST, NEXT
from maker.workers.embedded.vocabulary import ANSWER, PAD
from training.exact import Floats, answers, exact, majority_wrong, teacher_forced
from training.lesson import Ints
from training.lessons import hanoi
from training.lessons import hanoi_moves as data
from training.lessons.hanoi import Steps

TEMPERATURES = (1.0, 1.5, 2.0)
DRAWN_OF, DRAWN = 80, 20
"""Questions of a set that are drawn from at most, and answers of each."""


def sets() -> Iterator[tuple[str, list[Steps]]]:
    """Every path state of 10 disks; distinct held-out states of 5 to 10 disks, of each kind about as many."""
    every = hanoi.path(LARGEST, np.arange((1 << LARGEST) - MOST))
    yield "path of 10 disks", [every]
    rng, unseen = np.random.default_rng(2026), []
    for disks in range(hanoi.SMALL, LARGEST + 1):
        for kind in ("path", "uniform", "sticky"):
            steps = data.possible(hanoi.draw(rng, kind, disks, 4000), MOST)
            steps = steps.take(hanoi.held_out(steps))
            _, first = np.unique(data.rows(steps, 1), axis=0, return_index=True)
            unseen.append(steps.take(first[:60]))
    yield "held out, 5 to 10 disks", unseen


# -- a line of the report ------------------------------------------------------------------------------


def measure(name: str, groups: list[Steps], moves: int, temperature: float) -> dict[str, Any]:
    held = np.concatenate([data.rows(steps, moves) for steps in groups])
    found, (said, after) = exact(DIALECT, held, temperature), parts(held, temperature)
    doubtful = answers(DIALECT, held[found.right <= found.rival], parse, temperature, 200, seed=1)
    drawn = answers(DIALECT, held[:: 1 + len(held) // DRAWN_OF], parse, temperature, DRAWN, seed=2)
    seen = sum(drawn, Counter[str]())
    return {
        "set": name, "states": len(held), "temperature": temperature, "moves": moves,
        "right": round(float(found.right.mean()), 6), "worst": round(float(found.right.min()), 6),
        "moves_right": round(float(said.mean()), 6), "pegs_right": round(float(after.mean()), 6),
        "greedy_wrong": int((~found.greedy).sum()), "majority_wrong": sum(map(majority_wrong, doubtful)),
        "drawn": seen.total(), "malformed": seen["malformed"],
        "wrong": seen.total() - seen["right"] - seen["malformed"],
    }  # fmt: skip


def parts(rows: Ints, temperature: float) -> tuple[Floats, Floats]:
    """The chance of all the moves, and that of the pegs behind them once the moves are right."""
    both = [_parts(rows[at : at + 64], temperature) for at in range(0, len(rows), 64)]
    return np.concatenate([said for said, _ in both]), np.concatenate([after for _, after in both])


def _parts(rows: Ints, temperature: float) -> tuple[Floats, Floats]:
    begin, end = int((rows == ANSWER).argmax(1).min()), int((rows != PAD).sum(1).max())
    scores, wanted = (
        teacher_forced(DIALECT, rows[:, : end - 1], begin) / temperature,
        rows[:, begin + 1 : end],
    )
    logs = scores - scores.max(-1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
    here = np.take_along_axis(logs, wanted[..., None], -1)[..., 0]
    answered = ((rows == ANSWER).cumsum(1)[:, begin : end - 1] > 0) & (wanted != PAD)
    behind = (wanted == NEXT).cumsum(1) > 0
    return np.exp((here * (answered & ~behind)).sum(1)), np.exp((here * (answered & behind)).sum(1))


def parse(question: str, text: str) -> Json:
    """By the task's parser, for as many disks and moves as the question has."""
    _, _, pegs = question.partition("current_state")
    state, _, wanted = pegs.rpartition(" ")
    return several.parse(text, len(re.findall("[0-9]+", state)), int(wanted))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lines = []
    for name, groups in sets():
        for temperature in TEMPERATURES:
            for moves in range(1, MOST + 1):
                lines.append(measure(name, groups, moves, temperature))
                print(json.dumps(lines[-1]), flush=True)
    Path(sys.argv[1]).write_text("[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n")


if __name__ == "__main__":
    main()
