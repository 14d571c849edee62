"""An independent verifier of a sorted list: every comparison, and the whole by Python's own `sorted`.

It merges in its own way and shares no code with `merging.py`, so that one mistake cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from maker.nouns import Json


def judge(items: Sequence[int], answers: Iterable[Json]) -> str | None:
    """What is wrong with the answers to the comparisons that sort `items`, or None."""
    given, sort, number = iter(answers), _sort(list(items)), 0
    try:
        left, right = next(sort)
        while True:
            answer, expected = next(given, None), "right" if right < left else "left"
            if answer != expected:
                return f"comparison {number} of {left} and {right}: {answer}, expected {expected}"
            number += 1
            left, right = sort.send(answer)
    except StopIteration as end:
        if next(given, None) is not None:
            return f"more steps than the {number} comparisons that sort the list"
        return None if end.value == sorted(items) else "the list is not sorted"


Comparisons = Generator[tuple[int, int], str, list[int]]


def _sort(items: list[int]) -> Comparisons:
    """Asks for comparisons, smaller runs before larger ones."""
    width = 1
    while width < len(items):
        merged = []
        for start in range(0, len(items), 2 * width):
            middle = start + width
            merged += yield from _merge(items[start:middle], items[middle : middle + width])
        items, width = merged, 2 * width
    return items


def _merge(left: list[int], right: list[int]) -> Comparisons:
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if (yield left[i], right[j]) == "left":
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]
