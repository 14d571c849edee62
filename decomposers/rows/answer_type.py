"""The pydantic model that answers are of: named by a spec, and held to the file that it was in.

Its file's digest goes into the manifest with it, so that a run does not go on with another type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from maker import plugins
from maker.errors import IncompatibleResumeError, UsageError

GROUP = "maker.answers"
"""Of entry points; a package may name its types there."""


@dataclass(frozen=True, slots=True)
class AnswerType:
    spec: str
    """As it was typed, made independent of the working directory."""
    sha256: str
    """Of its file when the run began, in hex; empty where there is none."""

    @classmethod
    def at(cls, spec: str) -> AnswerType:
        place = plugins.locate(GROUP, spec)
        return cls(place.spec, place.sha256)

    def load(self) -> type[BaseModel]:
        """Import it; IncompatibleResumeError when its file is another one by now."""
        place = plugins.locate(GROUP, self.spec)
        if place.sha256 != self.sha256:
            raise IncompatibleResumeError(
                f"{self.spec}: {place.file} is not the file that the run began with (by its sha256)"
            )
        found = plugins.load(place).target
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            raise UsageError(f"{self.spec} is no pydantic model: give a class derived from BaseModel")
        return found

    def __str__(self) -> str:
        return self.spec

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(cls._typed, handler(source))

    @classmethod
    def _typed(cls, value: object) -> object:
        """A spec as it is typed; what a manifest holds stays as it is."""
        return cls.at(value) if isinstance(value, str) else value
