"""Another panel for one parked step: recorded in its lane before anything is drawn under it.

The steps after it are the run's own panel's again; red flags and seed are the run's in any case.
Invariant: an amendment that was written is read back equal, so a resume and a replay see the same panel.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from maker import records
from maker.errors import JournalDamagedError
from maker.manifest import Source
from maker.records import FORMAT, Record


class Amendment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    segment: str
    step: int
    """0-based."""
    state: str
    """Digest of the step's state."""
    models: tuple[Source, ...]
    """In drawing order: draw d is given to model d modulo their number, as in any panel."""
    judges: tuple[Source, ...] = ()
    """Who votes on whether two answers are the same; none: the models do."""
    voter: Source
    max_samples: int
    """The most draws at the step, those before the amendment included."""

    def record(self) -> Record:
        return records.event("amend", **self.model_dump(mode="json"))

    @classmethod
    def of(cls, record: Record) -> Amendment:
        """Raises JournalDamagedError for a record that is none."""
        fields = {name: value for name, value in record.items() if name not in ("kind", "event")}
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            what = error.errors(include_input=False)[0]
            raise JournalDamagedError(f"an amendment is not of format {FORMAT}: {what}") from None
