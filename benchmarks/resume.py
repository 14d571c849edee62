"""How long a killed run takes to go on: `python -m benchmarks.resume [DISKS ...]`.

A chain of 2**disks - 1 steps is killed (SIGKILL) after nine tenths of them; then a lane worker claims its
lane, reads it back and has every chain ready to draw: that is timed, with the status read from headers.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import keep
from maker import journal, summary
from maker.cluster.lane_worker import LaneWorker, Orders
from maker.run_directory import RunDirectory


def main() -> None:
    disks = [int(word) for word in sys.argv[1:]] or [16, 18, 20]
    keep(
        "resume",
        [measure(each) for each in disks],
        f"python -m benchmarks.resume {' '.join(map(str, disks))}",
    )


def measure(disks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run")
        kill_at(run, disks, (1 << disks) * 9 // 10)
        began = time.perf_counter()
        steps = summary.summarise(run).totals.steps
        read = time.perf_counter() - began
        began = time.perf_counter()
        resumed = asyncio.run(resume(run))
        took = time.perf_counter() - began
        assert resumed >= steps
        size = sum(path.stat().st_size for path in run.path.rglob("*.jsonl*"))
    return {
        "steps": steps,
        "resume s": round(took, 3),
        "status s": round(read, 3),
        "journal MB": round(size / 1e6, 1),
    }


def kill_at(run: RunDirectory, disks: int, steps: int) -> None:
    words = ["run", "hanoi", "-T", f"disks={disks}", "--model", "sim:error=0.002", "--engine", "inline"]
    process = subprocess.Popen(
        [sys.executable, "-m", "maker", *words, "--run-dir", str(run.path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and decided(run) < steps:
        time.sleep(0.02 if disks < 15 else 0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()


def decided(run: RunDirectory) -> int:
    if not (run.path / "lanes").exists():
        return 0
    headers = [header for lane in run.lanes() for header in journal.newest(run.lane(lane))[0]]
    return max((header["totals"]["steps"] for header in headers), default=0)


async def resume(run: RunDirectory) -> int:
    [lane] = run.lanes()
    worker = LaneWorker(Orders(run.manifest(), str(run.path), lane, command=run.claim({})))
    report = await worker.start()
    await worker.stop()
    return report.totals.steps


if __name__ == "__main__":
    main()
