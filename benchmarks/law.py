"""The paper's law on a real model: success, votes, undecided steps and collisions, theory beside measurement.

    python -m training.chains FILE.jsonl --temperatures 1.5 2.0 2.5 --leads 1 2 3 4 6 --seeds 50
    python -m benchmarks.law FILE.jsonl

Every run is of 10 disks, 1,023 dependent steps; it ends at its first wrong decision. Beside the paper's
equations, which know one p for all steps, stands the product over the steps' own: of each of the 1,023
questions 200 answers are drawn apart from the runs.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.record import keep
from maker.theory import clopper_pearson, expected_votes, p_full
from maker.workers.embedded.dialects.hanoi import DIALECT
from training.evaluate import parser
from training.exact import answers
from training.lessons import hanoi as data

DISKS, DRAWS = 10, 200
STEPS = (1 << DISKS) - 1
LENGTHS = range(5, 21)
Row: TypeAlias = dict[str, Any]
Ballots: TypeAlias = Mapping[str, int]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    runs = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    states = {heat: drawn(DISKS, STEPS, heat) for heat in sorted({run["temperature"] for run in runs})}
    command = f"python -m benchmarks.law {Path(sys.argv[1]).name}"
    keep("law-success", [success(run, states[run["temperature"]]) for run in runs], command)
    keep("law-undecided", list(undecided(runs)), command)
    keep("law-collisions", list(collisions(runs)), command)
    keep("law-lengths", list(lengths(max(states))), command)


def drawn(disks: int, states: int, temperature: float, draws: int = DRAWS) -> list[Counter[str]]:
    """Outcomes at so many states of the shortest solution: all, or random ones."""
    every = (1 << disks) - 1
    moves = np.arange(every) if states >= every else np.random.default_rng(disks).choice(every, states)
    return answers(DIALECT, data.rows(data.path(disks, moves)), parser(disks), temperature, draws, 77)


# -- success -------------------------------------------------------------------------------------------


def success(run: Row, states: list[Counter[str]]) -> Row:
    count = run["seeds"][1] - run["seeds"][0]
    p = sum(seen["right"] for seen in states) / sum(seen.total() - seen["malformed"] for seen in states)
    own = math.prod(1 - ruin(seen, run["k"]) for seen in states)
    sure = clopper_pearson(run["solved"], count)
    steps, votes, samples = votes_of(run["ballots"])
    return {
        "temperature": run["temperature"], "k": run["k"], "error": round(1 - p, 6), "runs": count,
        "solved": run["solved"], "low": round(sure.low, 3), "high": round(sure.high, 3),
        "theory": round(p_full(p, run["k"], STEPS), 3), "own_p": round(own, 3),
        "votes": round(votes / steps, 4), "theory_votes": round(expected_votes(p, run["k"]), 4),
        "samples": round(samples / steps, 4),
    }  # fmt: skip


def ruin(seen: Counter[str], k: int) -> float:
    """Of a step, the chance of a wrong decision: gambler's ruin against each rival, added up.

    (q / p)^k is estimated by falling factorials of counts, which chance repeats do not raise: an answer that
    came once in 200 draws has not been seen to come k times.
    """
    right, rivals = seen["right"], [seen[answer] for answer in seen.keys() - {"right", "malformed"}]
    if k == 1 or not math.perm(right, k):
        return 1 - right / (right + sum(rivals))
    odds = [math.perm(count, k) / math.perm(right, k) for count in rivals]
    return min(1.0, sum(each / (1 + each) for each in odds))


def votes_of(ballots: Ballots) -> tuple[int, int, int]:
    """Steps, valid votes, samples."""
    steps = sum(ballots.values())
    samples = sum(len(ballot) * count for ballot, count in ballots.items())
    return steps, samples - sum(ballot.count("F") * count for ballot, count in ballots.items()), samples


# -- how long steps stay undecided ---------------------------------------------------------------------


def undecided(runs: Iterable[Row], k: int = 3, rounds: int = 12) -> Iterator[Row]:
    """Of a thousand steps, those undecided after so many samples and votes (as in the paper's figure 8)."""
    for run in (run for run in runs if run["k"] == k):
        steps, votes, _ = votes_of(run["ballots"])
        wrong = sum(sum(map(str.islower, ballot)) * count for ballot, count in run["ballots"].items())
        left = race(1 - wrong / votes, k, rounds)
        for number in range(k, rounds + 1):
            yield {
                "temperature": run["temperature"],
                "after": number,
                "samples": _left(run["ballots"], number, "") / steps * 1000,
                "votes": _left(run["ballots"], number, "F") / steps * 1000,
                "theory_votes": left[number] * 1000,
            }


def _left(ballots: Ballots, number: int, without: str) -> int:
    return sum(
        count
        for ballot, count in ballots.items()
        if len(ballot) - (without != "" and ballot.count("F")) > number
    )


def race(p: float, k: int, rounds: int) -> list[float]:
    """Of a two-way race of equal p, the share undecided after 0, 1, 2, ... votes."""
    margins, left = {0: 1.0}, [1.0]
    for _ in range(rounds):
        after: Counter[int] = Counter()
        for margin, share in margins.items():
            after[margin + 1] += share * p  # type: ignore[assignment]
            after[margin - 1] += share * (1 - p)  # type: ignore[assignment]
        margins = {margin: share for margin, share in after.items() if abs(margin) < k}
        left.append(sum(margins.values()))
    return left


# -- collisions ----------------------------------------------------------------------------------------


def collisions(runs: Iterable[Row]) -> Iterator[Row]:
    """Steps whose first two are both wrong: of votes, and of samples, where a flag is wrong too."""
    for run in (run for run in runs if run["k"] > 1):
        ballots = run["ballots"]
        steps = sum(ballots.values())
        flagged = {ballot.replace("F", ""): 0 for ballot in ballots}
        for ballot, count in ballots.items():
            flagged[ballot.replace("F", "")] += count
        yield {
            "temperature": run["temperature"],
            "k": run["k"],
            "steps": steps,
            **_collided("votes", flagged),
            **_collided("samples", ballots),
        }


def _collided(name: str, ballots: Ballots) -> Row:
    steps = sum(ballots.values())
    first = sum(count for ballot, count in ballots.items() if ballot[0] != "R")
    both = sum(count for ballot, count in ballots.items() if "R" not in ballot[:2])
    return {name: both, f"{name}_if_independent": round(first**2 / steps, 2)}


# -- error by length -----------------------------------------------------------------------------------


def lengths(temperature: float, states: int = 200, draws: int = 20) -> Iterator[Row]:
    """An answer of n disks has n + 9 tokens."""
    for disks in LENGTHS:
        seen = sum(drawn(disks, states, temperature, draws), Counter[str]())
        valid = seen.total() - seen["malformed"]
        yield {
            "temperature": temperature,
            "tokens": disks + 9,
            "samples": seen.total(),
            "malformed": round(seen["malformed"] / seen.total(), 5),
            "wrong_of_valid": round((valid - seen["right"]) / valid, 5),
        }


if __name__ == "__main__":
    main()
