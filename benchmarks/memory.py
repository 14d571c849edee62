"""Memory of coordinator and actor over the length of one chain: `python -m benchmarks.memory [DISKS ...]`.

Each row is a run of 2**disks - 1 dependent steps by the simulated model on Ray, started as a user would;
the resident sets of both processes are read twice a second and their peaks reported, in MiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.record import keep


def main() -> None:
    disks = [int(word) for word in sys.argv[1:]] or [10, 13, 15, 17, 20]
    rows = [measure(each) for each in disks]
    keep("memory", rows, f"python -m benchmarks.memory {' '.join(map(str, disks))}")


def measure(disks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", "hanoi", "-T", f"disks={disks}", "--model", "sim:error=0.002", "--k", "3", "--json"]
        words += ["--seed", "1", "--run-dir", f"{folder}/run"]
        started = [sys.executable, "-m", "maker", *words]
        process = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        peaks = watch(psutil.Process(process.pid))
        out, _ = process.communicate()
        done = json.loads(out.splitlines()[-1])
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.jsonl*"))
    return {
        "steps": done["steps"],
        "status": done["status"],
        "coordinator MiB": round(peaks["coordinator"], 1),
        "actor MiB": round(peaks["actor"], 1),
        "steps/s": round(done["steps"] / done["seconds"]),
        "journal B/sample": round(size / done["samples"]),
    }


def watch(coordinator: psutil.Process) -> dict[str, float]:
    """Peaks of both resident sets until the coordinator has ended, in MiB."""
    peaks = {"coordinator": 0.0, "actor": 0.0}
    while coordinator.is_running() and coordinator.status() != psutil.STATUS_ZOMBIE:
        peaks["coordinator"] = max(peaks["coordinator"], resident(coordinator))
        for child in coordinator.children(recursive=True):
            if "LaneWorker" in name(child):
                peaks["actor"] = max(peaks["actor"], resident(child))
        time.sleep(0.5)
    return peaks


def resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


def name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


if __name__ == "__main__":
    main()
