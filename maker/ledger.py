"""What a lane's records add up to, for the next page of its journal: totals, and the last chunk's counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from maker.journal import Page
from maker.nouns import Json
from maker.records import Record
from maker.totals import Totals


@dataclass(slots=True)
class Ledger:
    """Folded from records as they are written or read back."""

    totals: Totals = field(default_factory=Totals)
    """Of the lane since the run began."""
    _chunk: Totals = field(default_factory=Totals)
    _parks: int = 0
    _finished: list[list[Json]] = field(default_factory=list)

    def fold(self, record: Record) -> None:
        self.totals.fold(record)
        self._chunk.fold(record)
        match record:
            case {"event": "finish", "segment": name, "steps": steps, "state": state}:
                self._finished.append([name, steps, state])
            case {"event": "park"}:
                self._parks += 1

    def page(self, going: list[dict[str, Json]]) -> Page:
        """The next page, for segments that go on; the counts of the chunk before begin anew."""
        counts = ("steps", "samples", "flagged", "contested")
        before = {name: getattr(self._chunk, name) for name in counts}
        before |= {"parked": self._parks, "finished": self._finished}
        self._chunk, self._parks, self._finished = Totals(), 0, []
        return Page(self.totals.to_json(), going, before)
