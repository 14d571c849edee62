"""What a model is told at one comparison and what it may answer.

`parse` takes the last `next = left` or `next = right` of a response.
"""

from __future__ import annotations

import re
from typing import Literal

from maker import fields

Side = Literal["left", "right"]

RULES = """\
You merge two sorted lists of integers into one, smallest first, one comparison at a time. You are given the
first integer of each list that is left. The smaller of the two comes next; if they are equal, the left one.
Answer with exactly one line and nothing else:
next = left
or
next = right"""

_SIDE = re.compile(r"(left|right)(?![0-9A-Za-z_])", re.IGNORECASE | re.ASCII)


def question(left: int, right: int) -> str:
    return f"left = {left}\nright = {right}"


def write(side: Side) -> str:
    """The answer as the format asks for it."""
    return f"next = {side}"


def parse(text: str) -> Side:
    """Which one comes next; RedFlag if the response does not say."""
    return "left" if fields.last(text, "next", _SIDE)[1].lower() == "left" else "right"
