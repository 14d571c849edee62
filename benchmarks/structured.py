"""What a forced format hides: `python -m benchmarks.structured [TEMPERATURE] [STATES]`.

A real llama-server with the embedded weights is asked at random positions of Hanoi with 10 disks, 12 samples
each, as it likes and with its grammar set to the answer's format. Counted: samples that the task's parser
flags, and wrong ones among the rest. (The server turns a JSON schema into such a grammar; these weights
have no token for a brace, so the format forced here is the task's own.)
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.record import keep
from maker.decomposers.hanoi import Hanoi, path
from maker.model import Request
from maker.nouns import RedFlag, Seat, Step
from maker.workers.openai_chat import OpenAIChat

DISKS, SAMPLES = 10, 12
EXACT = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Without these llama.cpp cuts the tail of the distribution."""
GRAMMAR = r"""
root ::= "move = [" n ", " n ", " n "]\nnext_state = [[" peg "], [" peg "], [" peg "]]"
peg ::= (n (", " n)*)?
n ::= [0-9] | "1" [0-9] | "20"
"""


def main() -> None:
    temperature = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    states = int(sys.argv[2]) if len(sys.argv) > 2 else 250
    with served() as address:
        rows = [
            {"format": name, **asyncio.run(measure(f"{address}/v1", temperature, states, more))}
            for name, more in (("free", EXACT), ("forced", {**EXACT, "grammar": GRAMMAR}))
        ]
    keep("structured", rows, f"python -m benchmarks.structured {temperature} {states}")


@contextmanager
def served() -> Iterator[str]:
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/hanoi.gguf"
        subprocess.run([sys.executable, "-m", "training.gguf_export", weights], check=True, cwd=root)
        server = [sys.executable, str(root / "tests/llama_server.py"), weights, "0", str(SAMPLES)]
        with (
            open(f"{folder}/log", "w") as log,
            subprocess.Popen(server, stdout=subprocess.PIPE, stderr=log, text=True) as process,
        ):
            try:
                assert process.stdout is not None
                yield process.stdout.readline().split()[1]
            finally:
                process.terminate()


async def measure(url: str, temperature: float, states: int, more: dict[str, Any]) -> dict[str, Any]:
    task, rng, counted = Hanoi(DISKS), Random(1), Counter[str]()
    model = OpenAIChat("hanoi", base_url=url, temperature=temperature, extra=json.dumps(more))
    seats = tuple(Seat(draw, model.name, temperature, draw) for draw in range(SAMPLES))
    for _ in range(states):
        moves = rng.randrange(2**DISKS - 1)
        state = {"pegs": path.pegs_after(DISKS, moves), "previous": path.move_number(DISKS, moves)}
        step = Step("0", 0, state)
        prompt, right = task.prompt(step), task.parse(step, task.truth(step))
        assert prompt is not None
        async for sample in model.draw(Request(step, prompt, seats)):
            try:
                counted["right" if task.parse(step, sample.text) == right else "wrong"] += 1
            except RedFlag:
                counted["flagged"] += 1
    await model.aclose()
    valid = counted["right"] + counted["wrong"]
    return {
        "samples": counted.total(),
        "flagged, %": round(100 * counted["flagged"] / counted.total(), 2),
        "wrong of the rest, %": round(100 * counted["wrong"] / valid, 2),
        "wrong of all, %": round(100 * counted["wrong"] / counted.total(), 2),
    }


if __name__ == "__main__":
    main()
