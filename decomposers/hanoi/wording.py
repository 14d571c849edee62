"""What a model is told and what it may answer for one move: the paper's input and output (appendix C), in our
words. For several moves at once: `several.py`.

`parse` is the paper's flagging parser: the last `move = [...]` and `next_state = [[...],[...],[...]]`
count, a move is three integers, a state holds each disk exactly once. Stack order and legality
are not looked at; `-T check=legal` does that.
"""

from __future__ import annotations

import re
from itertools import chain

from maker.decomposers.hanoi.path import Move, Pegs
from maker.nouns import RedFlag

RULES = """\
You solve the Towers of Hanoi {pace} at a time. There are three pegs, 0, 1 and 2, and {disks} disks,
numbered 1 (smallest) to {disks} (largest). A peg is written as the list of its disks, bottom first.
Rules:
- Only the top disk of a peg may be moved, and only one disk at a time.
- No disk may ever lie on a smaller one.
- At the start all disks are on peg 0; at the end all are to be on peg 2.
Answer with exactly two lines and nothing after them:
{said}
next_state = [[peg 0], [peg 1], [peg 2]]"""

_PROCEDURE = """\
Procedure:
1. If the previous move did not move disk 1, or there was none, move disk 1 one peg onward in the order
   {order}.
2. Otherwise make the only legal move that does not move disk 1.
Give the move and the three pegs after it.

previous_move = {previous}
current_state = {pegs}"""

_MOVE = re.compile(r"move\s{0,9}=\s{0,9}\[([^\[\]]{0,99})\]", re.IGNORECASE)
_STATE = re.compile(r"next_state\s{0,9}=\s{0,9}\[", re.IGNORECASE)
_LIST = re.compile(r"[\s,]{0,9}\[([\d\s,]{0,9999})\]", re.ASCII)
_INTEGERS = re.compile(r"\s*(?:[0-9]{1,9}\s*(?:,\s*[0-9]{1,9}\s*)*)?")


def rules(disks: int) -> str:
    """The constant part, first, so that an endpoint's prefix cache can keep it."""
    return RULES.format(pace="one move", disks=disks, said="move = [disk, from_peg, to_peg]")


def question(disks: int, pegs: Pegs, previous: Move | None) -> str:
    return _PROCEDURE.format(order=order(disks), previous=previous, pegs=pegs)


def order(disks: int) -> str:
    """In which disk 1 goes round."""
    return "0 -> 1 -> 2 -> 0" if disks % 2 == 0 else "0 -> 2 -> 1 -> 0"


def write(move: Move, pegs: Pegs) -> str:
    """The answer as the format asks for it."""
    return f"move = {move}\nnext_state = {pegs}"


def parse(text: str, disks: int) -> tuple[Move, Pegs]:
    """Read the last move and the last state of a response; RedFlag if either is not well formed."""
    return _move(text), state(text, disks)


def _move(text: str) -> Move:
    found = last(_MOVE, text)
    if found is None:
        raise RedFlag("malformed", "no `move = [...]`")
    return integers(found[1], exactly=3)


def state(text: str, disks: int) -> Pegs:
    """The last state of a response; RedFlag if there is none or it is not well formed."""
    found = last(_STATE, text)
    if found is None:
        raise RedFlag("malformed", "no `next_state = [[...], [...], [...]]`")
    pegs = lists(text, found.end(), 3, "next_state is not three lists")
    if sorted(chain(*pegs)) != list(range(1, disks + 1)):
        raise RedFlag("malformed", "next_state does not hold every disk once")
    return pegs


def lists(text: str, at: int, count: int, otherwise: str) -> list[list[int]]:
    """So many lists of integers from here on, and the bracket that ends the list of them."""
    found = []
    for _ in range(count):
        one = _LIST.match(text, at)
        if one is None:
            raise RedFlag("malformed", otherwise)
        found.append(integers(one[1]))
        at = one.end()
    if not text[at : at + 9].lstrip(" ,\n").startswith("]"):
        raise RedFlag("malformed", otherwise)
    return found


def last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    match = None
    for match in pattern.finditer(text):  # noqa: B007
        pass
    return match


def integers(text: str, exactly: int | None = None) -> list[int]:
    if not _INTEGERS.fullmatch(text):
        raise RedFlag("malformed", "not a list of integers")
    integers = [int(word) for word in text.split(",")] if text.strip() else []
    if exactly is not None and len(integers) != exactly:
        raise RedFlag("malformed", f"expected {exactly} integers, saw {len(integers)}")
    return integers
