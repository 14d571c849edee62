"""Measures the shipped weights of Hanoi, state by state; `steps.py` measures those of the other tasks.

`python -m training.evaluate paths FILE.json` goes through the states of the shortest solutions (all of
them up to 15 disks); `... held-out FILE.json` draws 20 answers for states that were never trained on.
Read next: `chains.py`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maker.decomposers.hanoi import wording
from maker.nouns import Json
from maker.workers.embedded.dialects.hanoi import DIALECT
from training.exact import LEADS, Exact, answers, exact, majority_wrong
from training.lesson import Ints
from training.lessons import hanoi as data


def parser(disks: int) -> Callable[[str, str], Json]:
    return lambda question, text: wording.parse(text, disks)


# -- the reports ---------------------------------------------------------------------------------------


def paths(first: int = 1) -> Iterator[dict[str, Any]]:
    """Every state of the path up to 15 disks, 4,000 random ones above; doubtful ones are drawn 200 times."""
    rng = np.random.default_rng(2027)
    for disks in range(first, 21):
        every = (1 << disks) - 1
        steps = data.path(disks, np.arange(every) if disks <= 15 else rng.choice(every, 4000, replace=False))
        rows, unseen = data.rows(steps), data.held_out(steps)
        line: dict[str, Any] = {"disks": disks, "states": len(rows), "held_out": int(unseen.sum())}
        for temperature in (1.0, 1.5):
            found = exact(DIALECT, rows, temperature)
            line["greedy_wrong"] = int((~found.greedy).sum())
            line["greedy_wrong_held_out"] = int((~found.greedy & unseen).sum())
            line[f"T{temperature}"] = _path_line(found)
            doubtful = rows[found.right < 0.5]
            drawn = answers(DIALECT, doubtful, parser(disks), temperature, 200, seed=1)
            line[f"T{temperature}"]["majority_wrong"] = sum(map(majority_wrong, drawn))
        yield line


def _path_line(found: Exact) -> dict[str, Any]:
    wrong = {f"k{k}": float(f"{found.wrong[k].sum():.3g}") for k in LEADS}
    return {"error": round(1 - float(found.right.mean()), 6), "expected_wrong_decisions": wrong}


def held_out(states: int = 1000, count: int = 20) -> Iterator[dict[str, Any]]:
    for kind in ("path", "uniform", "sticky"):
        groups = _held_out_rows(kind, states)
        for temperature in (0.1, 1.0, 1.5, 2.0):
            line = Counter[str]()
            right = [1 - exact(DIALECT, rows, temperature).right for _, rows in groups]
            for disks, rows in groups:
                for seen in answers(DIALECT, rows, parser(disks), temperature, count, seed=disks):
                    line["states"] += 1
                    line["malformed"] += seen["malformed"]
                    line["wrong"] += count - seen["right"] - seen["malformed"]
                    line["majority_wrong"] += majority_wrong(seen)
            error = float(np.concatenate(right).mean())
            yield {
                "kind": kind,
                "temperature": temperature,
                "samples": count,
                "exact_error": round(error, 5),
                **line,
            }


def _held_out_rows(kind: str, states: int) -> list[tuple[int, Ints]]:
    """Distinct held-out states of 5 to 20 disks, about as many of each."""
    rng, groups = np.random.default_rng(2026), []
    for disks in range(data.SMALL, 21):
        steps = data.draw(rng, kind, disks, 100 * states // 16)
        rows = np.unique(data.rows(steps.take(data.held_out(steps))), axis=0)
        groups.append((disks, rng.permutation(rows)[: states // 16 + 1]))
    return [(disks, rows) for disks, rows in groups if len(rows)]


def main() -> None:
    reports: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {"paths": paths, "held-out": held_out}
    if len(sys.argv) != 3 or sys.argv[1] not in reports:
        sys.exit(__doc__)
    lines = []
    for line in reports[sys.argv[1]]():
        print(json.dumps(line), flush=True)
        lines.append(line)
    Path(sys.argv[2]).write_text("[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n")


if __name__ == "__main__":
    main()
