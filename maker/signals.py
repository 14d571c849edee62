"""Ctrl-C and SIGTERM: the first asks the run to stop in order, the second ends the process at once.

What was drawn is in the journal when it is counted, so either leaves a run that goes on; the second loses
what the models were still asked for. In other threads than the main one it does nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import FrameType
from typing import Any, Self

EXIT_CODE = 130
"""As a shell has it for a process that Ctrl-C has ended."""


class Signals:
    """A context in which they are heard."""

    def __init__(self) -> None:
        self._heard = 0
        self._task: asyncio.Task[Any] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
            self._before = {each: hears for each, hears in before.items() if hears is not signal.SIG_IGN}
        self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        for each, hears in self._before.items():
            signal.signal(each, hears)

    def cancel(self, task: asyncio.Task[Any] | None) -> None:
        """From now on the first signal cancels this task; until now it was a KeyboardInterrupt."""
        self._task = task
        self._listen()  # again: Ray has put a handler of its own in the place of ours

    def _listen(self) -> None:
        for each in self._before:
            signal.signal(each, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard += 1
        if self._heard > 1:
            _end()
        if self._task is None or self._task.done():
            raise KeyboardInterrupt
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)


def _end() -> None:
    """Without waiting for anything: cleaning up is what may be stuck."""
    show_cursor = "\x1b[?25h" if os.isatty(2) else ""
    os.write(2, f"{show_cursor}maker: stopped at once; the same command goes on\n".encode("ascii"))
    os._exit(EXIT_CODE)
