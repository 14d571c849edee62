"""How long and how often a request is tried again: growing pauses, the endpoint's own wish, a last moment.

It sends nothing; how many requests there are at a time, and that all of them heed what one was told, is the
worker's throttle. Invariant: only transport faults are tried again, and a pause never outlives the patience,
in which waiting for a permit does not count. Read next: `wire.py`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from maker.workers.openai_chat.wire import Fault, Outcome

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 8.0
"""Seconds between tries: doubled from the first to the longest, then shortened by up to half."""

SHORTEST_TRY = 1.0
"""Seconds that a last try has, or a tenth of the patience: one cut off at once would hide the real fault."""


async def retried(
    once: Callable[[], Awaitable[Outcome]],
    patience: float,
    max_retry_after: float,
    spent: Callable[[], float],
) -> Outcome:
    """Calls until something other than a Fault comes, or `patience` seconds are over; `spent` is how many of
    them are gone."""
    outcome = await once()
    if not isinstance(outcome, Fault):
        return outcome
    first, last = [outcome], patience - min(SHORTEST_TRY, patience / 10)

    def over(state: RetryCallState) -> bool:
        return spent() + state.upcoming_sleep >= last

    async def again() -> Outcome:
        return first.pop() if first else await once()

    retrying = AsyncRetrying(
        stop=over, wait=_pause(max_retry_after), retry=retry_if_result(_is_fault), retry_error_callback=_last
    )
    found: Outcome = await retrying(again)
    return found


def _is_fault(outcome: Any) -> bool:
    return isinstance(outcome, Fault)


def _last(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()


def _pause(max_retry_after: float) -> Callable[[RetryCallState], float]:
    def pause(state: RetryCallState) -> float:
        grown = FIRST_PAUSE * 2.0 ** min(state.attempt_number - 1, 20)
        own = min(grown, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        fault: Fault = _last(state)
        return max(own, min(fault.wait, max_retry_after))

    return pause
