"""Who says what goes into a request beside its body: the openai package for each, or once for all.

    openai    each request is made by the openai package, which hands it to our session
    aiohttp   the openai package says once which headers it would send, and our session sends them

It neither retries nor decides. Invariant: both send the same headers to the same address, and the key goes
there alone. Read next: `wire.py`.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI
from openai._types import RequestOptions

from maker.workers.openai_chat.endpoint import Endpoint, key_of, proxy_of
from maker.workers.openai_chat.session import NoResponseError, Response, Session

Through: TypeAlias = Literal["openai", "aiohttp"]
OURS = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
"""Headers; of encodings those that can be read wherever Python runs."""
OPTIONS: RequestOptions = {"headers": OURS}


class Client(Protocol):
    """Bound to the event loop that it was opened in."""

    key: str

    async def post(self, content: bytes) -> Response:
        """Raises NoResponseError."""
        ...

    async def aclose(self) -> None: ...


def open_client(
    through: Through, where: Endpoint, timeout: float, trust_env: bool, key_file: str | None
) -> Client:
    """Of the running event loop; retries, redirects and cookies are off."""
    key = key_of(where, key_file)
    trust = httpx2.create_ssl_context(trust_env=trust_env)
    trust.set_alpn_protocols(["http/1.1"])
    url = where.url.rstrip("/") + "/chat/completions"
    session = Session(url, trust, proxy_of(where) if trust_env else None)
    http = _Http(session, timeout)
    package = AsyncOpenAI(api_key=key, base_url=where.url, max_retries=0, timeout=timeout, http_client=http)
    return OfPackage(key, package, url) if through == "openai" else Direct(key, package, session)


class Direct:
    """Headers are fixed when it is made."""

    def __init__(self, key: str, package: AsyncOpenAI, session: Session) -> None:
        said = {**package.default_headers, **package.auth_headers}
        self.key, self._session = key, session
        self._headers = {name: value for name, value in said.items() if isinstance(value, str)} | OURS

    async def post(self, content: bytes) -> Response:
        return await self._session.post(self._headers, content)

    async def aclose(self) -> None:
        await self._session.aclose()


class OfPackage:
    """The package's own way, without its models of requests and responses."""

    def __init__(self, key: str, package: AsyncOpenAI, url: str) -> None:
        self.key, self._package, self._url = key, package, url

    async def post(self, content: bytes) -> Response:
        try:
            found = await self._package.post(
                self._url, cast_to=httpx2.Response, content=content, options=OPTIONS
            )
        except APIStatusError as error:
            return _answer(error.response)
        except APIConnectionError as error:
            if isinstance(error.__cause__, NoResponseError):
                raise error.__cause__ from None
            raise NoResponseError("connection", str(error)) from None
        return _answer(found)

    async def aclose(self) -> None:
        await self._package.close()


class _Http(httpx2.AsyncClient):
    """The session as the package wants it: headers of the response, such as a charset, have no say there.

    A transport below httpx2 would do as well, but what httpx2 does around one is a tenth of a request's cost.
    """

    def __init__(self, session: Session, timeout: float) -> None:
        super().__init__(transport=httpx2.AsyncBaseTransport(), trust_env=False, timeout=timeout)
        self._session = session

    def build_request(
        self, method: str, url: httpx2.URL | str, *, content: Any = None, headers: Any = None, **_: Any
    ) -> httpx2.Request:
        """As the package made it: there is nothing of ours to merge into it."""
        return httpx2.Request(method, url, content=content, headers=headers)

    async def send(self, request: httpx2.Request, **_: Any) -> httpx2.Response:
        headers = {name.decode("ascii"): value.decode("ascii") for name, value in request.headers.raw}
        answer = await self._session.post(headers, request.content)
        return httpx2.Response(answer.status, content=b"", request=request, extensions={"answer": answer})

    async def aclose(self) -> None:
        await super().aclose()
        await self._session.aclose()


def _answer(response: httpx2.Response) -> Response:
    answer: Response = response.extensions["answer"]
    return answer
