"""What grows with the length of a run: `python -m benchmarks.growth [DISKS ...]` (10 to 20 in steps of two).

Each row is a chain of 2**disks - 1 dependent steps by the simulated model at no latency, without Ray, in two
commands. The first ends by its cap on calls some hundred steps before the end: its memory, its rate, how long
a decision took until it was written (then it survives a kill). `maker status` reads the run. A second command
goes on with `--durability step`: how long until it drew, from its claim of the run on, and how long a
decision took until it was synced. What is measured lies in TMPDIR, which should be on a disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import counted
from benchmarks.record import keep
from maker import summary
from maker.run_directory import RunDirectory
from tests.support import ROOT

SIZES = [10, 12, 14, 16, 18, 20]
REST = 400
"""Steps, about, that are left to the second command."""
K = 3


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or SIZES
    rows = [measure(disks) for disks in sizes]
    keep("growth", rows, f"python -m benchmarks.growth {' '.join(map(str, sizes))}")


def measure(disks: int, rest: int = REST) -> dict[str, Any]:
    steps = (1 << disks) - 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counted.make(folder / "meter")
        first = _command(folder, disks, "group", K * (steps - rest))
        began = time.perf_counter()
        summary.summarise(RunDirectory(folder / "run"))
        status = time.perf_counter() - began
        last = _command(folder, disks, "step", 0)
        drew = max(counted.first_draws(folder / "meter").values())
        claimed = max(path.stat().st_mtime for path in (folder / "run" / "claims").iterdir())
    assert last["verified"] is True, last
    return {
        "steps": steps,
        "RSS MiB": round(first["rss"], 1),
        "steps/s": round(first["steps"] / first["seconds"]),
        "written us": round(first["p50"], 1),
        "written p99": round(first["p99"], 1),
        "synced ms": round(last["p50"] / 1e3, 2),
        "synced p99": round(last["p99"] / 1e3, 2),
        "status ms": round(status * 1e3, 1),
        "resume ms": round((drew - claimed) * 1e3, 1),
        "resume MiB": round(last["rss"], 1),
    }


def _command(folder: Path, disks: int, durability: str, calls: int) -> dict[str, Any]:
    """To its end, in a process of its own."""
    words = [folder / "run", folder / "meter", disks, durability, calls]
    started = [sys.executable, "-m", "benchmarks.growing", *map(str, words)]
    ended = subprocess.run(started, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return said


if __name__ == "__main__":
    main()
