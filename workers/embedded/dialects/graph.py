"""Which neighbours of a node are new: its words and how its question is found.

    neighbours = [3, 17, 22] / seen = [0, 3, 4, 9]  ->  new = [17, 22]

The line of the seen nodes is put first, so that a model that reads from left to right could know at each
neighbour what was seen; the other order was not tried. At most 8 neighbours and 32 seen, numbered 0 to 31,
none twice in a list. Invariant: a question and its answer fit into the context. Read next: `../drawing.py`.
"""

from __future__ import annotations

import re

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.vocabulary import EOS, Vocabulary

NODES, NEIGHBOURS = 32, 8
"""Ids are below the first; the second is the most neighbours of one node."""

FIRST = EOS + 1
"""The token of node 0 where a list begins; node n is `FIRST + n`."""
LATER = FIRST + NODES
"""The token of ", 0"; node n after another one is `LATER + n`."""

_IDS = [str(node) for node in range(NODES)]
WORDS = Vocabulary(*_IDS, *(f", {node}" for node in _IDS), "seen = [", "]\nneighbours = [", "]", "new = [")
NEIGHBOURS_ARE, END, NEW = (WORDS[text] for text in ("]\nneighbours = [", "]", "new = ["))

_LIST = r"\[((?:[0-9]{1,2}(?:, [0-9]{1,2})*)?)\]"
_FORM = re.compile(rf"neighbours = {_LIST}\nseen = {_LIST}")


def read(text: str) -> list[int]:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("not two lists")
    neighbours, seen = (listed.split(", ") if listed else [] for listed in found.groups())
    if len(neighbours) > NEIGHBOURS or any(len(set(ids)) < len(ids) for ids in (neighbours, seen)):
        raise ValueError("too many neighbours, or one twice")
    return WORDS.encode(f"seen = [{found[2]}]\nneighbours = [{found[1]}]")


def guess(tokens: list[int], prompt: int) -> list[int]:
    """The name, then every neighbour behind the one said last, as if none had been seen."""
    said = [_later(token) for token in tokens[prompt:]]
    listed = tokens[tokens.index(NEIGHBOURS_ARE) + 1 : prompt - 1]
    if not said:
        return [NEW, *listed]
    later = [_later(token) for token in listed]
    return later[later.index(said[-1]) + 1 :] if said[-1] in later else []


def _later(token: int) -> int:
    """The same node's token behind another one; any other token as it is."""
    return token + NODES if FIRST <= token < LATER else token


DIALECT = Dialect(
    name="graph",
    knows=f"which of up to {NEIGHBOURS} neighbours are new, in a graph of nodes 0 to {NODES - 1}",
    opening="\nneighbours = [",
    words=WORDS,
    read=read,
    guess=guess,
)
