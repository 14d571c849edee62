"""Every error a user can meet, one type for each one *who can act*, with the exit code it ends in.

A message says what was seen, what was expected and what to do. It never holds a key or model text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError


def inert(text: object, limit: int = 300) -> str:
    """Text from outside (a model's, a plug-in's) for a message: one line, cut, the unprintable escaped."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
    return shown if len(shown) <= limit else shown[:limit] + "..."


def first_fault(error: ValidationError) -> str:
    """The first thing that a file of ours has wrong, with its place in the file."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


class MakerError(Exception):
    """Something went wrong that a person must look at."""

    exit_code: ClassVar[int] = 1


class UsageError(MakerError):
    """The command, its options or the plug-in's name are wrong: whoever typed it can act."""

    exit_code = 2


class PluginError(MakerError):
    """A plug-in broke its contract or raised: its author can act."""


class BlockedError(MakerError):
    """The run cannot draw (key refused, model gone, endpoint down): whoever runs the endpoint can act.

    Nothing is lost; the same command goes on.
    """


class BudgetSpentError(MakerError):
    """A cap on the run's calls, tokens or cost is reached: whoever set it can act.

    Nothing is lost; the same command with a larger cap goes on.
    """

    exit_code = 4


class StorageError(MakerError):
    """The run's directory cannot be written (full, gone, read-only): whoever keeps the storage can act.

    Nothing is lost; the same command goes on.
    """


class JoinError(MakerError):
    """Segments do not fit together when stitched."""


class FencedError(MakerError):
    """A newer owner has taken the lane over: this process must stop writing."""

    exit_code = 5


class JournalDamagedError(MakerError):
    """A record does not check out: whoever keeps the storage can act."""

    exit_code = 6


class IncompatibleResumeError(MakerError):
    """The run directory holds another run than the command describes."""

    exit_code = 7
