"""What a run was asked to do: written once at its start, compared when the same run is asked for again.

Its fields are of two sorts. The fingerprint (task, its parameters and source, models, voter, red flags,
seed) decides what a step's answer is; a run that differs there is another run. The rest (cap, versions)
may differ from one start to the next. No key is ever in it.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from maker.records import FORMAT


class Source(BaseModel):
    """A plug-in as it was named and found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: str
    sha256: str
    """Of its file; empty where there is none."""


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
    voter: str
    red_flags: str
    seed: int
    max_samples: int
    forked: str | None = None
    """Run and step that a fork comes from."""

    def fingerprint(self) -> dict[str, Any]:
        """Field to value, for what may not differ when a run goes on."""
        return self.model_dump(include={"task", "parameters", "models", "voter", "red_flags", "seed"})

    def differences(self, other: Manifest) -> list[str]:
        """A line for each field of the fingerprint in which `other` differs."""
        here, there = self.fingerprint(), other.fingerprint()
        return [f"{name}: {here[name]!r} -> {there[name]!r}" for name in here if here[name] != there[name]]
