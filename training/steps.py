"""Measures the shipped weights of arithmetic, sorting and graph: errors by temperature, trained and held out.

`python -m training.steps TASK FILE.json`. Of arithmetic every question there is, of the others random ones.
Invariant: held-out questions are those whose key no training row has. Read next: `exact.py`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from maker.decomposers.arithmetic import wording as arithmetic_wording
from maker.decomposers.graph import Graph, search
from maker.decomposers.graph import wording as graph_wording
from maker.decomposers.sorting import wording as sorting_wording
from maker.nouns import Json
from maker.workers.embedded.dialect import Dialect
from training.exact import LEADS, answers, exact, majority_wrong
from training.lesson import Ints, Problem, rows
from training.lessons import LESSONS, arithmetic, graph, sorting

TEMPERATURES = (1.0, 1.5, 2.0, 3.0)
DRAWN = 20
"""Answers drawn of each question, to see how many of the errors are malformed."""
DRAWN_OF = 200
"""At most so many questions of a set are drawn from; the exact figures are of all."""
RANDOM = 1000
"""Questions in a set of random ones."""


def sets(task: str) -> Iterator[tuple[str, Ints]]:
    if task == "arithmetic":
        multiplied = arithmetic.multiplications()
        yield "multiply, trained on", _of(arithmetic, multiplied, held_out=False)
        yield "multiply, held out", _of(arithmetic, multiplied, held_out=True)
        yield "add, trained on", rows(arithmetic.DIALECT, arithmetic.additions(), arithmetic.LENGTH)
        return
    module: Any = {"sorting": sorting, "graph": graph}[task]
    drawn = list(module.draw(Random(2026), 60 * RANDOM))
    yield "random", _of(module, drawn, held_out=False)[:RANDOM]
    yield "random, held out", _of(module, drawn, held_out=True)[:RANDOM]
    if task == "sorting":
        lists = [sorting.problem(*pair) for pair in _neighbours_in_lists()]
        yield "neighbours in sorted lists", rows(sorting.DIALECT, lists, sorting.LENGTH)
    else:
        yield "steps of searches", rows(graph.DIALECT, _steps_of_searches(), graph.LENGTH)


def _of(module: Any, problems: list[Problem], held_out: bool) -> Ints:
    return rows(module.DIALECT, [one for one in problems if one.held_out == held_out], module.LENGTH)


def _neighbours_in_lists() -> Iterator[tuple[int, int]]:
    """The pairs that a merge of random lists cannot do without, and the hardest of it."""
    rng = Random(2026)
    for most in (10**3, 10**4, 10**6, 10**9):
        items = sorted(rng.randrange(-most + 1, most) for _ in range(500))
        for left, right in pairwise(items):
            yield (left, right) if rng.random() < 0.5 else (right, left)


def _steps_of_searches() -> Iterator[Problem]:
    """All questions of searching 60 random graphs of 32 nodes."""
    for seed in range(60):
        searched = Graph(nodes=32, degree=4, seed=1000 + seed)
        state = search.first(searched.graph, 0)
        while (node := search.node(state)) is not None:
            neighbours, seen = searched.graph[node], state["seen"]
            yield graph.problem(neighbours, seen)
            state = search.advance(searched.graph, state, [one for one in neighbours if one not in seen])


# -- a line of the report ------------------------------------------------------------------------------


def measure(dialect: Dialect, name: str, held: Ints, temperature: float) -> dict[str, Any]:
    found = exact(dialect, held, temperature)
    doubtful = answers(
        dialect, held[found.right <= found.rival], PARSERS[dialect.name], temperature, 200, seed=1
    )
    seen = sum(
        answers(dialect, held[:: 1 + len(held) // DRAWN_OF], PARSERS[dialect.name], temperature, DRAWN, 2),
        Counter(),
    )
    wrong = seen.total() - seen["right"]
    return {
        "task": dialect.name, "set": name, "questions": len(held), "temperature": temperature,
        "error": float(f"{1 - found.right.mean():.3g}"), "worst": float(f"{1 - found.right.min():.3g}"),
        "greedy_wrong": int((~found.greedy).sum()), "majority_wrong": sum(map(majority_wrong, doubtful)),
        "drawn": seen.total(), "drawn_wrong": wrong, "drawn_malformed": seen["malformed"],
        "wrong_decisions_per_1000_steps":
            {f"k{k}": float(f"{1000 * found.wrong[k].mean():.2g}") for k in LEADS},
    }  # fmt: skip


def _arithmetic(question: str, text: str) -> Json:
    return arithmetic_wording.parse(text, "multiply" if "above" in question else "add")


def _sorting(question: str, text: str) -> Json:
    return sorting_wording.parse(text)


def _graph(question: str, text: str) -> Json:
    return graph_wording.parse(text, list(map(int, re.findall("[0-9]+", question.split("neighbours")[1]))))


PARSERS: dict[str, Callable[[str, str], Json]] = {
    "arithmetic": _arithmetic,
    "sorting": _sorting,
    "graph": _graph,
}


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in PARSERS:
        sys.exit(__doc__)
    dialect, lines = LESSONS[sys.argv[1]].dialect, []
    for name, held in sets(sys.argv[1]):
        for temperature in TEMPERATURES:
            lines.append(measure(dialect, name, held, temperature))
            print(json.dumps(lines[-1]), flush=True)
    Path(sys.argv[2]).write_text("[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n")


if __name__ == "__main__":
    main()
