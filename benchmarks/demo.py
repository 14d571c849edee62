"""How often the demo succeeds: `python -m benchmarks.demo [TEMPERATURE] [SEEDS]`.

Runs Hanoi with 10 disks by the embedded model, without Ray, for k = 1, 3 and 4 and seeds 1 to SEEDS (20), and
counts the runs that end verified. The same seeds through Ray give the same seats.
"""

from __future__ import annotations

import sys
import tempfile
from statistics import median
from typing import Any

import maker
from benchmarks.record import keep


def main() -> None:
    temperature = sys.argv[1] if len(sys.argv) > 1 else "2.0"
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    rows = [measure(temperature, seeds, k) for k in (1, 3, 4)]
    keep(f"demo-{temperature}", rows, f"python -m benchmarks.demo {temperature} {seeds}")


def measure(temperature: str, seeds: int, k: int) -> dict[str, Any]:
    results = [run(temperature, seed, k) for seed in range(1, seeds + 1)]
    full = [result for result in results if result.steps == 1023]
    return {
        "k": k,
        "verified": f"{sum(result.verified is True for result in results)} of {seeds}",
        "found wrong": sum(result.verified is False for result in results),
        "parked": sum(result.status == "parked" for result in results),
        "votes/step": round(median(result.votes / result.steps for result in full), 3) if full else "-",
        "flags/step": round(median(result.flagged / result.steps for result in full), 4) if full else "-",
        "contested": median(result.contested for result in full) if full else "-",
        "steps/s": round(median(result.steps / result.seconds for result in results)),
    }


def run(temperature: str, seed: int, k: int) -> maker.RunResult:
    with tempfile.TemporaryDirectory() as folder:
        return maker.run(
            "hanoi",
            params={"disks": 10},
            model=f"embedded:temperature={temperature}",
            k=k,
            seed=seed,
            engine="inline",
            run_dir=f"{folder}/run",
        )


if __name__ == "__main__":
    main()
