"""What people ask of a run while it goes on: pause, resume, another ceiling; and what holds after all of it.

Requests lie in the run as small numbered files (`RunDirectory.add_control`). Nothing here acts. Invariant:
the last word counts, also for the commands that come after.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maker.concurrency import MOST
from maker.errors import JournalDamagedError, UsageError, first_fault
from maker.nouns import Json


class Control(BaseModel):
    """One request; what is None stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: int
    """The run's newest command when it was made; a later one's own options come after it."""
    at: str
    """When, for people."""
    paused: bool | None = None
    max_concurrency: int | None = Field(None, ge=1)
    model: str | None = None
    """The one that the ceiling is for; None is each."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds now."""

    paused: bool = False
    most: int = MOST
    """Requests at a time, of each model."""
    by_model: dict[str, int] = field(default_factory=dict)
    """Of single ones, where it is another."""

    def of(self, model: str) -> int:
        return self.by_model.get(model, self.most)

    def after(self, control: Control) -> Settings:
        paused = self.paused if control.paused is None else control.paused
        if control.max_concurrency is None:
            return replace(self, paused=paused)
        if control.model is None:
            return Settings(paused, control.max_concurrency)
        return Settings(paused, self.most, {**self.by_model, control.model: control.max_concurrency})


def request(command: int, pause: bool, resume: bool, most: int | None, model: str | None) -> Control:
    """Raises UsageError for one that makes no sense."""
    if pause and resume:
        raise UsageError("give --pause or --resume, not both")
    if not (pause or resume or most is not None):
        raise UsageError("give --max-concurrency N, --pause or --resume")
    if model is not None and most is None:
        raise UsageError("--model says whose --max-concurrency it is: give both")
    if most is not None and most < 1:
        raise UsageError(f"max_concurrency={most}, expected 1 or more (--pause stops all)")
    paused = True if pause else False if resume else None
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return Control(command=command, at=at, paused=paused, max_concurrency=most, model=model)


def settled(stored: Iterable[Json], command: int = 0, most: int | None = None) -> Settings:
    """What holds after all that was asked, for a command that was given this ceiling itself, if any."""
    controls = [_read(each) for each in stored]
    earlier = [each for each in controls if each.command < command]
    found = Settings()
    for control in earlier:
        found = found.after(control)
    if most is not None:
        found = Settings(found.paused, most)
    for control in controls[len(earlier) :]:
        found = found.after(control)
    return found


def _read(stored: Json) -> Control:
    try:
        return Control.model_validate(stored)
    except ValidationError as error:
        raise JournalDamagedError(
            f"a file in control/ is no request ({first_fault(error)}): put the file back as it was"
        ) from None
