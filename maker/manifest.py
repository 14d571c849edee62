"""What a run was asked to do: written once at its start, compared when the same run is asked for again.

Its fields are of two sorts. The fingerprint (task, its parameters, source and first prompt, models, judges,
voter, red flags, seed, ladder) decides what a step's answer is; a run that differs there is another run. The
rest (cap, versions) may differ from one start to the next. No key is ever in it. What differs:
`compatibility.py`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from maker import moved
from maker.ladder import Rung
from maker.records import FORMAT

FINGERPRINT = {"task", "parameters", "models", "judges", "voter", "red_flags", "seed", "escalate", "prompt"}


class Source(BaseModel):
    """A plug-in as it was named and found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: str
    sha256: str
    """Of the file that the spec leads to; empty where there is none."""
    defined: str = ""
    """SHA-256 of the file that defines it, where that is another one; it takes an import to know."""

    def __str__(self) -> str:
        return self.spec


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    run: str
    """The run's id."""
    maker: str
    """Version of Maker that started it."""
    task: Source
    parameters: dict[str, Any]
    """The task's, as typed."""
    models: list[Source]
    """The panel, in drawing order; options in the spec."""
    judges: list[Source] = []
    """Who votes on whether two answers are the same, in drawing order; none: the panel does."""
    voter: Source
    red_flags: list[Source]
    """The first that objects gives the reason."""
    seed: int
    escalate: list[Rung] = []
    """What changes, one after the other, where a step is in trouble."""
    max_samples: int
    prompt: str = ""
    """Digest of what is asked at the first step of the first segment, which other files of a task may word;
    empty where nothing is."""
    forked: str | None = None
    """Run and step that a fork comes from."""

    def fingerprint(self) -> dict[str, Any]:
        """Field to value, for what may not differ when a run goes on: files by name and content, wherever
        they lie."""
        whole = self.model_dump(mode="json", include=FINGERPRINT)
        return {name: moved.placeless(value) for name, value in whole.items()}

    @property
    def rules(self) -> str:
        """The red flags as they are named on a command line."""
        return "|".join(rule.spec for rule in self.red_flags) or "none"
