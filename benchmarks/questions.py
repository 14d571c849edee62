"""Question files by the embedded model, with voting and without: how many of the results are wrong.

`python -m benchmarks.questions [TASK ...]`: 200 random multiplications of two numbers of ten digits, 50
random lists of 500 integers, each at the temperature at which
docs/embedded-model.md shows it. A wrong result is one that is not Python's own.
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

TEMPERATURES = {"arithmetic": "1.5", "sorting": "1.5"}
LEADS = (1, 3)
"""Values of k."""

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


def measure(task: str, file: Path, k: int, temperature: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        result = maker.run(
            task,
            params={"input": str(file)},
            model=f"embedded:temperature={temperature}",
            k=k,
            seed=1,
            engine="inline",
            run_dir=f"{folder}/run",
        )
    score = result.result["score"]
    return {
        "task": task,
        "temperature": temperature,
        "k": k,
        "right": score["right"],
        "wrong": score["wrong"],
        "steps": result.steps,
        "votes/step": round(result.votes / result.steps, 3),
        "flags/step": round(result.flagged / result.steps, 4),
        "verified": result.verified,
        "steps/s": round(result.steps / result.seconds),
    }


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task in sys.argv[1:] or QUESTIONS:
            file = Path(folder, f"{task}.jsonl")
            file.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS[task]))
            rows += [measure(task, file, k, TEMPERATURES[task]) for k in LEADS]
            print(json.dumps(rows[-len(LEADS) :]), file=sys.stderr)
    keep(
        "-".join(["questions", *sys.argv[1:]]),
        rows,
        " ".join(["python -m benchmarks.questions", *sys.argv[1:]]),
    )


if __name__ == "__main__":
    main()
