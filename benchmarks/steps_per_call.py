"""What it costs to ask for several moves at once, beside the paper's equations 10 to 17.

`python -m benchmarks.steps_per_call sim`: a model whose errors are the paper's. Of calls for m moves
p**m are right and (1 - p) * p**(m - 1) give one and the same wrong answer; the rest are red flags here, as
wrong answers that never agree cost the same. Each with the least k for 95 %. `... embedded`: the model in the
package, the same weights for every number of moves, at temperature 2.0, with k = 3 and without voting.
All are runs of 1,023 moves. Cost a move is in the paper's unit: a call for m moves costs m.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from typing import Any

import maker
from benchmarks.record import keep
from maker.decomposers.hanoi import Hanoi, several
from maker.nouns import Message
from maker.theory import race

DISKS, SURE = 10, 0.95
SEEDS = {"sim": 10, "embedded": 2}
"""Runs of each setting."""
LENGTH = (1 << DISKS) - 1
TEMPERATURE = "2.0"
ONE = "benchmarks.steps_per_call:InSeveral"


class InSeveral(Hanoi):
    """One move a step, asked for in the words for several, so that the same weights answer."""

    def __init__(self, disks: int = DISKS) -> None:
        super().__init__(disks)
        self._single = False
        self._rules = Message("system", several.rules(disks))


# -- runs ----------------------------------------------------------------------------------------------


def runs(task: str, params: dict[str, Any], model: str, k: int) -> dict[str, Any]:
    """All seeds of one setting, added up."""
    begun, seeds = time.process_time(), range(SEEDS[model.partition(":")[0]])
    results = [_run(task, params, model, k, seed) for seed in seeds]
    solved = [result for result in results if result.verified]
    steps, cast = (sum(getattr(one, name) for one in solved) for name in ("steps", "votes"))
    samples = sum(one.samples for one in results)
    of_all = sum(one.steps for one in results) / math.ceil(LENGTH / params.get("moves", 1)) * LENGTH
    return {
        "solved": len(solved),
        "outvoted": round((cast - k * steps) / 2 / cast, 6) if solved else None,
        "flagged": round(sum(one.flagged for one in results) / samples, 5),
        "calls/move": round(samples / of_all, 4),
        "tokens in/move": round(sum(one.tokens_in for one in results) / of_all, 2),
        "tokens out/move": round(sum(one.tokens_out for one in results) / of_all, 2),
        "CPU ms/move": round((time.process_time() - begun) / of_all * 1000, 3),
    }


def _run(task: str, params: dict[str, Any], model: str, k: int, seed: int) -> maker.RunResult:
    with tempfile.TemporaryDirectory() as folder:
        return maker.run(
            task, params={"disks": DISKS, **params}, model=model, k=k, seed=seed, engine="inline",
            max_samples=2000, run_dir=f"{folder}/run",
        )  # fmt: skip


# -- what is measured ----------------------------------------------------------------------------------


def simulated() -> list[dict[str, Any]]:
    rows = []
    for p in (0.99, 0.9):
        for moves in (1, 2, 4, 8, 16, 32):
            k, flags = race.k_min(p, SURE, LENGTH, moves) or 1, 1 - p ** (moves - 1)
            calls = race.expected_calls(p, k, moves)
            made = runs("hanoi", {"moves": moves}, f"sim:error={1 - p:.12g},flags={flags:.12g}", k)
            row = {"p": p, "moves": moves, "k": k, "cost/move, law": round(calls, 3)}
            row["cost/move"] = round(made["calls/move"] * moves, 3)
            rows.append(row | {"calls/move, law": round(calls / moves, 3), **made})
            print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


def embedded() -> list[dict[str, Any]]:
    rows = []
    for k in (3, 1):
        for moves in (1, 2, 3, 4):
            task, params = (
                ("hanoi", {"moves": moves}) if moves > 1 else ("benchmarks.steps_per_call:InSeveral", {})
            )
            made = runs(task, params, f"embedded:temperature={TEMPERATURE}", k)
            rows.append({"moves": moves, "k": k, "cost/move": round(made["calls/move"] * moves, 3), **made})
            print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


def main() -> None:
    kinds = {"sim": simulated, "embedded": embedded}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    name = sys.argv[1]
    keep(f"steps-per-call-{name}", kinds[name](), f"python -m benchmarks.steps_per_call {name}")


if __name__ == "__main__":
    main()
