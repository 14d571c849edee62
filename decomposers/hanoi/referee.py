"""An independent verifier of a finished run: it knows the rules of the puzzle and nothing of the strategy.

It keeps its own three stacks, makes every move of the run on them and compares. It shares no code
with `path.py`, so that one mistake cannot hide in both.
"""

from __future__ import annotations

from collections.abc import Iterable

from maker.nouns import Json


class Referee:
    """Judges moves one by one from given pegs; `pegs` is then what really stands where."""

    def __init__(self, pegs: list[list[int]]) -> None:
        self.pegs = [list(peg) for peg in pegs]
        self.disks = sorted(disk for peg in pegs for disk in peg)
        self.moves = 0

    def judge(self, answer: Json) -> str | None:
        """Make the move or moves of an answer; the reason why it was wrong, or None."""
        for move in answer["moves"] if "moves" in answer else [answer["move"]]:
            if wrong := self._make(*move):
                return f"move {self.moves}: {wrong}"
            self.moves += 1
        if answer["next_state"] != self.pegs:
            return f"move {self.moves - 1}: the stated pegs are not what it makes of them"
        return None

    def _make(self, disk: int, source: int, target: int) -> str | None:
        if not (source in (0, 1, 2) and target in (0, 1, 2)) or source == target:
            return f"{[disk, source, target]} does not go from one peg to another"
        if not self.pegs[source] or self.pegs[source][-1] != disk:
            return f"disk {disk} is not on top of peg {source}"
        if self.pegs[target] and self.pegs[target][-1] < disk:
            return f"disk {disk} cannot lie on disk {self.pegs[target][-1]}"
        self.pegs[target].append(self.pegs[source].pop())
        return None

    def fault(self, answers: Iterable[Json]) -> str | None:
        """The first thing wrong in a run, or None."""
        return next((wrong for wrong in map(self.judge, answers) if wrong), None)

    def solved(self) -> bool:
        return self.pegs[0] == [] and self.pegs[1] == [] and self.pegs[2] == self.disks[::-1]
