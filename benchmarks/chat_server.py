"""A chat endpoint that is as fast as a Python process can be: Hanoi, answered from the prompt's text alone.

    with served(error=0.002) as url: ...

It runs in a process of its own, on the last core where there are several, so that the CPU time of a client
is the client's. It tests nothing: whatever comes is taken for a chat request. A request for n answers is
answered when the slowest of them is ready. Streamed, each is opened at once, as servers do, and sent whole
when it is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.hanoi_endpoint import Erring

LETTERS_A_TOKEN = 4


@dataclass
class Answers:
    """What is answered, and how long each answer takes: lognormal, `mean` seconds."""

    error: float
    mean: float
    sigma: float
    lot: Random = field(default_factory=lambda: Random(2))

    def __post_init__(self) -> None:
        self._erring = Erring(self.error, flags=0)

    def seconds(self, n: int) -> list[float]:
        """Of each answer."""
        if not self.mean:
            return [0.0] * n
        return [self.mean * self.lot.lognormvariate(-(self.sigma**2) / 2, self.sigma) for _ in range(n)]

    def body(self, request: dict[str, object], n: int) -> dict[str, Any]:
        messages: list[dict[str, str]] = request["messages"]  # type: ignore[assignment]
        texts = [self._erring(messages[-1]["content"], self.lot.getrandbits(32)) for _ in range(n)]
        tokens = sum(len(each["content"]) for each in messages) // LETTERS_A_TOKEN
        said = sum(map(len, texts)) // LETTERS_A_TOKEN
        return {
            "id": f"chatcmpl-{self.lot.getrandbits(64):x}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": request["model"],
            "choices": [
                {
                    "index": index,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
                for index, text in enumerate(texts)
            ],
            "usage": {"prompt_tokens": tokens, "completion_tokens": said, "total_tokens": tokens + said},
        }


class Connection(asyncio.Protocol):
    def __init__(self, answers: Answers) -> None:
        self._answers, self._came = answers, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, rest = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self._came = rest[length:]
        request = json.loads(rest[:length])
        n = request.get("n", 1)
        seconds = self._answers.seconds(n)
        if request.get("stream"):
            self._stream(request, seconds)
        elif wait := max(seconds):
            asyncio.get_running_loop().call_later(wait, self._answer, request, n)
        else:
            self._answer(request, n)

    def _answer(self, request: dict[str, object], n: int) -> None:
        body = json.dumps(self._answers.body(request, n)).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)

    def _stream(self, request: dict[str, object], seconds: list[float]) -> None:
        answer, loop = self._answers.body(request, len(seconds)), asyncio.get_running_loop()
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self._transport.write(head.encode())
        for choice in answer["choices"]:
            opened = {"index": choice["index"], "delta": {"role": "assistant"}, "finish_reason": None}
            self._send({**answer, "choices": [opened], "usage": None})
        for choice, wait in zip(answer["choices"], seconds, strict=True):
            piece = {**choice, "delta": choice["message"]}
            loop.call_later(wait, self._send, {**answer, "choices": [piece], "usage": None})
        loop.call_later(max(seconds), self._end, {**answer, "choices": []})

    def _send(self, event: dict[str, Any] | None) -> None:
        data = b"data: %s\n\n" % (b"[DONE]" if event is None else json.dumps(event).encode())
        self._transport.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _end(self, last: dict[str, Any]) -> None:
        self._send(last)
        self._send(None)
        self._transport.write(b"0\r\n\r\n")


@contextmanager
def served(error: float = 0.002, mean: float = 0.0, sigma: float = 0.5) -> Iterator[str]:
    """The address of one that runs meanwhile."""
    command = [sys.executable, "-m", "benchmarks.chat_server", str(error), str(mean), str(sigma)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    finally:
        server.terminate()
        server.wait()


async def _serve(answers: Answers) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(answers), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat_server")
    for name in ("error", "mean", "sigma"):
        parser.add_argument(name, type=float)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asyncio.run(_serve(Answers(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
