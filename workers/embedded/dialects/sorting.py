"""Which of two integers comes first: its words and how its question is found.

    left = 4071 / right = -12  ->  next = right

A number is read into ten places, sign first and units last, with blanks between, so that digits of the
same weight stand equally far apart; a blank is a token without text. Integers have up to nine digits
and no leading zeros. Invariant: every question is of the same length. Read next: `../drawing.py`.
"""

from __future__ import annotations

import re

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.vocabulary import Vocabulary

DIGITS = 9
"""The most of one integer."""

WORDS = Vocabulary("left = ", "\nright = ", "next = ", "left", "right", "-", *map(str, range(10)), "")
LEFT, RIGHT, NEXT, SAY_LEFT = (WORDS[text] for text in ("left = ", "\nright = ", "next = ", "left"))
BLANK = len(WORDS.texts) - 1

_NUMBER = rf"(-?)(0|[1-9][0-9]{{0,{DIGITS - 1}}})"
_FORM = re.compile(rf"left = {_NUMBER}\nright = {_NUMBER}")


def read(text: str) -> list[int]:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("not two integers")
    left_sign, left, right_sign, right = found.groups()
    return [LEFT, *_places(left_sign, left), RIGHT, *_places(right_sign, right)]


def _places(sign: str, digits: str) -> list[int]:
    blanks = [BLANK] * (DIGITS - len(digits))
    return [WORDS["-"] if sign else BLANK, *blanks, *(WORDS[digit] for digit in digits)]


def guess(tokens: list[int], prompt: int) -> list[int]:
    """The name, and `left` for no reason: half of the time it saves a pass."""
    return [NEXT, SAY_LEFT] if len(tokens) == prompt else []


DIALECT = Dialect(
    name="sorting",
    knows=f"which of two integers of up to {DIGITS} digits comes first",
    opening="\nleft = ",
    words=WORDS,
    read=read,
    guess=guess,
)
