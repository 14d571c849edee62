"""One column of a multiplication or an addition: its words and how its question is found.

    a = 7 / b = 8 / above = 3 / carry = 5  ->  digit = 4 / carry = 6
    a = 7 / b = 8 / carry = 1              ->  digit = 6 / carry = 1

Numbers of more than one digit are not its own. Invariant: a question that is read has one digit at
every name. Read next: `../drawing.py`.
"""

from __future__ import annotations

import re

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.vocabulary import Vocabulary

WORDS = Vocabulary("a = ", "\nb = ", "\nabove = ", "\ncarry = ", "digit = ", *map(str, range(10)))
DIGIT, CARRY = WORDS["digit = "], WORDS["\ncarry = "]

_FORM = re.compile(r"a = [0-9]\nb = [0-9](\nabove = [0-9]\ncarry = [0-9]|\ncarry = [01])")


def read(text: str) -> list[int]:
    if not _FORM.fullmatch(text):
        raise ValueError("not a column")
    return WORDS.encode(text)


def guess(tokens: list[int], prompt: int) -> list[int]:
    """The names, which stand in every answer."""
    return {0: [DIGIT], 2: [CARRY]}.get(len(tokens) - prompt, [])


DIALECT = Dialect(
    name="arithmetic",
    knows="one column of an addition or a multiplication",
    opening="\na = ",
    words=WORDS,
    read=read,
    guess=guess,
)
