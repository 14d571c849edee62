"""What a lane's records add up to, for the next page of its journal: totals, the last chunk's counts, and as
what each model last answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from maker.journal import Page
from maker.nouns import Json
from maker.records import Record, event
from maker.totals import Totals

_NOBODY: dict[str, Json] = {"model": None, "system": None}


@dataclass(slots=True)
class Ledger:
    """Folded from records as they are written or read back."""

    totals: Totals = field(default_factory=Totals)
    """Of the lane since the run began."""
    seen: dict[str, dict[str, Json]] = field(default_factory=dict)
    """By a model's name: the model and the system fingerprint that its endpoint last named, if any."""
    _turned: dict[str, int] = field(init=False)
    """The counts when the last chunk began."""
    _parks: int = 0
    _finished: list[list[Json]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._turned = self._counts()

    def _counts(self) -> dict[str, int]:
        return {name: getattr(self.totals, name) for name in ("steps", "samples", "flagged", "contested")}

    def fold(self, record: Record) -> None:
        self.totals.fold(record)
        if record["kind"] == "sample":
            self._see(record)
        elif record["kind"] == "event":
            self._fold_event(record)

    def _fold_event(self, record: Record) -> None:
        match record:
            case {"event": "drift", "model": model, "now": now}:
                self.seen[model] = now
            case {"event": "finish", "segment": name, "steps": steps, "state": state}:
                self._finished.append([name, steps, state])
            case {"event": "park"}:
                self._parks += 1

    def expects(self, record: Record) -> bool:
        """Whether a sample comes from just the model that its seat's last one did."""
        was = self.seen.get(record["model"])
        return was is not None and (was["model"], was["system"]) == (record["echo"], record["system"])

    def drift(self, record: Record) -> Record | None:
        """The event to write before a sample that comes from another model than its seat's last one did.

        What an endpoint does not say is no change.
        """
        was = self.seen.get(record["model"])
        if was is None:
            return None
        now = _merged(was, record)
        if all(was[name] in (None, now[name]) for name in now):
            return None
        return event("drift", model=record["model"], was=dict(was), now=now)

    def _see(self, record: Record) -> None:
        was = self.seen.get(record["model"], _NOBODY)
        if was["model"] != record["echo"] or was["system"] != record["system"]:
            self.seen[record["model"]] = _merged(was, record)

    def page(self, going: list[dict[str, Json]]) -> Page:
        """The next page, for segments that go on; the counts of the chunk before begin anew."""
        counts = self._counts()
        chunk = {name: count - self._turned[name] for name, count in counts.items()}
        before = {**chunk, "parked": self._parks, "finished": self._finished}
        self._turned, self._parks, self._finished = counts, 0, []
        seen = {model: dict(names) for model, names in self.seen.items()}
        return Page(self.totals.to_json(), going, before, seen)


def _merged(was: dict[str, Json], record: Record) -> dict[str, Json]:
    """As what a model is known after a sample; what the endpoint did not say stays."""
    said = {"model": record["echo"], "system": record["system"]}
    return {name: was[name] if value is None else value for name, value in said.items()}
