"""Several Hanoi moves a call, as rows of tokens: the states of `hanoi.py`, each with the next 1 to 4 moves.

What is held out is a state with whose turn it is, as for one move, whatever number of moves is asked for.
The weights begin as those of one move, whose tokens these are. Read next: `hanoi.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from maker.workers.embedded.dialects import hanoi as h
from maker.workers.embedded.dialects.hanoi_moves import ASK, DIALECT, LARGEST, MOST, MOVES, NEXT
from maker.workers.embedded.vocabulary import ANSWER, BOS, EOS, PAD
from training.lesson import Ints, Lesson, Phase
from training.lessons import hanoi
from training.lessons.hanoi import Steps

LENGTH = 2 * LARGEST + 4 * MOST + 15
"""Tokens of the longest row: 20 of the prompt, 31 of the answer."""
SHARES = (0.15, 0.25, 0.25, 0.35)
"""Of the rows, those that ask for 1, 2, 3 and 4 moves."""


# -- the truth ---------------------------------------------------------------------------------------


def walk(steps: Steps, moves: int) -> tuple[Ints, Steps]:
    """The next moves, rows by moves by (disk, from, to), and the step behind them."""
    made, rows = [], np.arange(len(steps))
    for _ in range(moves):
        move = hanoi.next_moves(steps)
        after = steps.pegs.copy()
        after[rows, np.minimum(move[:, 0], steps.disks) - 1] = move[:, 2]
        steps = Steps(after, move)
        made.append(move)
    return np.stack(made, axis=1), steps


def possible(steps: Steps, moves: int) -> Steps:
    """Those from which so many moves can be made: with all disks on one peg only disk 1's can."""
    walked, _ = walk(steps, moves)
    return steps.take((walked[..., 0] <= steps.disks).all(1))


# -- rows of tokens ----------------------------------------------------------------------------------


def rows(steps: Steps, moves: int) -> Ints:
    """Prompt, answer and end mark of every step, padded to LENGTH."""
    full = np.full((len(steps), LENGTH), PAD)
    for none in (True, False):
        which = (steps.previous[:, 0] == 0) == none
        if which.any():
            made = _rows(steps.take(which), moves, none)
            full[which, : made.shape[1]] = made
    return full


def _rows(steps: Steps, moves: int, none: bool) -> Ints:
    walked, after = walk(steps, moves)
    head = [[BOS, h.NONE]] if none else [[BOS, h.PREVIOUS], hanoi.triple(steps.previous), [h.CURRENT]]
    said = [part for move in range(moves) for part in ([h.BETWEEN], hanoi.triple(walked[:, move]))]
    parts = [*head, hanoi.lists(steps.pegs), [ASK + moves, ANSWER, MOVES], *said[1:]]
    parts += [[NEXT], hanoi.lists(after.pegs), [h.END, EOS]]
    return np.concatenate([hanoi.tile(part, len(steps)) for part in parts], axis=1)


# -- what training sees ------------------------------------------------------------------------------


def fresh(rng: np.random.Generator, count: int, phase: str, done: float) -> Ints:
    """Half of the rows on solution paths, at most 7 disks at first and all 10 from 20 % on."""
    most = min(LARGEST, 7 + int(3 * done / 0.2)) if phase == "main" else LARGEST
    made = []
    for moves, share in enumerate(SHARES, start=1):
        for steps in hanoi.batch_of_steps(rng, int(count * share * 1.1), most, 0.5):
            made.append(rows(possible(steps, moves), moves))
    return np.concatenate(made)


def pool(rng: np.random.Generator) -> Iterator[Ints]:
    """Every path state, random and tall-pegged states, with each number of moves."""
    for moves in range(1, MOST + 1):
        made = []
        for disks in range(1, LARGEST + 1):
            kinds = [hanoi.path(disks, np.arange((1 << disks) - 1))]
            kinds += [hanoi.draw(rng, kind, disks, 60 * disks) for kind in ("sticky", "uniform")]
            for steps in kinds:
                made.append(rows(possible(steps.take(~hanoi.held_out(steps)), moves), moves))
        yield np.concatenate(made)


LESSON = Lesson(
    DIALECT,
    layers=4,
    batch=64,
    phases=(
        Phase("main", 3000, 2e-3),
        Phase("mined1", 500, 6e-4, hard_share=0.4),
    ),
    fresh=fresh,
    pool=pool,
)
