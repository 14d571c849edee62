"""Hanoi steps as rows of tokens, made by the thousand: random, tall-pegged and solution-path states.

The right answer follows the same fixed rule as `decomposers/hanoi/path.py` (a test compares them).
It keeps 2 % of the states apart by a hash and never trains on them. Read next:
`../train.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maker.workers.embedded.dialects import hanoi as h
from maker.workers.embedded.vocabulary import ANSWER, BOS, EOS, PAD
from training.lesson import Ints, Lesson, Phase

LENGTH = 59
"""Tokens of the longest row (20 disks): 30 of the prompt, 29 of the answer."""
RARE = 1 << 7
"""Disk 8 and those above it move at the states after so many moves less one, twice so many, and so on."""
SMALL = 5
"""With fewer disks there are too few states to keep any apart: all are trained on."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Many steps of one number of disks; column d - 1 of `pegs` says where disk d is."""

    pegs: Ints
    previous: Ints
    """Rows of disk, from, to; disk 0 stands for no previous move."""

    @property
    def disks(self) -> int:
        return int(self.pegs.shape[1])

    def __len__(self) -> int:
        return len(self.pegs)

    def take(self, which: Any) -> Steps:
        return Steps(self.pegs[which], self.previous[which])


# -- where steps come from ---------------------------------------------------------------------------


def uniform(rng: np.random.Generator, disks: int, count: int) -> Steps:
    """Every disk on any peg."""
    return with_previous(rng, rng.integers(0, 3, (count, disks)))


def sticky(rng: np.random.Generator, disks: int, count: int) -> Steps:
    """Neighbouring disks mostly on one peg: the tall pegs that the uniform states hardly ever have."""
    stay = rng.uniform(0.5, 0.99, (count, 1))
    turns = rng.integers(1, 3, (count, disks)) * (rng.random((count, disks)) > stay)
    turns[:, -1] = rng.integers(0, 3, count)
    return with_previous(rng, np.cumsum(turns[:, ::-1], axis=1)[:, ::-1] % 3)


def path(disks: int, moves: Ints) -> Steps:
    """The states after so many moves (0 to 2**disks - 2) of the shortest solution."""
    pegs, before = (_on_path(disks, number) for number in (moves, np.maximum(moves - 1, 0)))
    changed = np.not_equal(pegs, before).argmax(axis=1)
    rows = np.arange(len(moves))
    previous = np.stack([changed + 1, before[rows, changed], pegs[rows, changed]], axis=1)
    return Steps(pegs, previous * (moves > 0)[:, None])


def turns(rng: np.random.Generator, disks: int, count: int) -> Steps:
    """Path states of which every disk moves next equally often: disk d moves only once in 2**d steps."""
    disk = rng.integers(1, disks + 1, count)
    return path(disks, ((2 * rng.integers(0, 1 << (disks - disk)) + 1) << (disk - 1)) - 1)


def rare(disks: int) -> Steps:
    """The path states where a disk moves that does so at most once in 2 * RARE steps, and those beside."""
    moves = np.arange(RARE - 1, (1 << disks) - 1, RARE)
    return path(disks, np.concatenate([moves - 1, moves, moves + 1]))


def _on_path(disks: int, moves: Ints) -> Ints:
    disk = np.arange(1, disks + 1)
    way = np.where((disks - disk) % 2 == 0, -1, 1)
    result: Ints = (way * ((moves[:, None] + (1 << (disk - 1))) >> disk)) % 3
    return result


def with_previous(rng: np.random.Generator, pegs: Ints) -> Steps:
    """A previous move that can have led to these pegs: disk 1's in half of the rows, rarely none."""
    count, disks = pegs.shape
    rows, here = np.arange(count), pegs[:, 0]
    top = tops(pegs)
    peg = (here + rng.integers(1, 3, count)) % 3
    peg = np.where(top[rows, peg] > disks, 3 - here - peg, peg)
    other = top[rows, peg]
    way = np.where(rng.random(count) < 0.9, 1 if disks % 2 == 0 else -1, rng.choice([1, -1], count))
    small = np.stack([np.ones(count, int), (here - way) % 3, here], axis=1)
    large = np.stack([other, (peg + rng.integers(1, 3, count)) % 3, peg], axis=1)
    chosen = np.where((rng.random(count) < 0.5)[:, None], small, large)
    stuck = other > disks  # all disks on one peg: nothing but disk 1 can move next
    return Steps(pegs, chosen * (~stuck & (rng.random(count) > 0.03))[:, None])


# -- the truth ---------------------------------------------------------------------------------------


def tops(pegs: Ints) -> Ints:
    """The smallest disk of every peg; one more than there are disks where it is empty."""
    there = pegs[:, None, :] == np.arange(3)[:, None]
    return np.where(there.any(2), there.argmax(2), pegs.shape[1]) + 1


def next_moves(steps: Steps) -> Ints:
    """`path.next_move` for every row at once."""
    here, top, rows = steps.pegs[:, 0], tops(steps.pegs), np.arange(len(steps))
    way = 1 if steps.disks % 2 == 0 else -1
    left, right = (here + 1) % 3, (here + 2) % 3
    swap = top[rows, right] < top[rows, left]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    large = np.stack([top[rows, left], left, right], axis=1)
    small = np.stack([np.ones_like(here), here, (here + way) % 3], axis=1)
    return np.where((steps.previous[:, 0] == 1)[:, None], large, small)


