"""A gate before every draw: while a person has paused the run, draws wait here, and those under way go on.

Invariant: a draw goes through once, or never if its segment has withdrawn it.
"""

from __future__ import annotations

from collections.abc import Callable


class Gate:
    def __init__(self) -> None:
        self.closed = False
        self._held: dict[str, list[Callable[[], None]]] = {}
        """By segment."""

    def hold(self, segment: str, go: Callable[[], None]) -> None:
        """Call `go` when the gate is opened."""
        self._held.setdefault(segment, []).append(go)

    def withdraw(self, segment: str) -> None:
        self._held.pop(segment, None)

    def turn(self, closed: bool) -> None:
        self.closed = closed
        held, self._held = (self._held, {}) if not closed else ({}, self._held)
        for each in held.values():
            for go in each:
                go()
