"""Calling a plug-in: whatever it raises becomes a PluginError with its own line, the step and its state.

Nothing is caught that is not the plug-in's. Invariant: the message is one printable line of bounded length.
"""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from maker.errors import PluginError, inert
from maker.nouns import Step

T = TypeVar("T")

STATE = 200
"""Characters of a state that a message shows."""


def guarded(
    what: str,
    step: Step | None,
    method: Callable[..., T],
    *args: object,
    allowed: tuple[type, ...] = (),
    blamed: object = None,
) -> T:
    """Call a method of a plug-in; `what` names it for people, exceptions of `allowed` types pass.

    `blamed` is whose value it is, where the call itself is ours.
    """
    try:
        return method(*args)
    except BaseException as error:
        if passes(error, allowed):
            raise
        raise PluginError(explained(what, step, error, blamed or method)) from error


def passes(error: BaseException, allowed: tuple[type, ...]) -> bool:
    """Whether an exception leaves a plug-in as it is."""
    return isinstance(error, (*allowed, KeyboardInterrupt))


def explained(what: str, step: Step | None, error: BaseException, method: object = None) -> str:
    """What was raised, where in the plug-in and at which step and state."""
    return f"{what} raised {type(error).__name__}{at(step)} ({_line(error, method)}): {inert(error)}"


def at(step: Step | None) -> str:
    return f" at step {step.segment}:{step.index}, state {_shown(step.state)}" if step else ""


def _shown(state: object) -> str:
    try:
        return inert(json.dumps(state), STATE)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(state).__name__}"


def place(method: object) -> str | None:
    """Where a method begins, as file:line; None for one that is not Python's."""
    code = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code else None


def _line(error: BaseException, method: object) -> str:
    """The innermost line in the plug-in's own folder; where it never came to that, where the method begins.

    A plug-in that trips in a library is told its own line, not the library's.
    """
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)[1:]]
    begins = place(method)
    first = begins.rpartition(":")[0] if begins else frames[0][0] if frames else ""
    own = [frame for frame in frames if Path(first).parent in Path(frame[0]).parents]
    return f"{own[-1][0]}:{own[-1][1]}" if own else begins or "?"