def held_out(steps: Steps) -> NDArray[np.bool_]:
    """True for the 2 % of (state, whose turn) that no training row is ever made of."""
    if steps.disks < SMALL:
        return np.zeros(len(steps), bool)
    place = (steps.pegs * 3 ** np.arange(steps.disks)).sum(1)
    code = place * 64 + steps.disks * 2 + (steps.previous[:, 0] == 1)
    mixed = code.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    chosen: NDArray[np.bool_] = mixed % np.uint64(50) == 0
    return chosen


# -- rows of tokens ----------------------------------------------------------------------------------


def rows(steps: Steps) -> Ints:
    """Prompt, answer and end mark of every step, padded to LENGTH."""
    full = np.full((len(steps), LENGTH), PAD)
    for none in (True, False):
        which = (steps.previous[:, 0] == 0) == none
        if which.any():
            made = _rows(steps.take(which), none)
            full[which, : made.shape[1]] = made
    return full


def _rows(steps: Steps, none: bool) -> Ints:
    moves = next_moves(steps)
    after = steps.pegs.copy()
    after[np.arange(len(steps)), moves[:, 0] - 1] = moves[:, 2]
    head = [[BOS, h.NONE]] if none else [[BOS, h.PREVIOUS], triple(steps.previous), [h.CURRENT]]
    parts = [*head, lists(steps.pegs), [h.END, ANSWER, h.MOVE], triple(moves), [h.NEXT], lists(after)]
    parts.append([h.END, EOS])
    return np.concatenate([tile(part, len(steps)) for part in parts], axis=1)


def tile(part: Any, count: int) -> Ints:
    return part if isinstance(part, np.ndarray) else np.tile(np.array(part), (count, 1))


def triple(moves: Ints) -> Ints:
    return moves + np.array([h.FIRST, h.LATER, h.LATER])


def lists(pegs: Ints) -> Ints:
    """Each peg bottom to top, the two separators between them."""
    count, disks = pegs.shape
    depth = pegs * 100 + 50 - np.arange(1, disks + 1)
    keys = np.concatenate([depth, np.tile([99, 199], (count, 1))], axis=1)
    order = np.argsort(keys, axis=1)
    separator = order >= disks
    begins = np.concatenate([np.ones((count, 1), bool), separator[:, :-1]], axis=1)
    return np.where(separator, h.BETWEEN, order + 1 + np.where(begins, h.FIRST, h.LATER))


# -- what training sees ------------------------------------------------------------------------------


def batch_of_steps(rng: np.random.Generator, count: int, most: int, path_share: float) -> list[Steps]:
    """About `count` steps of 1 to `most` disks, none held out: a share on solution paths, the rest random."""
    made = []
    rest = 1 - path_share
    shares = {
        "path": path_share * 0.7,
        "turns": path_share * 0.3,
        "uniform": rest * 0.4,
        "sticky": rest * 0.6,
    }
    for kind, share in shares.items():
        weights = np.arange(1, most + 1, dtype=float)
        if kind == "path":
            weights[9:15] *= 2  # the runs that are meant to succeed
        for disks, number in enumerate(rng.multinomial(int(count * share), weights / weights.sum()), start=1):
            steps = draw(rng, kind, disks, int(number))
            made.append(steps.take(~held_out(steps)))
    return made


def draw(rng: np.random.Generator, kind: str, disks: int, count: int) -> Steps:
    if kind == "path":
        return path(disks, rng.integers(0, (1 << disks) - 1, count))
    return {"turns": turns, "uniform": uniform, "sticky": sticky}[kind](rng, disks, count)


PATH_SHARE = {"main": 0.45, "mined1": 0.45, "mined2": 0.6}
EXHAUSTIVE = 15
"""Mining looks at every path state of runs of up to so many disks."""


def fresh(rng: np.random.Generator, count: int, phase: str, done: float) -> Ints:
    """In the main phase at most 8 disks at first, and all 20 from 30 % on."""
    most = min(20, 8 + int(12 * done / 0.3)) if phase == "main" else 20
    return np.concatenate([rows(steps) for steps in batch_of_steps(rng, count, most, PATH_SHARE[phase])])


def pool(rng: np.random.Generator) -> Iterator[Ints]:
    for steps in _doubtful(rng):
        yield rows(steps.take(~held_out(steps)))


def _doubtful(rng: np.random.Generator) -> Iterator[Steps]:
    """Every path state of 1 to 15 disks, random and rare ones of 16 to 20, random and tall-pegged states."""
    for disks in range(1, EXHAUSTIVE + 1):
        yield path(disks, np.arange((1 << disks) - 1))
    for disks in range(EXHAUSTIVE + 1, 21):
        yield draw(rng, "path", disks, 40_000)
        yield rare(disks)
    for disks in range(3, 21):
        yield draw(rng, "sticky", disks, 100 * disks)
        yield draw(rng, "uniform", disks, 40 * disks)


LESSON = Lesson(
    h.DIALECT,
    layers=4,
    batch=64,
    phases=(
        Phase("main", 11000, 3e-3),
        Phase("mined1", 1800, 6e-4, hard_share=0.4),
        Phase("mined2", 1500, 5e-4, hard_share=0.4),
    ),
    fresh=fresh,
    pool=pool,
)
