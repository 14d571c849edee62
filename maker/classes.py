"""Answers that are the same without being equal: put into classes, each under the one that was drawn first.

Pure: which class a key belongs to is a function of the keys in draw order and of what is the same. Invariant:
a key that comes later changes the class of none before it, so a ballot can be counted as it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


class UnjudgedError(Exception):
    """Raised by `same` for two keys (first, key) of which it is not known yet; `of` lets it through."""

    def __init__(self, first: str, key: str) -> None:
        super().__init__(first, key)
        self.first, self.key = first, key


def of(keys: Iterable[str], same: Callable[[str, str], bool]) -> dict[str, str]:
    """Key to the key of its class: the first of `keys`, in their order, that it is the same as.

    It is compared with the first key of each class only, the oldest class first, so the classes are well
    defined even where `same(first, key)` is not transitive.
    """
    found: dict[str, str] = {}
    firsts: list[str] = []
    for key in keys:
        if key not in found:
            found[key] = next((first for first in firsts if same(first, key)), key)
            if found[key] == key:
                firsts.append(key)
    return found
