"""`python -m tests.simulation --seeds 10000` plays many seeds, `--seed N` one, and says what happened.

`--mutants` plants each bug in turn and says which seed found it. Exit code 1 for a violation, or for a
planted bug that was not found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.mutants import MUTANTS, caught
from tests.simulation.scenario import Outcome, simulate

TRIES = 2000
"""Seeds in which a planted bug must show."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=300, help="how many, from --first")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--mutants", action="store_true", help="the planted bugs instead")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds) if asked.seed is None else [asked.seed]
    return _plant() if asked.mutants else _play(seeds)


def _play(seeds: Iterable[int]) -> int:
    began, hits, played, failed, calls, redrawn = time.monotonic(), Counter[str](), 0, 0, 0, 0
    with ProcessPoolExecutor() as pool:
        for outcome in pool.map(_safely, seeds, chunksize=20):
            hits += outcome.hits
            played += 1
            calls += outcome.calls
            redrawn += outcome.redrawn
            failed += bool(outcome.wrong)
            for sentence in outcome.wrong[:5]:
                print(f"seed {outcome.seed}, commit {_commit()}: {sentence}", flush=True)
    for what, count in sorted(hits.items()):
        print(f"{count:>9,}  {what}")
    print(f"{calls:,} calls, {redrawn:,} of them drawn again after a death or an outage")
    print(f"{played:,} seeds, {failed:,} with a violation, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def _plant() -> int:
    missed = 0
    with ProcessPoolExecutor() as pool:
        for name, seed, sentence in pool.map(_found, [mutant.__name__ for mutant in MUTANTS]):
            missed += seed is None
            print(f"{'MISSED' if seed is None else f'seed {seed}':>9}  {name}: {sentence}", flush=True)
    print(f"{len(MUTANTS)} planted bugs, {missed} missed")
    return 1 if missed else 0


def _found(name: str) -> tuple[str, int | None, str]:
    return name, *caught(next(mutant for mutant in MUTANTS if mutant.__name__ == name), range(TRIES))


def _safely(seed: int) -> Outcome:
    try:
        return simulate(seed)
    except Exception as error:
        return Outcome(seed, [f"the simulation broke: {type(error).__name__}: {error}"])


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
