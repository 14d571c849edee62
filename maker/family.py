"""Ids of segments that a fork makes: `root/7.0` is child 0 of what step 7 of `root` decided.

Invariant: an id without a slash is one of the task's own segments.
"""

from __future__ import annotations

from collections.abc import Iterator


def fork(segment: str, index: int) -> str:
    """Where step `index` of a segment forks."""
    return f"{segment}/{index}"


def child(fork: str, number: int) -> str:
    return f"{fork}.{number}"


def is_child(segment: str) -> bool:
    return "/" in segment


def birth(child: str) -> tuple[str, str]:
    """(fork, number) of a child, whatever stands there."""
    fork, _, number = child.rpartition(".")
    return fork, number


def parent(child: str) -> str:
    return child.rpartition("/")[0]


def root(segment: str) -> str:
    """The task's own segment that it descends from."""
    return segment.partition("/")[0]


def depth(segment: str) -> int:
    """Forks above it."""
    return segment.count("/")


def ancestry(segment: str) -> Iterator[tuple[str, int]]:
    """(ancestor, index of its step that forked) from the nearest on."""
    while is_child(segment):
        segment, _, place = segment.rpartition("/")
        yield segment, int(place.partition(".")[0])
