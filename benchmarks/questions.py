"""Questions to the embedded model, with voting and without: how many of the results are wrong.

`python -m benchmarks.questions [TASK ...]`: 200 random multiplications of two numbers of ten digits, 50
random lists of 500 integers, 20 random graphs of 32 nodes, each at the temperature at which
docs/embedded-model.md shows it. A wrong product or list is one that is not Python's own; a wrong search is
one that the task's judge rejects, or that parked.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import maker
from benchmarks.record import keep

TEMPERATURES = {"arithmetic": "1.5", "sorting": "1.5", "graph": "2.0"}
LEADS = {"arithmetic": (1, 3), "sorting": (1, 3), "graph": (1, 3, 4)}
"""Values of k."""
GRAPHS = 20

Question = dict[str, Any]


def multiplications(count: int) -> Iterator[Question]:
    rng = Random(1)
    for number in range(count):
        left, right = rng.randrange(10**9, 10**10), rng.randrange(10**9, 10**10)
        question = f"Multiply the following numbers:\n{left} x {right}"
        yield {"id": number, "question": question, "answer": str(left * right)}


def lists(count: int, length: int = 500) -> Iterator[Question]:
    rng = Random(1)
    for number in range(count):
        items = [rng.randrange(-(10**9) + 1, 10**9) for _ in range(length)]
        question = f"Sort the following list of integers in ascending order: {items}"
        yield {"id": number, "question": question, "answer": sorted(items)}


QUESTIONS = {"arithmetic": multiplications(200), "sorting": lists(50)}


def runs(task: str, folder: Path) -> list[dict[str, Any]]:
    """The parameters of each: one run for a whole file of questions, one for every graph."""
    if task == "graph":
        return [{"nodes": 32, "degree": 4, "seed": seed} for seed in range(GRAPHS)]
    file = folder / f"{task}.jsonl"
    file.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS[task]))
    return [{"input": str(file)}]


def solve(task: str, params: dict[str, Any], k: int) -> maker.RunResult:
    with tempfile.TemporaryDirectory() as folder:
        return maker.run(
            task,
            params=params,
            model=f"embedded:temperature={TEMPERATURES[task]}",
            k=k,
            seed=1,
            engine="inline",
            run_dir=f"{folder}/run",
        )


def measure(task: str, k: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        results = [solve(task, params, k) for params in runs(task, Path(folder))]
    scores = [score(result) for result in results]
    steps = sum(result.steps for result in results)
    return {
        "task": task,
        "temperature": TEMPERATURES[task],
        "k": k,
        "right": sum(right for right, _ in scores),
        "wrong": sum(wrong for _, wrong in scores),
        "parked": sum(result.parked for result in results),
        "steps": steps,
        "votes/step": round(sum(result.votes for result in results) / steps, 3),
        "flags/step": round(sum(result.flagged for result in results) / steps, 4),
        "verified": all(result.verified for result in results),
        "steps/s": round(steps / sum(result.seconds for result in results)),
    }


def score(result: maker.RunResult) -> tuple[int, int]:
    """How many right and how many wrong."""
    if result.result and "score" in result.result:
        return result.result["score"]["right"], result.result["score"]["wrong"]
    return (1, 0) if result.verified else (0, 1)


def main() -> None:
    rows = []
    for task in sys.argv[1:] or TEMPERATURES:
        for k in LEADS[task]:
            rows.append(measure(task, k))
            print(json.dumps(rows[-1]), file=sys.stderr)
    keep(
        "-".join(["questions", *sys.argv[1:]]),
        rows,
        " ".join(["python -m benchmarks.questions", *sys.argv[1:]]),
    )


if __name__ == "__main__":
    main()
