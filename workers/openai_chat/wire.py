"""One HTTP request and what became of it: a reply, a transport fault, or a rejection, as data.

It neither retries nor decides. Invariant: no exception of the HTTP stack leaves this file (it would
hold the request and so the key).
Read next: `reply.py`, `patience.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from maker.nouns import Json
from maker.workers.openai_chat import headers
from maker.workers.openai_chat.clients import Client
from maker.workers.openai_chat.reply import Reply, loads, of, plain, read
from maker.workers.openai_chat.session import NoResponseError, Response
from maker.workers.openai_chat.streamed import Assembly, events

TRANSIENT = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Fault:
    """The network's doing: retried, counted, never a sample."""

    slug: str
    detail: str
    wait: float = 0.0
    """Seconds that the server wants to be left alone, as it said."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The endpoint understood and said no: asking the same again would not help."""

    status: int
    message: str
    code: str = ""
    param: str = ""

    @property
    def filtered(self) -> bool:
        """True when the prompt itself was refused by the endpoint's content filter."""
        return self.code in ("content_filter", "content_policy_violation")

    @property
    def too_long(self) -> bool:
        """True when this prompt, unlike others, does not fit into the model's context."""
        return self.status in (400, 413, 422) and (
            self.code == "context_length_exceeded" or self.names("context length", "context size")
        )

    def names(self, *words: str) -> bool:
        """True when the message or the parameter at fault holds one of these words."""
        return any(word in self.message or word == self.param for word in words)


Outcome = Reply | Fault | Rejected


Ended: TypeAlias = Callable[[Assembly, float], None]
"""Told when a choice has ended before the whole: what has come so far, and seconds since it was asked for."""


async def post(
    client: Client, body: bytes, seconds: float, n: int = 1, on_end: Ended = lambda *_: None
) -> Outcome:
    """Ask once, for `n` choices, headers and body within `seconds` together."""
    start, parts = time.perf_counter(), Assembly(n)
    try:
        async with asyncio.timeout(seconds), await client.post(body) as response:
            if response.status >= 300:
                return _status(response, await response.content(), client.key)
            if not response.is_stream:
                whole = await response.content()
                return _replied(partial(read, whole), response, time.perf_counter() - start)
            async for data in events(response.chunks()):
                if parts.feed(data):
                    on_end(parts, time.perf_counter() - start)
        if not parts.whole:
            raise NoResponseError("broken-body", "the stream ended before its choices")
        return _replied(partial(of, parts.body()), response, time.perf_counter() - start)
    except TimeoutError:
        fault = Fault("timeout", f"no full response within {seconds:.3g} s")
    except NoResponseError as error:
        fault = Fault(error.slug, plain(error.detail, client.key))
    except ValueError as error:
        fault = Fault("broken-body", plain(str(error), client.key))
    return _broken_off(parts, fault, time.perf_counter() - start)


def _replied(
    reading: Callable[[str | None, float, float], Reply | str], response: Response, took: float
) -> Outcome:
    """`reading` is given the response's id, its latency and the wait that it asks for."""
    wait = headers.wait_asked(response.headers, time.time())
    found = reading(response.headers.get("x-request-id"), took, wait)
    return found if isinstance(found, Reply) else Fault("broken-body", found, wait)


def _broken_off(parts: Assembly, fault: Fault, took: float) -> Outcome:
    """The choices that had ended are answers all the same."""
    found = of(parts.body(), None, took) if parts.ended else None
    return replace(found, broke_off=fault.slug) if isinstance(found, Reply) else fault


def _status(response: Response, content: bytes, key: str) -> Outcome:
    status = response.status
    if 300 <= status < 400:
        return Rejected(status, plain(response.headers.get("location", ""), key))
    message, code, param = _said(content)
    message = plain(message, key)
    if (status in TRANSIENT or status >= 500) and code != "insufficient_quota":
        return Fault(f"http-{status}", message, headers.wait_asked(response.headers, time.time()))
    return Rejected(status, message, plain(code, key), plain(param, key))


def _said(content: bytes) -> tuple[str, str, str]:
    """Message, code and parameter at fault of any server's error body."""
    try:
        body = loads(content)
    except ValueError:
        return content[:2000].decode("utf-8", "replace"), "", ""
    error: Json = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return _text(error), "", ""
    message = error.get("message") or error.get("detail") or ""
    return _text(message), _text(error.get("code") or "")[:80], _text(error.get("param") or "")[:80]


def _text(value: Json) -> str:
    try:
        return (value if isinstance(value, str) else repr(value))[:2000]
    except RecursionError:
        return "(nested too deep to show)"
