"""One HTTP request and what became of it: a reply, a transport fault, or a rejection, as data.

It neither retries nor decides. Invariant: no exception of the HTTP stack leaves this file (it would
hold the request and so the key), and never more than BODY_CAP bytes of a response are kept.
Read next: `reply.py`, `patience.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI

from maker.nouns import Json
from maker.workers.openai_chat import headers
from maker.workers.openai_chat.reply import Reply, loads, plain, read

BODY_CAP = 8 * 2**20
"""Bytes of one response body, before and after decompression."""
KEPT = (*headers.KEPT, "x-request-id")
"""Response headers that are passed on; a charset or a cookie of the server has no say."""
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


class BodyTooLargeError(httpx2.DecodingError):
    """More than BODY_CAP bytes came."""


class CappedTransport(httpx2.AsyncBaseTransport):
    """Reads whole bodies, but never more than BODY_CAP bytes, raw or decompressed.

    One inner transport serves one request at a time, the last one used first: a shared pool looks
    at each of its idle connections for every request, which at 64 doubles a call's CPU time.
    """

    def __init__(self, new: Callable[[], httpx2.AsyncBaseTransport]) -> None:
        self._new = new
        self._idle: list[httpx2.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        inner = self._idle.pop() if self._idle else self._new()
        try:
            response = await inner.handle_async_request(request)
            try:
                body = await _capped(response)
            finally:
                await response.aclose()
        finally:
            self._idle.append(inner)
        kept = {name: response.headers[name] for name in KEPT if name in response.headers}
        away = response.headers.get("location", "")
        return httpx2.Response(
            response.status_code, headers=kept, content=body, extensions={"location": away}
        )

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()


async def _capped(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if max(len(body), response.num_bytes_downloaded) > BODY_CAP:
            raise BodyTooLargeError(f"more than {BODY_CAP} bytes")
    return bytes(body)


async def post(client: AsyncOpenAI, body: bytes, seconds: float) -> Outcome:
    """Ask once, headers and body within `seconds` together."""
    start = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            response = await client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=body,
                options={"headers": {"Content-Type": "application/json"}},
            )
    except (TimeoutError, APITimeoutError):
        return Fault("timeout", f"no full response within {seconds:.3g} s")
    except APIStatusError as error:
        return _status(error.response, client.api_key)
    except (APIConnectionError, httpx2.HTTPError, OSError) as error:
        return _connection(error.__cause__ or error, client.api_key)
    took = time.perf_counter() - start
    wait = headers.wait_asked(response.headers, time.time())
    found = read(response.content, response.headers.get("x-request-id"), took)
    return replace(found, wait=wait) if isinstance(found, Reply) else Fault("broken-body", found, wait)


def _connection(cause: BaseException, key: str) -> Fault:
    slug = "broken-body" if isinstance(cause, httpx2.DecodingError) else "connection"
    return Fault(slug, plain(f"{type(cause).__name__} {cause}", key))


def _status(response: httpx2.Response, key: str) -> Outcome:
    status = response.status_code
    if 300 <= status < 400:
        return Rejected(status, plain(str(response.extensions["location"]), key))
    message, code, param = _said(response.content)
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
