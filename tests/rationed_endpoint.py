"""A chat endpoint, a process of its own, that takes so many requests at a time and refuses what is more:

    python tests/rationed_endpoint.py LOG SECONDS RETRY_AFTER CAPACITY [AT:CAPACITY ...]

AT is in seconds since the first request. It prints `ready URL`, answers everything with `yes` after SECONDS,
and logs each request at its end: when it came (`time.time`), its status, how many were under way with it, and
when it was answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import TextIO

DONE = {
    "id": "chatcmpl-0",
    "object": "chat.completion",
    "created": 0,
    "model": "rationed",
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@dataclass
class Rationed:
    seconds: float
    retry_after: str
    """Empty: the header is left out."""
    plan: list[tuple[float, int]]
    """From when (seconds since the first request) how many are taken, in order."""
    log: TextIO
    busy: int = 0
    first: float = 0.0

    @property
    def capacity(self) -> int:
        passed = time.time() - self.first
        return [capacity for at, capacity in self.plan if at <= passed][-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                length = 0
                while (line := await reader.readline()) not in (b"\r\n", b""):
                    if line[:15].lower() == b"content-length:":
                        length = int(line[15:])
                body = json.loads(await reader.readexactly(length))
                writer.write(await self.answer(body))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, body: dict[str, object]) -> bytes:
        now = time.time()
        self.first = self.first or now
        if self.busy >= self.capacity:
            self.log.write(f"{now:.4f} 429 {self.busy} {now:.4f}\n")
            header = f"retry-after: {self.retry_after}\r\n" if self.retry_after else ""
            return _response("429 Too Many Requests", {"error": {"message": "too many requests"}}, header)
        self.busy += 1
        busy = self.busy
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.busy -= 1
            self.log.write(f"{now:.4f} 200 {busy} {time.time():.4f}\n")
        message = {"role": "assistant", "content": "yes"}
        many = int(str(body.get("n", 1)))
        choices = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(many)]
        return _response("200 OK", {**DONE, "choices": choices})


def _response(status: str, body: dict[str, object], header: str = "") -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{header}"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


async def main() -> None:
    path, seconds, retry_after, *plan = sys.argv[1:]
    steps = [tuple(map(float, each.split(":"))) if ":" in each else (0.0, float(each)) for each in plan]
    with open(path, "w", buffering=1) as log:
        rationed = Rationed(float(seconds), retry_after, [(at, int(many)) for at, many in steps], log)
        server = await asyncio.start_server(rationed.serve, "127.0.0.1", 0, backlog=512)
        print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
