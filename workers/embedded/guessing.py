"""Guesses how an answer goes on, by reading the question's own text on (prompt lookup).

A guess is only ever confirmed by draws, so it decides nothing and may be wrong; it knows no move.
Invariant: a guess follows from the tokens given alone. Read next: `drawing.py`.
"""

from __future__ import annotations

from maker.workers.embedded import tokenizer as t


def guess(tokens: list[int], prompt: int) -> list[int]:
    """What may well come next: the frame of an answer, and the question's pegs read on from here."""
    said = tokens[prompt:]
    if not said:
        return [t.MOVE]
    pegs = tokens[_begin(tokens) : prompt - 1]
    if len(said) == 4:
        return [t.NEXT, *pegs]
    if len(said) < 4 or said[4] != t.NEXT or said[-1] == t.END:
        return []
    return _read_on(pegs, said[5:])


def _begin(tokens: list[int]) -> int:
    return 2 if tokens[1] == t.NONE else 6


def _read_on(pegs: list[int], said: list[int]) -> list[int]:
    """The pegs after the disk said last, or from the next peg on if that disk came from elsewhere."""
    bars = [at for at, token in enumerate(pegs) if token in (t.BETWEEN, t.END)]
    peg = said.count(t.BETWEEN)
    if peg >= len(bars):
        return []
    begin = bars[peg - 1] + 1 if peg else 0
    here = [_number(token) for token in pegs[begin : bars[peg]]]
    if not said or said[-1] == t.BETWEEN:
        return pegs[begin:]
    disk = _number(said[-1])
    return pegs[begin + here.index(disk) + 1 :] if disk in here else pegs[bars[peg] :]


def _number(token: int) -> int:
    return token - t.LATER if token >= t.LATER else token - t.FIRST
