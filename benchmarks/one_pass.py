"""Guessing a graph's hops at once against searching it by steps: `python -m benchmarks.one_pass [RUNS]`.

Both sides are simulated; no language model is asked. A guess (`OnePass`, `Guesser`) names one node's hops
from the start in a single call. It follows a shortest path and errs at each hop with probability ERROR; once
it has erred it is lost, and names any number of hops that occurs in the graph. Every node is voted on by
itself, all of them in parallel. The chain is the task `graph`; each of its calls errs with the same
probability. Both are voted with the same lead and the same cap of samples at a step.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import maker
from benchmarks.record import keep
from maker import Message, Prompt, RedFlag, Sample, Segment, Step, steps
from maker.decomposers.graph import Graph
from maker.model import Request
from maker.nouns import Json
from maker.run_directory import RunDirectory

NODES = 256
ERROR = 0.05
K = 4


def ring(reach: int) -> list[tuple[int, int]]:
    """A ring, each node joined to the next `reach`: the farthest is NODES / (2 reach) hops away."""
    return [(node, (node + on) % NODES) for node in range(NODES) for on in range(1, reach + 1)]


class OnePass:
    """The hops from node 0 to each other node, each a segment of one step."""

    def __init__(self, reach: int) -> None:
        self.graph = Graph(edges=ring(reach)).graph
        self.hops = {node: -(-min(node, NODES - node) // reach) for node in self.graph}

    def segments(self) -> Iterator[Segment]:
        for node in range(1, NODES):
            yield Segment(str(node), {"node": node, "hops": None})

    def prompt(self, step: Step) -> Prompt | None:
        question = f"{self.graph}\nHow many hops is node {step.state['node']} from node 0?"
        return Prompt((Message("user", question),)) if step.index == 0 else None

    def parse(self, step: Step, text: str) -> int:
        if not text.isdecimal():
            raise RedFlag("malformed")
        return int(text)

    def advance(self, step: Step, answer: int) -> Json:
        return {**step.state, "hops": answer}

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return {node: state["hops"] for node, state in finals.items()}


class Guesser:
    """error: of each hop that a guess has to get right."""

    name, temperatures = "guesser", (None, None)

    def __init__(self, task: OnePass, error: float = ERROR) -> None:
        self._hops, self._error = task.hops, error
        self._all = sorted({hops for hops in task.hops.values() if hops})

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        hops = self._hops[request.step.state["node"]]
        for seat in request.seats:
            random = Random(seat.seed)
            lost = any(random.random() < self._error for _ in range(hops))
            yield Sample(seat, str(random.choice(self._all) if lost else hops), "stop", 0, 1, 0.0)

    async def aclose(self) -> None:
        pass


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    rows = [row for reach in (64, 16, 4, 2, 1) for row in measure(reach, runs)]
    keep("one_pass", rows, f"python -m benchmarks.one_pass {runs}")


def measure(reach: int, runs: int) -> Iterator[dict[str, Any]]:
    """A row for guessing and one for the chain."""
    guesses = ("benchmarks.one_pass:OnePass", {"reach": reach}, "benchmarks.one_pass:Guesser")
    chain = ("graph", {"edges": ring(reach)}, f"sim:error={ERROR},rivals=2")
    for how, command in (("one pass", guesses), ("chain", chain)):
        ended = [run(*command, seed) for seed in range(1, runs + 1)]
        yield {
            "hops to the farthest": NODES // (2 * reach),
            "how": how,
            "graphs right": f"{sum(right == asked for right, asked, _ in ended)} of {runs}",
            "steps right": f"{sum(each[0] for each in ended) / sum(each[1] for each in ended):.1%}",
            "samples a graph": round(sum(each[2] for each in ended) / runs),
        }


def run(task: str, params: dict[str, object], model: str, seed: int) -> tuple[int, int, int]:
    """(steps that were decided right, steps, samples) of one run."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "run"
        asked = {"k": K, "seed": seed, "max_samples": 100, "engine": "inline", "run_dir": where}
        ended = maker.run(task, params=params, model=model, **asked)  # type: ignore[arg-type]
        if task == "graph":
            return (ended.steps if ended.verified else 0), ended.steps, ended.samples
        right = OnePass(**params).hops  # type: ignore[arg-type]
        decided = steps.decided(RunDirectory(where))
        return sum(right[int(name)] == answer for name, _, answer in decided), NODES - 1, ended.samples


if __name__ == "__main__":
    main()
