"""The towers of Hanoi, 1 to 4 moves a call, with 1 to 10 disks: `hanoi.py` and six of its spare tokens.

The question is that of one move with a line behind it that says how many. Invariant: one token of the
question says how many moves, in the place where the question of one move has its last brackets, and every
other token is that of `hanoi.py`; so its weights can begin as those of one move. Read next: `hanoi.py`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.dialects import hanoi
from maker.workers.embedded.dialects.hanoi import BETWEEN, END, USED
from maker.workers.embedded.vocabulary import EOS, Vocabulary

LARGEST: Final = 10
"""Disks are numbered 1 to this."""
MOST: Final = 4
"""Moves of one call."""

_FRAMES = ("moves = [[", "]]\nnext_state = [[")
_SPARE = EOS + 1 + len(USED)
MOVES, NEXT = range(_SPARE, _SPARE + len(_FRAMES))
ASK: Final = NEXT
"""The end of a question for no move; that for m moves is `ASK + m`."""

_ASKED = tuple(f"]]\nmoves_to_make = {moves}" for moves in range(1, MOST + 1))
_OWN = (*USED, *_FRAMES, *_ASKED)
WORDS: Final = Vocabulary(*_OWN, *(f"<spare{number}>" for number in range(60 - len(_OWN))))


def read(question: str) -> list[int]:
    """ValueError too if it does not end in a number of moves, or has more disks than are known."""
    tokens = WORDS.encode(question)
    if not ASK < tokens[-1] <= ASK + MOST:
        raise ValueError("not a question for several moves")
    if any(_number(token) > LARGEST for token in tokens):
        raise ValueError(f"more than {LARGEST} disks")
    return tokens


def _number(token: int) -> int:
    return hanoi.number(token) if hanoi.FIRST <= token < _SPARE else 0


def alike(prompt: list[int]) -> Hashable:
    """The previous move, how many are asked for, and the two disks on top of each peg."""
    pegs = [*prompt[hanoi.pegs_begin(prompt) : -2], END]
    tops = (tuple(pile[-2:]) for pile in hanoi.piles_of(pegs))
    return (len(prompt), *prompt[1:5], prompt[-2], *tops)


def guess(tokens: list[int], prompt: int) -> list[int]:
    """As for one move: the frame, the peg where the disk that was said lies by then, and at the end the
    question's pegs after all the moves that were said."""
    said, wanted = tokens[prompt:], tokens[prompt - 2] - ASK
    if not said:
        return [MOVES]
    pegs = [*tokens[hanoi.pegs_begin(tokens) : prompt - 2], END]
    listed = said[1 : 4 * wanted]
    for at in range(0, len(listed) - 2, 4):
        pegs = hanoi.moved(pegs, listed[at : at + 3])
    if len(said) > 4 * wanted:
        return hanoi.read_on(pegs, said[4 * wanted + 1 :]) if END not in said else []
    match len(said) % 4:
        case 2:
            return hanoi.lies_on(pegs, said[-1])
        case 0:
            return [BETWEEN] if len(said) < 4 * wanted else [NEXT, *pegs]
        case _:
            return []


DIALECT = Dialect(
    name="hanoi-moves",
    knows=f"1 to {MOST} moves at once of the towers of Hanoi with 1 to {LARGEST} disks",
    opening="previous_move",
    words=WORDS,
    read=read,
    guess=guess,
    alike=alike,
    begin=4 * MOST,
)
