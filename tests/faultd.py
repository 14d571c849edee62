"""A chat endpoint of ours that speaks real HTTP/1.1 on loopback and fails exactly as scripted.

    with Faultd(answer=lambda prompt, ordinal: "yes", script=[status(503), None]) as server:
        ... base_url=server.url ...
    assert [call.verdict for call in server.calls] == ["fault", "answered"]

It runs in its own thread, decides nothing by chance, and logs what it saw: `calls` is the truth
that a client's own story is compared with. Invariant: equal calls in equal order get equal answers.
"""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import json
import re
import ssl
import threading
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

Answer = Callable[[str, int], str]
"""(content of the last message, the request's seed or, where it has none, the 0-based count of answers given
to these messages before) -> text"""


@dataclass(slots=True)
class Call:
    """One request as the server saw it."""

    ordinal: int
    path: str
    headers: dict[str, str]
    body: Any
    connection: int
    started: float
    ended: float | None = None
    """Seconds of `time.monotonic`; None while it runs."""
    verdict: str = "running"
    """`answered`, `fault` (the script's doing), or `gone` (the client left first)."""


@dataclass(frozen=True, slots=True)
class Act:
    """What becomes of one request: None in a script stands for the honest answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """None: the honest answer, as edited."""
    edit: Callable[[dict[str, Any]], object] | None = None
    """Changes the honest answer, or returns another one to send instead."""
    chunks: Callable[[], Iterable[bytes]] | None = None
    """A body of unknown length, sent until the client leaves or it ends."""
    wait: float = 0.0
    """Seconds before the first byte."""
    drip: float = 0.0
    """Seconds between single bytes of the whole response, headers included."""
    cut: int | None = None
    """Bytes of the body after which the connection is reset; -1 before any response."""

    @property
    def honest(self) -> bool:
        return self.status == 200 and self.body is None and self.edit is None and not self.chunks


Script = Iterable[Act | None] | Callable[[Call], Act | None]
HONEST = Act()
TLS_HELLO = b"\x16"


def status(code: int, message: str = "no", *, code_name: str = "", **headers: str) -> Act:
    """An error in OpenAI's shape; `retry_after="1"` becomes the header `retry-after: 1`."""
    error = {"message": message, "type": "error", "code": code_name or None, "param": None}
    names = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Act(code, names, json.dumps({"error": error}).encode())


def raw(body: bytes, content_type: str = "application/json", **headers: str) -> Act:
    names = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Act(200, (("content-type", content_type), *names), body)


def edited(change: Callable[[dict[str, Any]], object]) -> Act:
    return Act(edit=change)


def html() -> Act:
    return raw(b"<html><body>Bad gateway</body></html>", "text/html")


def reset(after: int = 40) -> Act:
    """Reset the connection after that many bytes of the body; -1: before any response."""
    return Act(cut=after)


def trickle(seconds: float = 1.0) -> Act:
    """One byte, a pause, one byte, ..."""
    return Act(drip=seconds)


def silent(seconds: float = 3600.0) -> Act:
    return Act(wait=seconds)


def redirect(to: str, code: int = 307) -> Act:
    return Act(code, (("location", to),), b"")


def endless(piece: bytes = b" " * 65536) -> Act:
    def chunks() -> Iterator[bytes]:
        while True:
            yield piece

    return Act(chunks=chunks)


def huge(mebibytes: int) -> Act:
    """A body of that many MiB of spaces, announced by its length, then an answer nobody reads."""
    return Act(
        200,
        (("content-length", str(mebibytes * 2**20)),),
        chunks=lambda: [b" " * 2**20] * mebibytes,
    )


def gzip_bomb(mebibytes: int, layers: int = 1) -> Act:
    """That many MiB of spaces, compressed to about a thousandth for each layer."""
    names = ", ".join(["gzip"] * layers)
    return raw(_bomb(mebibytes, layers), content_encoding=names)


