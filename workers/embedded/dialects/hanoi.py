"""The towers of Hanoi in the words of the paper's prompt, with 1 to 20 disks.

The question stands from the last `previous_move` on; whatever stands before it (rules, procedure) is
not read, so editing it changes nothing. Invariant: a token is a frame, a separator or a disk, so a
response has one token for each disk and nine for the rest. Read next: `../drawing.py`.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise
from typing import Final

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.vocabulary import EOS, Vocabulary

LARGEST: Final = 20
"""Disks are numbered 1 to this."""

_FRAMES = (
    "previous_move = None\ncurrent_state = [[",
    "previous_move = [",
    "]\ncurrent_state = [[",
    "move = [",
    "]\nnext_state = [[",
    "], [",
    "]]",
)
NONE, PREVIOUS, CURRENT, MOVE, NEXT, BETWEEN, END = range(EOS + 1, EOS + 1 + len(_FRAMES))
FIRST: Final = END + 1
"""The token of the number 0 where a list begins; number d is `FIRST + d`."""
LATER: Final = FIRST + LARGEST + 1
"""The token of ", 0"; number d after another one is `LATER + d`."""

_NUMBERS = [str(number) for number in range(LARGEST + 1)]
USED: Final = (*_FRAMES, *_NUMBERS, *(f", {number}" for number in _NUMBERS))
WORDS: Final = Vocabulary(*USED, *(f"<spare{number}>" for number in range(60 - len(USED))))


def alike(prompt: list[int]) -> Hashable:
    """The previous move and what lies on top of each peg; the number of disks shows in the length."""
    tops = (below for below, token in pairwise(prompt) if token in (BETWEEN, END))
    return (len(prompt), *prompt[1:5], *tops)


def guess(tokens: list[int], prompt: int) -> list[int]:
    """The frame of an answer, the peg where the disk that was said lies, and the question's pegs after the
    move that was said, read on from here."""
    said, pegs = tokens[prompt:], tokens[pegs_begin(tokens) : prompt - 1]
    if not said:
        return [MOVE]
    if len(said) == 2:
        return lies_on(pegs, said[1])
    if len(said) < 4 or said[-1] == END:
        return []
    pegs = moved(pegs, said[1:4])
    if len(said) == 4:
        return [NEXT, *pegs]
    return read_on(pegs, said[5:]) if said[4] == NEXT else []


def lies_on(pegs: list[int], disk: int) -> list[int]:
    """The word for the peg that has the disk, if one has."""
    for peg, pile in enumerate(piles_of(pegs)[:3]):
        if number(disk) in map(number, pile):
            return [LATER + peg]
    return []


def moved(pegs: list[int], move: list[int]) -> list[int]:
    """The pegs with a peg's top disk on another; as they are where the move does not fit them."""
    disk, source, target = map(number, move)
    piles = piles_of(pegs)
    if len(piles) != 3 or not {source, target} <= {0, 1, 2} or [disk] != [*map(number, piles[source][-1:])]:
        return pegs
    piles[source].pop()
    piles[target].append((LATER if piles[target] else FIRST) + disk)
    return [*piles[0], BETWEEN, *piles[1], BETWEEN, *piles[2], END]


def piles_of(pegs: list[int]) -> list[list[int]]:
    bars = [-1, *(at for at, token in enumerate(pegs) if token in (BETWEEN, END))]
    return [pegs[bar + 1 : end] for bar, end in pairwise(bars)]


def pegs_begin(tokens: list[int]) -> int:
    return 2 if tokens[1] == NONE else 6


def read_on(pegs: list[int], said: list[int]) -> list[int]:
    """The pegs after the disk said last, or from the next peg on if that disk came from elsewhere."""
    bars = [at for at, token in enumerate(pegs) if token in (BETWEEN, END)]
    peg = said.count(BETWEEN)
    if peg >= len(bars):
        return []
    begin = bars[peg - 1] + 1 if peg else 0
    here = [number(token) for token in pegs[begin : bars[peg]]]
    if not said or said[-1] == BETWEEN:
        return pegs[begin:]
    disk = number(said[-1])
    return pegs[begin + here.index(disk) + 1 :] if disk in here else pegs[bars[peg] :]


def number(token: int) -> int:
    return token - LATER if token >= LATER else token - FIRST


DIALECT = Dialect(
    name="hanoi",
    knows=f"the towers of Hanoi with 1 to {LARGEST} disks",
    opening="previous_move",
    words=WORDS,
    read=WORDS.encode,
    guess=guess,
    alike=alike,
    begin=4,
)
