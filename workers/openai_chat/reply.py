"""A response body read: choices, tokens and names, or the reason why it is no answer at all.

It knows no network. Invariant: text is kept as the endpoint sent it, lone surrogates included, and
whatever bytes come in, `read` returns. Read next: `wire.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from maker.nouns import Json

NAME_CAP = 200
"""Characters kept of names and ids that the endpoint made up."""


@dataclass(frozen=True, slots=True)
class Choice:
    text: str
    finish: str
    logprob: float | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A body that holds at least one answer."""

    choices: tuple[Choice | None, ...]
    """None where the endpoint sent a choice without an answer."""
    model: str | None
    system: str | None
    request: str | None
    tokens_in: int
    """Prompt tokens of the request; 0 also where the endpoint did not say."""
    tokens_out: int
    """Completion tokens of all choices; 0 also where the endpoint did not say."""
    latency: float
    """Seconds from the request to the end of the body."""
    wait: float = 0.0
    """Seconds that the endpoint wants to be left alone now."""
    cached: int = 0
    """Of the prompt's tokens, those that the endpoint had in its prefix cache."""
    broke_off: str | None = None
    """Slug of the fault that ended a stream early: choices that had not ended are None."""


def read(content: bytes, request: str | None, latency: float, wait: float = 0.0) -> Reply | str:
    """The reply in a body of status 2xx, or what is wrong with it."""
    try:
        body = loads(content)
    except ValueError as error:
        return f"not JSON ({type(error).__name__})"
    return of(body, request, latency, wait)


def of(body: Json, request: str | None, latency: float, wait: float = 0.0) -> Reply | str:
    """The same of a body that is JSON."""
    if not isinstance(body, dict) or body.get("error"):
        return "an error in a body of status 200" if isinstance(body, dict) else "no JSON object"
    found = body.get("choices")
    choices = tuple(map(choice, found)) if isinstance(found, list) else ()
    if not any(choices):
        return "no choices" if not choices else "no choice holds an answer"
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        choices,
        _name(body.get("model")),
        _name(body.get("system_fingerprint")),
        _name(body.get("id")) or _name(request),
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        latency,
        wait,
        _cached(usage),
    )


def loads(content: bytes) -> Json:
    """Strict UTF-8 and JSON; nesting too deep is a ValueError as everything else is."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def choice(body: Json) -> Choice | None:
    """The answer in a choice, if it holds one."""
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        return None
    said = body.get("finish_reason")
    finish = said[:NAME_CAP] if isinstance(said, str) and said else "unknown"
    text, refusal = message.get("content"), message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return Choice(refusal, "refusal", None)
    if text is None and finish not in ("stop", "unknown"):
        text = ""
    if not isinstance(text, str) or finish == "error":
        return None
    return Choice(text, finish, _logprob(body.get("logprobs")))


def _logprob(logprobs: Json) -> float | None:
    try:
        total = math.fsum(token["logprob"] for token in logprobs["content"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    return total if math.isfinite(total) else None


def _name(value: Json) -> str | None:
    return value[:NAME_CAP] if isinstance(value, str) and value else None


def count(value: Json) -> int:
    """A number of tokens; 0 for what is none."""
    return value if type(value) is int and 0 <= value < 2**53 else 0


def _cached(usage: dict[str, Json]) -> int:
    details = usage.get("prompt_tokens_details")
    found = count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return min(found, count(usage.get("prompt_tokens")))


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in parts as near to the (positive) weights as integers allow; the parts sum to it."""
    whole = sum(weights)
    marks = [total * done // whole for done in accumulate(weights, initial=0)]
    return [after - before for before, after in pairwise(marks)]


def plain(text: str, key: str = "", limit: int = 300) -> str:
    """Text of a stranger made safe to show: no control characters, not long, without the key."""
    shown = text.replace(key, "***") if key else text
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown[:limit])
    return escaped + " ..." if len(shown) > limit else escaped