@cache
def _bomb(mebibytes: int, layers: int) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first, again = (squeezer.compress(b" " * 2**20) + squeezer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    packed = first + again * (mebibytes - 1)
    for _ in range(layers - 1):
        packed = gzip.compress(packed)
    return packed


def http_date(seconds_from_now: float) -> str:
    return email.utils.formatdate(time.time() + seconds_from_now, usegmt=True)


@dataclass
class Faultd:
    """The server: a context manager; keyword options set how the honest answer looks."""

    answer: Answer = lambda prompt, ordinal: f"{prompt}:{ordinal}"
    script: Script = ()
    """One entry for each chat request in order of arrival, honest when used up; or a function."""
    n: str = "honoured"
    """What becomes of n > 1: `honoured`, `ignored` (one choice), `refused` (400), or `surplus`."""
    streams: str = "honoured"
    """What becomes of `stream`: `honoured`, `ignored` (a whole body), or `refused` (400)."""
    pace: float = 0.0
    """Seconds from one word of a stream to the next, the choices side by side."""
    usage: bool = True
    echo: str | None = None
    """Model name echoed; None: the one that was asked for."""
    latency: float = 0.0
    """Seconds before each honest answer."""
    busy: float = 0.0
    """Seconds from the first request during which every request gets a 429."""
    key: str | None = None
    """The only key taken; None: any."""
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    hangs_up: bool = False
    """Closes the connection after each answer without having said so."""
    calls: list[Call] = field(default_factory=list, init=False)
    peak: int = field(default=0, init=False)
    """Most requests that ran at one time."""

    def __enter__(self) -> Self:
        self._queue = iter(()) if callable(self.script) else iter(self.script)
        self._given: Counter[str] = Counter()
        self._connections = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        self._ready.wait(10)
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"{'https' if self.tls else 'http'}://{shown}:{self.port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def running(self) -> int:
        return sum(call.ended is None for call in self.calls)

    @property
    def connections(self) -> int:
        """Connections taken so far."""
        return self._connections

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, self.host, 0, limit=2**24, backlog=512, ssl=self.tls)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection = self._connections
        try:
            while (call := await self._read(reader, connection)) is not None:
                try:
                    await self._reply(call, reader, writer)
                except ConnectionError:
                    call.verdict = "gone"
                    return
                finally:
                    call.ended = time.monotonic()
                if self.hangs_up:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, connection: int) -> Call | None:
        line = await reader.read(1)
        if line in (b"", TLS_HELLO):
            return None
        line += await reader.readline()
        headers = {}
        while (header := (await reader.readline()).decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = line.split()[1].decode("latin-1")
        found = json.loads(body.decode()) if body else None
        call = Call(len(self.calls), path, headers, found, connection, time.monotonic())
        self.calls.append(call)
        self.peak = max(self.peak, self.running)
        return call

    async def _reply(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        act = self._act(call)
        await self._pause(act.wait or (self.latency if act.honest else 0.0), reader, writer)
        if act.cut == -1:
            return self._cut(call, writer)
        answer = self._completion(call) if act.body is None and act.chunks is None else {}
        if act.edit is not None:
            answer = _edited(answer, act.edit)
        if answer and act.status == 200 and self.streams == "honoured" and call.body.get("stream"):
            return await self._stream(call, act, answer, reader, writer)
        body = json.dumps(answer).encode() if act.body is None else act.body
        head = _head(act, len(body))
        if act.chunks is not None:
            await self._send(act.chunks, head, reader, writer)
        elif act.drip:
            for index in range(len(head) + len(body)):
                writer.write((head + body)[index : index + 1])
                await self._pause(act.drip, reader, writer)
        else:
            writer.write(head + (body if act.cut is None else body[: act.cut]))
            await writer.drain()
        if act.cut is not None:
            return self._cut(call, writer)
        call.verdict = "answered" if act.honest else "fault"

    def _act(self, call: Call) -> Act:
        if self.key is not None and call.headers.get("authorization") != f"Bearer {self.key}":
            return status(401, f"Incorrect key: {call.headers.get('authorization')}")
        if call.started - self.calls[0].started < self.busy:
            return status(429, "slow down", retry_after="0")
        planned = self.script(call) if callable(self.script) else next(self._queue, None)
        if planned is None and self.n == "refused" and call.body.get("n", 1) > 1:
            return status(400, "this server gives one answer at a time")
        if planned is None and self.streams == "refused" and call.body.get("stream"):
            return status(400, "stream: this server sends whole answers")
        return planned or HONEST

    def _completion(self, call: Call) -> dict[str, Any]:
        asked = call.body.get("n", 1)
        count = {"ignored": 1, "surplus": asked + 2}.get(self.n, asked)
        prompt, given = call.body["messages"][-1]["content"], json.dumps(call.body["messages"])
        texts = []
        for _ in range(count):
            texts.append(self.answer(prompt, call.body.get("seed", self._given[given])))
            self._given[given] += 1
        done: dict[str, Any] = {
            "id": f"chatcmpl-{call.ordinal}",
            "object": "chat.completion",
            "created": 0,
            "model": self.echo or call.body["model"],
            "choices": [_choice(i, text, call.body.get("logprobs")) for i, text in enumerate(texts)],
        }
        if self.usage:
            counts = len(prompt.split()), sum(len(text.split()) for text in texts)
            names = ("prompt_tokens", "completion_tokens", "total_tokens")
            done["usage"] = dict(zip(names, (*counts, sum(counts)), strict=True))
        return done

    async def _stream(
        self,
        call: Call,
        act: Act,
        answer: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        writer.write(_head(Act(headers=(("content-type", "text/event-stream"),), chunks=list), 0))
        sent = 0
        for data in _events(answer, bool(call.body.get("stream_options"))):
            if data is None:
                await writer.drain()
                await self._pause(self.pace, reader, writer)
                continue
            framed = data if act.cut is None else data[: max(0, act.cut - sent)]
            sent += len(data)
            writer.write(b"%x\r\n%s\r\n" % (len(framed), framed) if framed else b"")
            if act.cut is not None and sent >= act.cut:
                await writer.drain()
                await self._pause(0.0, reader, writer)
                return self._cut(call, writer)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        call.verdict = "answered" if act.honest else "fault"

    async def _send(
        self,
        chunks: Callable[[], Iterable[bytes]],
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        writer.write(head)
        for chunk in chunks():
            framed = chunk if b"chunked" not in head else b"%x\r\n%s\r\n" % (len(chunk), chunk)
            writer.write(framed)
            await writer.drain()
            await self._pause(0.0, reader, writer)
        if b"chunked" in head:
            writer.write(b"0\r\n\r\n")

    async def _pause(
        self, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Wait, and raise ConnectionError as soon as the client has left."""
        async for _ in _ticks(seconds):
            if reader.at_eof() or writer.is_closing():
                raise ConnectionError

    def _cut(self, call: Call, writer: asyncio.StreamWriter) -> None:
        call.verdict = "fault"
        writer.transport.abort()


async def _ticks(seconds: float) -> AsyncIterator[None]:
    end = time.monotonic() + seconds
    while True:
        await asyncio.sleep(max(0.0, min(0.01, end - time.monotonic())))
        yield
        if time.monotonic() >= end:
            return


def _head(act: Act, length: int) -> bytes:
    headers = {"content-type": "application/json"} | dict(act.headers)
    if act.chunks is None:
        headers.setdefault("content-length", str(length))
    elif "content-length" not in headers:
        headers["transfer-encoding"] = "chunked"
    lines = [f"HTTP/1.1 {act.status} -", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _events(answer: dict[str, Any], usage: bool) -> Iterator[bytes | None]:
    """A whole answer as a stream, a word of each choice at a time; None between one word and the next."""
    head = {name: answer[name] for name in ("id", "model") if name in answer}
    choices = [choice for choice in answer["choices"] if isinstance(choice, dict)]
    words = {c["index"]: re.findall(r"\S+\s*|\s+", c["message"]["content"] or "") for c in choices}
    for number in range(max(map(len, words.values()), default=0) + 1):
        for choice in choices:
            mine = words[choice["index"]]
            if number < len(mine):
                yield _event(head, choice, {"content": mine[number]}, None)
            if number == len(mine):
                yield _event(head, choice, {}, choice["finish_reason"])
        yield None
    if usage and "usage" in answer:
        yield b"data: %s\n\n" % json.dumps({**head, "choices": [], "usage": answer["usage"]}).encode()
    yield b"data: [DONE]\n\n"


def _event(head: dict[str, Any], choice: dict[str, Any], delta: dict[str, Any], finish: str | None) -> bytes:
    piece = {"index": choice["index"], "delta": delta, "finish_reason": finish, "logprobs": None}
    if choice.get("logprobs") and delta:
        piece["logprobs"] = {"content": [{"token": delta["content"], "logprob": -0.5}]}
    return b"data: %s\n\n" % json.dumps({**head, "choices": [piece]}).encode()


def _choice(index: int, text: str, logprobs: bool | None) -> dict[str, Any]:
    choice: dict[str, Any] = {
        "index": index,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "finish_reason": "stop",
        "logprobs": None,
    }
    if logprobs:
        choice["logprobs"] = {"content": [{"token": w, "logprob": -0.5} for w in text.split()]}
    return choice


def _edited(answer: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> Any:
    other = change(answer)
    return answer if other is None else other
