"""Which of two integers comes first: its words and how its question is found.

    left = 4071 / right = -12  ->  next = right

A number is read into ten places, sign first and units last, with blanks between; a token holds what
stands in one place of both. Integers have up to nine digits and no leading zeros. Invariant: every
question is of the same length. Read next: `../drawing.py`.
"""

from __future__ import annotations

import re

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.vocabulary import EOS, Vocabulary

DIGITS = 9
"""The most of one integer."""

NEXT, LEFT = EOS + 1, EOS + 2
PAIR = EOS + 4
"""The token of two blanks; those of other pairs follow, in the order of the numerals."""
NUMERALS = (" ", "-", *map(str, range(10)))
"""What may stand in a place, a blank first."""

WORDS = Vocabulary("next = ", "left", "right", *(f"{one}:{other}|" for one in NUMERALS for other in NUMERALS))

_NUMBER = rf"(-?)(0|[1-9][0-9]{{0,{DIGITS - 1}}})"
_FORM = re.compile(rf"left = {_NUMBER}\nright = {_NUMBER}")


def read(text: str) -> list[int]:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("not two integers")
    left_sign, left, right_sign, right = found.groups()
    pairs = zip(_places(left_sign, left), _places(right_sign, right), strict=True)
    return [PAIR + one * len(NUMERALS) + other for one, other in pairs]


def _places(sign: str, digits: str) -> list[int]:
    return [NUMERALS.index(numeral) for numeral in (sign or " ") + digits.rjust(DIGITS)]


def guess(tokens: list[int], prompt: int) -> list[int]:
    """The name, and `left` for no reason: half of the time it saves a pass."""
    return [NEXT, LEFT] if len(tokens) == prompt else []


DIALECT = Dialect(
    name="sorting",
    knows=f"which of two integers of up to {DIGITS} digits comes first",
    opening="\nleft = ",
    words=WORDS,
    read=read,
    guess=guess,
)
