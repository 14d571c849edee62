"""What each chunk of a lane holds, as headers tell without its being read; and which a reader may leave out.

A header says where every unfinished segment stood, the next one what came between: how many steps were
decided, contested or flagged, and which segments finished. Nothing is known of the newest chunk, so it is
always read. Invariant: a chunk that is left out holds nothing that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from maker import chunks, history
from maker.journal import COPIED
from maker.nouns import Step
from maker.place import Place
from maker.records import Record


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chunk with its header and the next one."""

    chunk: Place
    end: int
    """Bytes of the chunk that count."""
    header: Record
    after: Record | None
    """The next header; None for the newest chunk."""

    @property
    def copied(self) -> bool:
        """By a fork, from another run."""
        return bool(self.header["epoch"][0] == COPIED)

    def may_hold(self, count: str) -> bool:
        """Whether it may hold decided steps of a sort that headers count: `contested` or `flagged`."""
        return self.after is None or self.after["before"][count] > 0

    def heads(self) -> dict[str, tuple[int, float]]:
        """Of each segment in it that headers know, its head at the begin and at the end.

        In the newest chunk the end is open, and other segments may begin there.
        """
        begin = {each["segment"]: each["step"] for each in self.header["going"]}
        if self.after is None:
            return {name: (step, math.inf) for name, step in begin.items()}
        end = {each["segment"]: each["step"] for each in self.after["going"]}
        end |= {name: steps for name, steps, _ in self.after["before"]["finished"]}
        return {name: (begin.get(name, 0), step) for name, step in end.items()}

    def may_touch(self, segment: str, index: int) -> bool:
        """Whether it may hold records of a step, which may have been drawn for before it was the head."""
        first, end = self.heads().get(segment, (0, math.inf if self.after is None else -1))
        return first <= index <= end or index in self._drawn_ahead(segment)

    def _drawn_ahead(self, segment: str) -> set[int]:
        """Steps with samples at the end, of a segment that is still under way there."""
        going = [] if self.after is None else self.after["going"]
        return {one["step"] for each in going if each["segment"] == segment for one in each["samples"]}

    def lines(self, *kinds: str) -> Iterator[tuple[int, bytes]]:
        """(byte offset, line) of its records of these kinds, checked but not parsed."""
        wanted = tuple(b'{"kind":"%b"' % kind.encode() for kind in kinds)
        return (each for each in chunks.lines(self.chunk, self.end) if each[1].startswith(wanted))

    def records(self, *kinds: str) -> Iterator[Record]:
        return (chunks.decode(self.chunk, offset, line) for offset, line in self.lines(*kinds))


def of(folder: Place) -> list[Chapter]:
    """A lane's chunks that count, in order."""
    parts = history.parts(folder)
    headers = [header for _, _, header in parts[1:]]
    return [Chapter(chunk, end, header, after) for (chunk, end, header), after in zip_longest(parts, headers)]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which steps are asked for; all of them by default."""

    segment: str | None = None
    """None: of every segment."""
    first: int = 0
    end: float = math.inf
    """The first index that is asked for no more."""
    sorts: tuple[str, ...] = ()
    """`contested`, `flagged`."""
    of_sorts: Callable[[Iterable[bool]], bool] = all
    """Whether a step must be of all these sorts or of any."""

    def reads(self, chapter: Chapter) -> bool:
        """Whether steps that are asked for may have been decided in a chunk."""
        if chapter.after is None:
            return True
        heads = chapter.heads().items()
        return self.of_sorts(chapter.may_hold(sort) for sort in self.sorts) and any(
            self.segment in (None, name) and first < self.end and self.first < end
            for name, (first, end) in heads
        )

    def takes(self, record: Record) -> bool:
        """Whether a decision or a park is of a step that is asked for."""
        sort = {"contested": len(record["votes"]) > 1, "flagged": bool(record["flags"])}
        return self._covers(record["segment"], record["step"]) and self.of_sorts(
            sort[name] for name in self.sorts
        )

    def asks_for(self, step: Step) -> bool:
        """Whether a step that is still open is asked for: it is of no sort yet."""
        return not self.sorts and self._covers(step.segment, step.index)

    def _covers(self, segment: str, index: int) -> bool:
        return self.segment in (None, segment) and self.first <= index < self.end


EVERY_STEP = Selection()
