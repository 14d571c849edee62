"""Reading `name = value` lines in a response: the last one of a name counts, and it is never repaired.

For the parsers of decomposers. Invariant: a text of n characters is read in time linear in n.
"""

from __future__ import annotations

import re
from functools import cache

from maker.nouns import RedFlag

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_LIST = re.compile(r"\[([^\[\]]{0,200000})\]")


def last(text: str, name: str, value: re.Pattern[str]) -> re.Match[str]:
    """What the last `name = ` of a text is followed by; RedFlag if there is none or it is not a `value`."""
    found = max(_named(name).finditer(text), key=re.Match.start, default=None)
    if found is None:
        raise RedFlag("malformed", f"no `{name} = ...`")
    match = value.match(text, found.end())
    if match is None:
        raise RedFlag("malformed", f"what `{name} = ` is followed by is not well formed")
    return match


def last_integers(text: str, name: str) -> list[int]:
    """Of the last `name = [1, 2, 3]`; RedFlag as in `last`."""
    inside = last(text, name, _LIST)[1]
    words = [word.strip() for word in inside.split(",")] if inside.strip() else []
    if not all(_INTEGER.fullmatch(word) for word in words):
        raise RedFlag("malformed", f"{name} is not a list of integers")
    return [int(word) for word in words]


@cache
def _named(name: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(name)}\s{{0,9}}=\s{{0,9}}", re.IGNORECASE | re.ASCII)
