"""Counters of a lane or a run, folded from the journal's records as they are written or read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from maker.nouns import Json
from maker.records import Record


@dataclass(slots=True)
class Totals:
    steps: int = 0
    """Decided steps."""
    votes: int = 0
    """Votes on the ballots of decided steps."""
    samples: int = 0
    """Raw responses, whether they voted, were flagged or came too late."""
    hedged: int = 0
    """Draws that were sent twice; their tokens are in the next ones twice, as if both replies were alike."""
    flagged: int = 0
    """Samples discarded by a red flag at decided steps."""
    contested: int = 0
    """Decided steps with votes for more than one answer."""
    drifts: int = 0
    """Times that a model began to answer under another name or fingerprint."""
    repeats: int = 0
    """Times that a model was found to give one answer again and again instead of drawing anew."""
    by_person: int = 0
    """Decided steps whose answer is a person's."""
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    """Of the prompt tokens, those that an endpoint had in its prefix cache."""
    by_model: dict[str, list[int]] = field(default_factory=dict)
    """[prompt tokens, response tokens, cached prompt tokens] of each model that was drawn from, by the name
    that seats carry."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Red flags by reason, at decided steps."""
    faults: Counter[str] = field(default_factory=Counter)
    """Transport faults by kind."""

    @property
    def transport_faults(self) -> int:
        return sum(self.faults.values())

    def fold(self, record: Record) -> None:
        kind = record["kind"]
        if kind == "sample":
            self.samples += 1
            mine = self._fold_tokens(record)
            if cached := record.get("tokens_cached"):
                self.tokens_cached += cached
                mine[2] += cached
        elif kind == "decision":
            self._fold_decision(record)
        elif record["event"] == "faults":
            self.faults.update(record["counts"])
        elif record["event"] in ("drift", "repeats"):
            self.drifts += record["event"] == "drift"
            self.repeats += record["event"] == "repeats"
        elif record["event"] == "hedge":
            self.hedged += len(record["draws"])
            self._fold_tokens(record)

    def _fold_tokens(self, record: Record) -> list[int]:
        self.tokens_in += record["tokens_in"]
        self.tokens_out += record["tokens_out"]
        mine = self.by_model.setdefault(record["model"], [0, 0, 0])
        mine[0] += record["tokens_in"]
        mine[1] += record["tokens_out"]
        return mine

    def to_json(self) -> dict[str, Json]:
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, **self._plain()}

    @classmethod
    def from_json(cls, stored: dict[str, Json]) -> Totals:
        counters: dict[str, Counter[str]] = {name: Counter(stored[name]) for name in ("reasons", "faults")}
        return cls(**{**stored, **counters})

    def copy(self) -> Totals:
        return self.from_json(self.to_json())

    @classmethod
    def summed(cls, many: Iterable[Totals]) -> Totals:
        found = cls()
        for each in many:
            found.add(each)
        return found

    def add(self, other: Totals) -> None:
        for name in (f.name for f in fields(self) if f.name != "by_model"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for model, tokens in other.by_model.items():
            mine = self.by_model.get(model, [0, 0, 0])
            self.by_model[model] = [a + b for a, b in zip(mine, tokens, strict=True)]

    def _plain(self) -> dict[str, Json]:
        """The fields that a JSON value may not share with this one."""
        return {
            "reasons": dict(self.reasons),
            "faults": dict(self.faults),
            "by_model": {name: [*tokens] for name, tokens in self.by_model.items()},
        }

    def _fold_decision(self, record: Record) -> None:
        self.steps += 1
        self.votes += sum(len(votes["draws"]) for votes in record["votes"])
        self.contested += len(record["votes"]) > 1
        self.by_person += record.get("by") == "person"
        for flags in record["flags"]:
            self.flagged += len(flags["draws"])
            self.reasons[flags["reason"]] += len(flags["draws"])
