"""HTTP to one endpoint: connections that are kept open and used again, through aiohttp.

It knows nothing of chats. Invariants: nothing but this one address is asked (no redirect is followed, no
cookie kept, no .netrc read), never more than BODY_CAP bytes of a response are kept, and the only exception
that leaves is NoResponseError, in words of ours. Read next: `clients.py`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

BODY_CAP = 8 * 2**20
"""Bytes of one response body, after decompression."""


@dataclass(frozen=True, slots=True)
class Response:
    """What an endpoint answered, whatever the status."""

    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    content: bytes


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
        try:
            asking = self._http.post(self._url, data=content, headers=headers, allow_redirects=False)
            async with asking as response:
                return Response(response.status, response.headers, await _capped(response))
        except aiohttp.ClientConnectorError as error:
            raise NoResponseError("connection", _told(error.os_error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            slug = "broken-body" if _undecodable(error) else "connection"
            raise NoResponseError(slug, _told(error)) from None

    async def aclose(self) -> None:
        await self._http.close()


async def _capped(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_CAP:
            response.close()
            raise NoResponseError("broken-body", f"more than {BODY_CAP} bytes")
    return bytes(body)


def _undecodable(error: BaseException) -> bool:
    """The bytes came, but are not compressed as the headers say."""
    return isinstance(error.__cause__, aiohttp.http_exceptions.ContentEncodingError)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__} {error}"
