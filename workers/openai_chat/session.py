"""HTTP to one endpoint: connections that are kept open and used again, through aiohttp.

It knows nothing of chats. Invariants: nothing but this one address is asked (no redirect is followed, no
cookie kept, no .netrc read), never more than BODY_CAP bytes of a response are kept, and the only exception
that leaves is NoResponseError, in words of ours. Read next: `clients.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import aiohttp

BODY_CAP = 8 * 2**20
"""Bytes of one response body, after decompression."""
STALE = 3
"""Kept connections that a server may turn out to have closed, before anything was sent, without that being a
fault: llama-server does so after each stream."""


class NoResponseError(Exception):
    """No whole response came; `slug` as a transport fault is counted."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(slug, detail)
        self.slug, self.detail = slug, detail


class Session:
    """A pool without limit, for how many requests there are at a time is the worker's throttle's."""

    def __init__(self, url: str, trust: ssl.SSLContext, proxy: str | None) -> None:
        self._url = url
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            proxy=proxy,
        )

    async def post(self, headers: Mapping[str, str], content: bytes) -> Response:
        """As soon as the headers are there. Raises NoResponseError."""
        with _in_our_words():
            for _ in range(STALE):
                try:
                    return Response(await self._ask(headers, content))
                except aiohttp.ClientOSError as error:
                    if not isinstance(error.__cause__, aiohttp.ClientConnectionResetError):
                        raise  # some of it may have been sent
            return Response(await self._ask(headers, content))

    async def _ask(self, headers: Mapping[str, str], content: bytes) -> aiohttp.ClientResponse:
        return await self._http.post(self._url, data=content, headers=headers, allow_redirects=False)

    async def aclose(self) -> None:
        await self._http.close()


class Response:
    """What an endpoint answers, whatever the status: a context, at whose end it is let go of."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        """Names in any case."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._response.release()  # what has not been read to its end is closed
        if self.is_stream:
            await asyncio.sleep(0)  # a server that hangs up behind it does so now

    @property
    def is_stream(self) -> bool:
        return self.headers.get("content-type", "").lower().startswith("text/event-stream")

    async def content(self) -> bytes:
        """The whole body. Raises NoResponseError."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises NoResponseError."""
        size = 0
        with _in_our_words():
            async for chunk in self._response.content.iter_any():
                size += len(chunk)
                if size > BODY_CAP:
                    raise NoResponseError("broken-body", f"more than {BODY_CAP} bytes")
                yield chunk


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise NoResponseError("connection", _told(error.os_error)) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        slug = "broken-body" if _undecodable(error) else "connection"
        raise NoResponseError(slug, _told(error)) from None


def _undecodable(error: BaseException) -> bool:
    """The bytes came, but are not compressed as the headers say."""
    return isinstance(error.__cause__, aiohttp.http_exceptions.ContentEncodingError)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__} {error}"
