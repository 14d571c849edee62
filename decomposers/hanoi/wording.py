"""What a model is told and what it may answer: the paper's input and output (appendix C), in our words.

`parse` is the paper's flagging parser: the last `move = [...]` and `next_state = [[...],[...],[...]]`
count, a move is three integers, a state holds each disk exactly once. Stack order and legality
are not looked at; `-T check=legal` does that.
"""

from __future__ import annotations

import re
from itertools import chain

from maker.decomposers.hanoi.path import Move, Pegs
from maker.nouns import RedFlag

_RULES = """\
You solve the Towers of Hanoi one move at a time. There are three pegs, 0, 1 and 2, and {disks} disks,
numbered 1 (smallest) to {disks} (largest). A peg is written as the list of its disks, bottom first.
Rules:
- Only the top disk of a peg may be moved, and only one disk at a time.
- No disk may ever lie on a smaller one.
- At the start all disks are on peg 0; at the end all are to be on peg 2.
Answer with exactly two lines and nothing after them:
move = [disk, from_peg, to_peg]
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
_PEG = re.compile(r"[\s,]{0,9}\[([\d\s,]{0,9999})\]", re.ASCII)
_INTEGERS = re.compile(r"\s*(?:[0-9]{1,9}\s*(?:,\s*[0-9]{1,9}\s*)*)?")


def rules(disks: int) -> str:
    """The constant part, first, so that an endpoint's prefix cache can keep it."""
    return _RULES.format(disks=disks)


def question(disks: int, pegs: Pegs, previous: Move | None) -> str:
    order = "0 -> 1 -> 2 -> 0" if disks % 2 == 0 else "0 -> 2 -> 1 -> 0"
    return _PROCEDURE.format(order=order, previous=previous, pegs=pegs)


def write(move: Move, pegs: Pegs) -> str:
    """The answer as the format asks for it."""
    return f"move = {move}\nnext_state = {pegs}"


def parse(text: str, disks: int) -> tuple[Move, Pegs]:
    """Read the last move and the last state of a response; RedFlag if either is not well formed."""
    return _move(text), _state(text, disks)


def _move(text: str) -> Move:
    found = _last(_MOVE, text)
    if found is None:
        raise RedFlag("malformed", "no `move = [...]`")
    return _integers(found[1], exactly=3)


def _state(text: str, disks: int) -> Pegs:
    found = _last(_STATE, text)
    if found is None:
        raise RedFlag("malformed", "no `next_state = [[...], [...], [...]]`")
    pegs, at = [], found.end()
    for _ in range(3):
        peg = _PEG.match(text, at)
        if peg is None:
            raise RedFlag("malformed", "next_state is not three lists")
        pegs.append(_integers(peg[1]))
        at = peg.end()
    if not text[at : at + 9].lstrip(" ,\n").startswith("]"):
        raise RedFlag("malformed", "next_state is not three lists")
    if sorted(chain(*pegs)) != list(range(1, disks + 1)):
        raise RedFlag("malformed", "next_state does not hold every disk once")
    return pegs


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for last in pattern.finditer(text):  # noqa: B007
        pass
    return last


def _integers(text: str, exactly: int | None = None) -> list[int]:
    if not _INTEGERS.fullmatch(text):
        raise RedFlag("malformed", "not a list of integers")
    integers = [int(word) for word in text.split(",")] if text.strip() else []
    if exactly is not None and len(integers) != exactly:
        raise RedFlag("malformed", f"expected {exactly} integers, saw {len(integers)}")
    return integers
