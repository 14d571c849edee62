"""Steps per CPU second by `Embedded.draw`: `python -m training.speed`. Read next: `chains.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from maker.decomposers.hanoi import Hanoi, path
from maker.model import Request
from maker.nouns import Prompt, Seat, Step
from maker.workers.embedded import Embedded

STEPS = 1280
CASES = (
    (10, 1, 1, 1.0),
    (10, 3, 1, 1.0),
    (10, 3, 1, 1.5),
    (10, 3, 8, 1.5),
    (10, 3, 64, 1.5),
    (20, 3, 1, 1.0),
    (20, 3, 64, 1.0),
)
"""Disks, seats of a request, chains at once, temperature."""


def prompts(disks: int) -> Iterator[Prompt]:
    """From all over the path."""
    task = Hanoi(disks)
    for number in range(STEPS):
        moves = number * 7919 % ((1 << disks) - 1)
        state = {"pegs": path.pegs_after(disks, moves), "previous": path.move_number(disks, moves)}
        prompt = task.prompt(Step("0", 0, state))
        assert prompt is not None
        yield prompt


async def chain(model: Embedded, asked: list[Prompt], seats: int) -> None:
    for number, prompt in enumerate(asked):
        panel = tuple(Seat(draw, model.name, None, 10 * number + draw) for draw in range(seats))
        async for _ in model.draw(Request(Step("0", number, None), prompt, panel)):
            pass


async def measure(disks: int, seats: int, chains: int, temperature: float) -> None:
    model, asked = Embedded(temperature), list(prompts(disks))
    begun, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(chain(model, asked[number::chains], seats) for number in range(chains)))
    spent, wall = time.process_time() - begun, time.perf_counter() - wall
    print(
        f"disks {disks:2}  seats {seats}  chains {chains:2}  temperature {temperature}  "
        f"steps per CPU second {STEPS / spent:.0f}  per second {STEPS / wall:.0f}"
    )


if __name__ == "__main__":
    for case in CASES:
        asyncio.run(measure(*case))
