"""One command of `benchmarks.growth`, in a process of its own: runs, and says what its commits took.

It prints one JSON line. Times of commits are kept in bins of 2 %, so that the meter does not grow.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

import maker
from maker.journal import Lane
from maker.records import Record

FINE = math.log(1.02)


class Meter:
    """How long each decision took until the journal had it."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def time_decisions(self) -> None:
        """From now on, of every lane in this process."""
        append = Lane.append

        def timed(lane: Lane, *records: Record) -> None:
            began = time.perf_counter()
            append(lane, *records)
            if records[0]["kind"] == "decision":
                self._bins[int(math.log(time.perf_counter() - began) / FINE)] += 1

        Lane.append = timed  # type: ignore[method-assign]

    def microseconds(self, share: float) -> float:
        """What so many of all decisions did not exceed."""
        left = share * self._bins.total()
        for place, count in sorted(self._bins.items()):
            left -= count
            if left <= 0:
                return math.exp(place * FINE) * 1e6
        return math.nan


def main(run: str, meter: str, disks: str, durability: Any, calls: str) -> None:
    timed = Meter()
    timed.time_decisions()
    ended = maker.run(
        "hanoi",
        params={"disks": int(disks)},
        model=f"benchmarks.counted:Counted:meter={meter},error=0.002",
        seed=1,
        engine="inline",
        durability=durability,
        max_calls=int(calls) or "none",
        run_dir=Path(run),
    )
    said = {
        "status": ended.status,
        "verified": ended.verified,
        "steps": ended.steps,
        "seconds": ended.seconds,
    }
    commits = {"p50": timed.microseconds(0.5), "p99": timed.microseconds(0.99)}
    print(json.dumps({**said, **commits, "rss": psutil.Process().memory_info().rss / 2**20}))


if __name__ == "__main__":
    main(*sys.argv[1:])
