"""How events of a run are written to stderr: JSON lines for programs, words for people; and how many of them.

What an event says is up to who logs it. Invariant: however often a thing happens in a process, few lines tell
of it, each of them short, and no text from outside reaches a terminal as it is.
"""

from __future__ import annotations

import socket
import sys
from collections import Counter
from collections.abc import Mapping

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from maker.errors import inert

FIRST = 32
"""Events of a kind that are written; after them the 64th, the 128th, ... are, each with its number."""
LONGEST = 2000
"""Characters of a text in an event."""


def to_stderr(as_json: bool, fields: Mapping[str, str] | None = None) -> None:
    """From now on; `fields` are added to every event."""
    shape: Processor = structlog.processors.LogfmtRenderer()
    if as_json:
        shape = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            Sparse(),
            structlog.processors.format_exc_info,
            _inert,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            _With({**(fields or {})}),
            shape,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def place(run: str, **more: str) -> dict[str, str]:
    """Fields that tell whose events these are and which machine wrote them."""
    return {"run": run, **more, "node": socket.gethostname()}


class Sparse:
    """Drops what has happened often; what is told for its own sake (`info`) has a rhythm of its own."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if method == "info":
            return event
        self._seen[event["event"]] += 1
        number = self._seen[event["event"]]
        if number <= FIRST:
            return event
        if number & (number - 1):
            raise structlog.DropEvent
        return {**event, "number": number}


class _With:
    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {**event, **self._fields}


def _inert(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = event["exception"][-LONGEST:]  # the end says what happened
    return {name: _shown(value) for name, value in event.items()}


def _shown(value: object) -> object:
    if isinstance(value, str):
        return inert(value, LONGEST)
    if isinstance(value, Mapping):
        return {inert(name): _shown(each) for name, each in value.items()}
    return value
