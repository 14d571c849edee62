"""How long an endpoint wants to be left alone, by the headers of its response.

Retry-After comes first; else what is used up says when it is there again. It decides nothing and bounds
nothing. Invariant: whatever a header holds, the answer is 0 or more. Read next: `wire.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

REMAINING, RESET = "x-ratelimit-remaining-", "x-ratelimit-reset-"
KINDS = ("requests", "tokens")
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def wait_asked(headers: Mapping[str, str], now: float) -> float:
    """Seconds from `now` (epoch); 0 where nothing is asked, or nothing that makes sense."""
    if millis := headers.get("retry-after-ms"):
        return seconds_asked(f"{millis}e-3", now)
    if asked := headers.get("retry-after"):
        return seconds_asked(asked, now)
    spent = [kind for kind in KINDS if headers.get(REMAINING + kind, "").strip() == "0"]
    return max((_duration(headers.get(RESET + kind, "")) for kind in spent), default=0.0)


def seconds_asked(header: str, now: float) -> float:
    """Of a Retry-After: seconds or a date."""
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


def _duration(text: str) -> float:
    """`1s`, `6m0s`, `20ms`; a plain number is seconds."""
    parts = _PART.findall(text)
    if parts and "".join(map("".join, parts)) == text.strip():
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < math.inf else 0.0
