"""What the machinery costs per step, beside the paper's loop written plainly: `python -m benchmarks.chain`.

All with the simulated model at zero latency (p = .998, k = 3, 12 disks), so that only our own work is
left; medians of five runs in one process, CPU seconds. `serial` is Algorithms 1-3, one draw at a time, with
no journal; `chain` adds the pure machine, `engine` the event loop, `journal` the file. `counting` is the last
with a task and a model that take next to no time: what the machinery takes by itself.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.record import keep
from maker.chain import Chain, Draw, Finish
from maker.decomposers.hanoi import Hanoi
from maker.engine import Engine
from maker.journal import Lane, Page
from maker.ledger import Ledger
from maker.model import Model, Request
from maker.nouns import Message, Prompt, Sample, Seat, Segment, Step
from maker.panel import Member, Panel
from maker.records import Record
from maker.task import Decomposer, Task
from maker.voters import AheadByK, Truncated
from maker.workers.simulated import Simulated

DISKS, K = 12, 3
TASK = Hanoi(DISKS)
MODEL = Simulated(TASK, error=0.002)
NEXT = Prompt((Message("user", "next"),))
PANEL = Panel(AheadByK(K), (Member("sim", (None, None)),), Truncated(), seed=1)


class Counting:
    """The next number, again and again."""

    def segments(self) -> list[Segment]:
        return [Segment("0", 0)]

    def prompt(self, step: Step) -> Prompt | None:
        return None if step.state == TASK.steps else NEXT

    def parse(self, step: Step, text: str) -> int:
        return int(text)

    def advance(self, step: Step, answer: int) -> int:
        return answer

    def stitch(self, finals: Mapping[str, int]) -> int:
        return finals["0"]


class Counts:
    """The model for it."""

    name, temperatures = "sim", (None, None)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        text = str(request.step.state + 1)
        for seat in request.seats:
            yield Sample(seat, text, "stop", 0, 1, 0.0, "sim")

    async def aclose(self) -> None:
        pass


class Nowhere:
    """A journal that keeps nothing."""

    full = False

    def append(self, *records: Record) -> None:
        pass

    def turn(self, page: Page) -> None:
        pass


def main() -> None:
    ways: dict[str, Callable[[], None]] = {
        "serial": serial,
        "chain": chain,
        "engine": engine,
        "journal": journal,
        "counting": partial(journal, Counts(), Counting()),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, way in ways.items():
            began = time.process_time()
            way()
            times[name].append((time.process_time() - began) / TASK.steps * 1e6)
    base = median(times["serial"])
    rows = [
        {
            "way": name,
            "us/step": round(median(spent), 1),
            "min": round(min(spent), 1),
            "max": round(max(spent), 1),
            "x serial": round(median(spent) / base, 2),
        }
        for name, spent in times.items()
    ]
    keep("chain", rows, "python -m benchmarks.chain")


def serial() -> None:
    """The paper's Algorithms 1-3, as a script would have them."""
    step = Step("0", 0, next(iter(TASK.segments())).state)
    while TASK.prompt(step):
        votes: Counter[str] = Counter()
        answers, draw = {}, 0
        while True:
            text = drawn(step, Seat(draw, "sim", None, draw + 1000 * step.index)).text
            answer = TASK.parse(step, text)
            draw += 1
            votes[str(answer)] += 1
            answers[str(answer)] = answer
            (leader, top), *rest = votes.most_common(2)
            if top >= K + (rest[0][1] if rest else 0):
                break
        step = Step("0", step.index + 1, TASK.advance(step, answers[leader]))


def chain() -> None:
    machine = Chain(Task(TASK, "hanoi"), PANEL, next(iter(TASK.segments())))
    wishes = machine.start()
    while True:
        seats = [(w.step, s) for w in wishes if isinstance(w, Draw) for s in w.seats]
        if any(isinstance(wish, Finish) for wish in wishes):
            return
        wishes = [w for step, seat in seats for w in machine.receive(drawn(step, seat))]


def drawn(step: Step, seat: Seat) -> Sample:
    return MODEL._draw(step, seat, 0.002, {})


def engine() -> None:
    asyncio.run(run(Engine({"sim": MODEL}, Nowhere())))


def journal(model: Model = MODEL, task: Decomposer = TASK) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lane = Lane.claim(Path(folder), "r")
        lane.turn(Ledger().page([]))
        asyncio.run(run(Engine({"sim": model}, lane), task))
        lane.close()


async def run(engine: Engine, task: Decomposer = TASK) -> None:
    machine = Chain(Task(task, "task"), PANEL, next(iter(task.segments())))
    await engine.run(machine, machine.start())


if __name__ == "__main__":
    main()
