"""How much is logged on a Ray cluster, by a calm run and a stormy one, by the command and by Ray's processes.

    python -m benchmarks.log_volume [DISKS] [ROWS]

The calm run is a chain of 2^DISKS - 1 steps. In the stormy one there are ROWS questions that are all parked,
each of its 12 samples after five transport faults. A cluster that does nothing is measured as well: Ray's
processes write by the clock. What actors write to their stderr is told apart.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import record

ROOT = Path(__file__).resolve().parents[1]
IDLE_SECONDS = 60.0
STORM = """
from itertools import count

from maker.nouns import Message, Prompt, Sample, Segment


class Rows:
    def __init__(self, rows: int = 10):
        self.rows = rows

    def segments(self):
        return (Segment(f"s{number:06}", number) for number in range(self.rows))

    def prompt(self, step):
        return None if step.index else Prompt((Message("user", "?"),))

    def parse(self, step, text):
        return text

    def advance(self, step, answer):
        return answer

    def stitch(self, finals):
        return len(finals)


class Stormy:
    name, temperatures = "stormy", (0.0, 0.0)
    said = count()

    async def draw(self, request):
        for seat in request.seats:
            for number in range(5):
                request.on_fault(f"kind-{number}")
            yield Sample(seat, f"never twice the same: {next(self.said)}", "stop", 1, 1, 0.01)

    async def aclose(self):
        pass
"""


def main() -> None:
    disks, rows = map(int, sys.argv[1:] or ("17", "20000"))
    with tempfile.TemporaryDirectory(prefix="maker") as scratch:
        folder = Path(scratch)
        (folder / "storm.py").write_text(STORM)
        cluster = _cluster(folder)
        try:
            assert cluster.stdout is not None
            ready = json.loads(cluster.stdout.readline())
            calm = ("hanoi", "-T", f"disks={disks}", "--model", "sim:error=0.002")
            stormy = ("storm.py:Rows", "-T", f"rows={rows}", "--model", "storm.py:Stormy")
            found = [
                _measured("nothing", ready, lambda: time.sleep(IDLE_SECONDS)),
                _run("calm", folder, ready, calm),
                _run("stormy", folder, ready, (*stormy, "--max-samples", "12")),
            ]
        finally:
            cluster.send_signal(signal.SIGINT)
            cluster.wait(timeout=60)
    record.keep("log_volume", found, f"python -m benchmarks.log_volume {disks} {rows}")


def _cluster(folder: Path) -> subprocess.Popen[str]:
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(folder / "token"))
    words = [sys.executable, str(ROOT / "deploy" / "local_cluster.py"), "--nodes", "0", "--json"]
    with (folder / "cluster.log").open("w") as log:
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)


def _run(name: str, folder: Path, ready: dict[str, str], task: tuple[str, ...]) -> dict[str, Any]:
    words = ["run", *task, "--json", "--run-dir", name, "--workers", "2", "--address", ready["address"]]
    said: list[subprocess.CompletedProcess[str]] = []

    def act() -> None:
        command = [sys.executable, "-m", "maker", *words]
        said.append(subprocess.run(command, cwd=folder, capture_output=True, text=True))

    row = _measured(name, ready, act)
    done = json.loads(said[0].stdout.splitlines()[-1])
    lines = said[0].stderr.splitlines()
    counts = {"steps": done["steps"], "samples": done["samples"], "parked": done["parked"]}
    counts |= {"faults": done["transport_faults"], "stderr_lines": len(lines)}
    return row | counts | {"stderr_KiB": round(len(said[0].stderr) / 1024, 1)}


def _measured(name: str, ready: dict[str, str], act: Any) -> dict[str, Any]:
    logs = Path(ready["session"]) / "logs"
    before, actors, began = _size(logs, "*"), _size(logs, "worker-*.err"), time.monotonic()
    act()
    none = dict.fromkeys(("steps", "samples", "parked", "faults", "stderr_lines", "stderr_KiB"), 0)
    return {
        "run": name,
        "seconds": round(time.monotonic() - began, 1),
        **none,
        "actors_KiB": _kib(_size(logs, "worker-*.err") - actors),
        "ray_KiB": _kib(_size(logs, "*") - before),
    }


def _size(logs: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in logs.rglob(pattern) if path.is_file())


def _kib(size: int) -> float:
    return round(size / 1024, 1)


if __name__ == "__main__":
    main()
