"""Calling a plug-in: whatever it raises becomes a PluginError that names its own line and the step."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import TypeVar

from maker.errors import PluginError, inert
from maker.nouns import Step

T = TypeVar("T")


def guarded(
    what: str, step: Step | None, method: Callable[..., T], *args: object, allowed: tuple[type, ...] = ()
) -> T:
    """Call a method of a plug-in; `what` names it for people, exceptions of `allowed` types pass."""
    try:
        return method(*args)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if isinstance(error, allowed):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
        raise PluginError(
            f"{what} raised {type(error).__name__}{at(step)} ({where}): {inert(error)}"
        ) from error


def at(step: Step | None) -> str:
    return f" at step {step.segment}:{step.index}" if step else ""
