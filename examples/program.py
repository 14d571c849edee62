"""A model client of one's own: any program that reads a prompt and writes an answer.

    maker run examples/own_task.py:Collatz -T start=6 --model examples/program.py:Program

Without `command` it runs this very file, which answers the Collatz question and is wrong one time in ten.
"""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import sys
import time
from collections.abc import AsyncIterator

from maker import Sample, Seat
from maker.errors import BlockedError
from maker.model import Request

TRIES = 5
"""Of a program that fails, before the run stops; it can go on later."""


class Program:
    """command: reads the prompt from stdin, SEED and TEMPERATURE from its environment, writes the answer."""

    temperatures = (0.0, 0.1)  # of a step's first draw, and of the others

    def __init__(self, command: str = f"{shlex.quote(sys.executable)} {shlex.quote(__file__)}") -> None:
        self.words = shlex.split(command)
        self.name = f"program:{os.path.basename(self.words[0])}"

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        prompt = "\n\n".join(message.content for message in request.prompt.messages)
        under_way = [asyncio.create_task(self._fill(seat, prompt, request)) for seat in request.seats]
        try:
            for done in asyncio.as_completed(under_way):
                yield await done
        finally:
            for task in under_way:
                task.cancel()

    async def _fill(self, seat: Seat, prompt: str, request: Request) -> Sample:
        """One sample; a failure of the program is no answer, so it is counted as a fault and tried again."""
        for turn in range(TRIES):
            began = time.perf_counter()
            code, text = await self._run(seat, prompt)
            if code == 0:
                took = time.perf_counter() - began
                return Sample(seat, text, "stop", len(prompt) // 4, len(text) // 4, took)
            request.on_fault(f"exit-{code}")
            await asyncio.sleep(0.1 * 2**turn)
        raise BlockedError(f"{self.words[0]} failed {TRIES} times: see that it works, and run this again")

    async def _run(self, seat: Seat, prompt: str) -> tuple[int, str]:
        settings = {"SEED": str(seat.seed), "TEMPERATURE": str(seat.temperature)}
        pipe = asyncio.subprocess.PIPE
        try:
            program = await asyncio.create_subprocess_exec(
                *self.words, stdin=pipe, stdout=pipe, env={**os.environ, **settings}
            )
        except OSError as error:
            raise BlockedError(f"{self.words[0]} cannot be run: {error}") from error
        try:
            out, _ = await program.communicate(prompt.encode("utf-8", "replace"))
        finally:
            if program.returncode is None:  # the draw was cancelled
                program.kill()
                await program.wait()
        return program.returncode or 0, out.decode("utf-8", "replace")

    async def aclose(self) -> None:
        pass


def answer(prompt: str, seed: int) -> int:
    number = int(prompt.rsplit("is ", 1)[1].split(".")[0])
    right = number // 2 if number % 2 == 0 else 3 * number + 1
    return right + (random.Random(seed).random() < 0.1)


if __name__ == "__main__":
    print(answer(sys.stdin.read(), int(os.environ["SEED"])))
