"""What a model is told at one node of the frontier and what it may answer.

`parse` takes the last `new = [...]` of a response: some of the neighbours, each once, in their order.
Which of them are new is for the votes.
"""

from __future__ import annotations

from collections.abc import Sequence

from maker import fields
from maker.nouns import RedFlag

RULES = """\
You explore a graph breadth first, one node at a time. You are given the neighbours of the node that is
looked at and the nodes that have been seen so far. A neighbour is new if it is not among those seen.
List the new neighbours in the order in which they stand among the neighbours; write [] if none is new.
Answer with exactly one line and nothing else:
new = [the new neighbours]"""


def question(neighbours: Sequence[int], seen: Sequence[int]) -> str:
    return f"neighbours = {list(neighbours)}\nseen = {list(seen)}"


def write(new: Sequence[int]) -> str:
    """The answer as the format asks for it."""
    return f"new = {list(new)}"


def parse(text: str, neighbours: Sequence[int]) -> list[int]:
    """The nodes that are said to be new; RedFlag if they are no part of the neighbours, in their order."""
    new = fields.last_integers(text, "new")
    if not fits(new, neighbours):
        raise RedFlag("malformed", "new is not a part of the neighbours, each once and in their order")
    return new


def fits(new: Sequence[int], neighbours: Sequence[int]) -> bool:
    """Whether these are some of the neighbours, each once and in their order."""
    rest = iter(neighbours)
    return all(type(node) is int and node in rest for node in new)
