"""`python -m tests.simulation --seeds 10000` plays many seeds; `--seed N` repeats one and says what happened."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.scenario import Outcome, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=300, help="how many, from 0")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="this one only")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds) if asked.seed is None else [asked.seed]
    began, hits, failed, calls, redrawn = time.monotonic(), Counter[str](), 0, 0, 0
    with ProcessPoolExecutor() as pool:
        for outcome in pool.map(_safely, seeds, chunksize=20):
            hits += outcome.hits
            calls += outcome.calls
            redrawn += outcome.redrawn
            failed += bool(outcome.wrong)
            for sentence in outcome.wrong[:5]:
                print(f"seed {outcome.seed}, commit {_commit()}: {sentence}")
    for what, count in sorted(hits.items()):
        print(f"{count:>9,}  {what}")
    print(f"{calls:,} calls, {redrawn:,} of them drawn again")
    print(f"{len(seeds):,} seeds, {failed:,} with a violation, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def _safely(seed: int) -> Outcome:
    try:
        return simulate(seed)
    except Exception as error:
        return Outcome(seed, [f"the simulation broke: {type(error).__name__}: {error}"])


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
