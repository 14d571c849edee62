"""What a model is told and what it may answer for several moves at once; `wording.py` has the one move.

The paper weighs it (equations 10 to 17: m steps a call) and asks for one. As strict as the parser of one
move: the last `moves = [[...], ...]` counts and has as many moves as were asked for, each three integers; the
state is the one after all of them, read as for one move.
"""

from __future__ import annotations

import re

from maker.decomposers.hanoi import wording
from maker.decomposers.hanoi.path import Move, Pegs
from maker.nouns import RedFlag

_PROCEDURE = """\
Procedure, for each move:
1. If the move before it did not move disk 1, or there was none, move disk 1 one peg onward in the order
   {order}.
2. Otherwise make the only legal move that does not move disk 1.
Give the next {wanted} moves in their order and the three pegs after the last of them.

previous_move = {previous}
current_state = {pegs}
moves_to_make = {wanted}"""

_MOVES = re.compile(r"moves\s{0,9}=\s{0,9}\[", re.IGNORECASE)


def rules(disks: int) -> str:
    """The constant part, first, so that an endpoint's prefix cache can keep it."""
    said = "moves = [[disk, from_peg, to_peg], ...]"
    return wording.RULES.format(pace="several moves", disks=disks, said=said)


def question(disks: int, pegs: Pegs, previous: Move | None, wanted: int) -> str:
    order = wording.order(disks)
    return _PROCEDURE.format(order=order, wanted=wanted, previous=previous, pegs=pegs)


def write(moves: list[Move], pegs: Pegs) -> str:
    """The answer as the format asks for it."""
    return f"moves = {moves}\nnext_state = {pegs}"


def parse(text: str, disks: int, wanted: int) -> tuple[list[Move], Pegs]:
    """Read the last moves and the last state of a response; RedFlag if either is not well formed."""
    found = wording.last(_MOVES, text)
    if found is None:
        raise RedFlag("malformed", "no `moves = [[...], ...]`")
    moves = wording.lists(text, found.end(), wanted, f"moves is not {wanted} lists")
    if any(len(move) != 3 for move in moves):
        raise RedFlag("malformed", "expected 3 integers in every move")
    return moves, wording.state(text, disks)
