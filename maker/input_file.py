"""A file that a task reads: named by its path, and held to what was in it when the run began.

A constructor's parameter annotated `InputFile` is typed as a path; the manifest keeps the path, made
absolute, and the SHA-256 of the content, which is so part of the run's fingerprint. The file is not copied:
it must stay where it is, and every machine of a cluster must find it there, or below its current folder.
Invariant: `read` returns what the run began with, or raises.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from maker import moved
from maker.errors import IncompatibleResumeError, UsageError


@dataclass(frozen=True, slots=True)
class InputFile:
    path: str
    """Absolute."""
    sha256: str
    """Of the content when the run began, in hex."""

    @classmethod
    def at(cls, path: str | PathLike[str]) -> InputFile:
        """The file as it is now; UsageError when it cannot be read."""
        there = Path(path).expanduser().resolve()
        return cls(str(there), hashlib.sha256(_content(there)).hexdigest())

    def read(self) -> bytes:
        """The content; IncompatibleResumeError when it is another one by now, UsageError when it is gone."""
        content = _content(moved.found(Path(self.path), self.sha256))
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise IncompatibleResumeError(
                f"{self.path} is not the file that the run began with (by its sha256): "
                "put that one in its place, also on every machine of the cluster, or begin a new run"
            )
        return content

    def __str__(self) -> str:
        return self.path

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(cls._typed, handler(source))

    @classmethod
    def _typed(cls, value: object) -> object:
        """A path as it is typed; what a manifest holds stays as it is."""
        return cls.at(value) if isinstance(value, str | PathLike) else value


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"the input file {path} cannot be read: {reason}; it must stay there while its run goes on, "
            "on every machine of the cluster"
        ) from None
