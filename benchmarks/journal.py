"""What the journal costs, all from one run of this command: `python -m benchmarks.journal [DISKS] [ROUNDS]`.

    sealed bytes     of the chunks of a chain of 2**disks - 1 steps, headers included
    CPU us a record  to append one: JSON, CRC-32, SHA-256, the write, the syncs of page turns, and sealing
    CPU us a step    of that chain, driven by an engine whose journal keeps nothing, and by one with a lane
    steps/s          of a lane worker, as in a run: synced once a second (group), or with each decision (step)

The simulated model answers at once (p = .998, k = 3), so that only our own work is left. Medians of ROUNDS
(5). Beside them what is published elsewhere: a jsonl.zst written and synced in batches of 10,000 records, and
a sequential loop without and with it. What is measured lies in TMPDIR, which should be on a disk.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.chain import MODEL, Nowhere, run
from benchmarks.record import keep
from maker import asked
from maker.cluster.lane_worker import LaneWorker
from maker.cluster.messages import Orders
from maker.decomposers.hanoi import Hanoi
from maker.engine import Engine
from maker.journal import Durability, Journal, Lane, Page
from maker.records import Record

SHORT = 10
"""Disks of the chain that is synced with each decision: a sync takes milliseconds."""
BYTES_SAMPLE, BYTES_RECORD, CPU_RECORD = "sealed bytes a sample", "sealed bytes a record", "CPU us a record"
WITHOUT, WITH = "CPU us a step, no journal", "CPU us a step, journal"
ELSEWHERE = {BYTES_RECORD: 79, CPU_RECORD: 1.81, WITHOUT: 15, WITH: 20}


class Memory(Nowhere):
    """A journal that keeps the records as they were given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, *records: Record) -> None:
        self.records += records


def main() -> None:
    disks = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    keep("journal", measure(disks, rounds), f"python -m benchmarks.journal {disks} {rounds}")


def measure(disks: int, rounds: int) -> list[dict[str, Any]]:
    drive(disks, memory := Memory())
    figures: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, figure in once(disks, memory.records, Path(folder)).items():
                figures[name].append(figure)
    return [
        {
            "figure": name,
            "median": round(median(each), 2),
            "min": round(min(each), 2),
            "max": round(max(each), 2),
            "elsewhere": ELSEWHERE.get(name, "-"),
        }
        for name, each in figures.items()
    ]


def once(disks: int, records: list[Record], folder: Path) -> dict[str, float]:
    steps, short = (1 << disks) - 1, min(disks, SHORT)
    samples = sum(record["kind"] == "sample" for record in records)
    spent = cpu(lambda: append(records, folder / "append"))
    size = sum(chunk.stat().st_size for chunk in (folder / "append").glob("*.zst"))
    return {
        BYTES_SAMPLE: size / samples,
        BYTES_RECORD: size / len(records),
        CPU_RECORD: spent / len(records),
        WITHOUT: cpu(lambda: drive(disks, Nowhere())) / steps,
        WITH: cpu(lambda: drive_in_lane(disks, folder / "drive")) / steps,
        f"steps/s, group, {disks} disks": asyncio.run(rate(disks, folder / "group", "group")),
        f"steps/s, group, {short} disks": asyncio.run(rate(short, folder / "short", "group")),
        f"steps/s, step, {short} disks": asyncio.run(rate(short, folder / "step", "step")),
    }


def cpu(work: Callable[[], object]) -> float:
    """Microseconds of CPU of this process."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e6


def append(records: list[Record], folder: Path) -> None:
    """All that a lane does with records; in the end the last chunk is sealed too."""
    lane, page = Lane.claim(folder, "r"), Page({}, [])
    lane.turn(page)
    for record in records:
        lane.append(record)
        if lane.full:
            lane.turn(page)
    lane.turn(page)
    lane.close()


def drive(disks: int, journal: Journal) -> None:
    asyncio.run(run(Engine({"sim": MODEL}, journal), Hanoi(disks)))


def drive_in_lane(disks: int, folder: Path) -> None:
    lane = Lane.claim(folder, "r")
    lane.turn(Page({}, []))
    drive(disks, lane)
    lane.close()


async def rate(disks: int, folder: Path, durability: Durability) -> float:
    """Steps a second of a lane worker from its only segment's first step to its last."""
    manifest = asked.manifest("hanoi", {"disks": disks}, "sim:error=0.002", 3, None, "truncated", 1, 100)
    worker = LaneWorker(Orders(manifest, str(folder), "0000", command=1, durability=durability))
    await worker.start()
    began = time.perf_counter()
    report = await worker.exchange(1, list(Hanoi(disks).segments()), wait=3600)
    took = time.perf_counter() - began
    await worker.stop()
    return report.totals.steps / took


if __name__ == "__main__":
    main()
