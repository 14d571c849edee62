"""How long and how often a request is tried again: exponential pauses, Retry-After, a last moment.

It sends nothing. Invariant: only transport faults are tried again, and a pause never outlives the
patience. Read next: `wire.py`.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_result
from tenacity.stop import stop_before_delay

from maker.workers.openai_chat.wire import Fault

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 8.0
"""Seconds between tries: doubled from the first to the longest, then shortened by up to half."""

SHORTEST_TRY = 1.0
"""Seconds that a last try has, or a tenth of the patience: one cut off at once would hide the real fault."""


def retrying(patience: float, max_retry_after: float) -> AsyncRetrying:
    """Calls until something other than a Fault comes, or `patience` seconds are over."""
    return AsyncRetrying(
        stop=stop_before_delay(patience - min(SHORTEST_TRY, patience / 10)),
        wait=_pause(max_retry_after),
        retry=retry_if_result(_is_fault),
        retry_error_callback=_last,
    )


def _is_fault(outcome: Any) -> bool:
    return isinstance(outcome, Fault)


def _last(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()


def _pause(max_retry_after: float) -> Callable[[RetryCallState], float]:
    def pause(state: RetryCallState) -> float:
        grown = FIRST_PAUSE * 2.0 ** min(state.attempt_number - 1, 20)
        own = min(grown, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        asked = seconds_asked(_last(state).retry_after, time.time())
        return max(own, min(asked, max_retry_after))

    return pause


def seconds_asked(header: str, now: float) -> float:
    """Seconds from `now` (epoch) that a Retry-After header asks for; 0 where it makes no sense."""
    try:
        seconds = float(header)
    except ValueError:
        seconds = _until(header, now)
    return 0.0 if math.isnan(seconds) else max(0.0, seconds)


def _until(date: str, now: float) -> float:
    try:
        when = parsedate_to_datetime(date)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError, IndexError, TypeError):
        return 0.0
