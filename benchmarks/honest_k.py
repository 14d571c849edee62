"""How often the k from a calibration is too small, and what caution costs: `python -m benchmarks.honest_k`.

Of a million steps at target 0.95, from n independent votes of a model with known p; exactly, over all counts
of wrong votes, not by simulation. `plug-in` takes the share of wrong votes for the error, the others its
one-sided bound (Clopper-Pearson) as `maker plan` does.
"""

from __future__ import annotations

import math
from typing import Any

from benchmarks.record import keep
from maker.theory import k_min, upper_bound

TARGET, STEPS = 0.95, 2**20
NEVER = 1e-12
"""Counts that are rarer are left out."""


def main() -> None:
    rows = [
        _row(p, votes, name, confidence)
        for p in (0.9, 0.99, 0.998)
        for votes in (100, 300, 1000)
        for name, confidence in (("plug-in", 0.0), ("95 % bound", 0.95), ("99 % bound", 0.99))
    ]
    keep("honest-k", rows, "python -m benchmarks.honest_k")


def _row(p: float, votes: int, name: str, confidence: float) -> dict[str, Any]:
    needed = k_min(p, TARGET, STEPS) or 0
    small = some = none = mean = 0.0
    for wrong in range(votes + 1):
        chance = _chance(wrong, votes, 1 - p)
        if chance < NEVER:
            continue
        error = upper_bound(wrong, votes, confidence) if confidence else wrong / votes
        k = k_min(1 - error, TARGET, STEPS)
        if k is None:
            none += chance
            continue
        small += chance * (k < needed)
        some += chance
        mean += chance * k
    return {
        "p": p,
        "votes seen": votes,
        "k from": name,
        "k needed": needed,
        "too small": f"{small:.2g}",
        "mean k": round(mean / some, 2) if some else None,
        "no k": f"{none:.2g}",
    }


def _chance(wrong: int, votes: int, error: float) -> float:
    ways = math.lgamma(votes + 1) - math.lgamma(wrong + 1) - math.lgamma(votes - wrong + 1)
    return math.exp(ways + wrong * math.log(error) + (votes - wrong) * math.log1p(-error))


if __name__ == "__main__":
    main()
