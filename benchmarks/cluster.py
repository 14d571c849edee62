"""A run on a three-node cluster of this machine whose nodes are killed: `python -m benchmarks.cluster`.

The nodes are Ray's own (`ray.cluster_utils`): a head and two others, real raylets with real processes. While
`maker run --address` goes on as a process of its own, one of the two is killed every now and then (SIGKILL),
in turn with its actors and without them, and a fresh one joins; `maker status` looks on from a third process.
At the end the run is judged (`kill_audit.py`) beside the same run that nobody disturbed: the same decisions
and tallies, each once. With `--head` the head is killed, a new cluster started and the same command given.
With `--storage s3` the run is in an object store that fails 5 % of its requests (`stored.py`).

Only processes that this one has started are killed. Exit code 1 if a promise was broken; it is on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import psutil

from benchmarks.kill_audit import same, written
from benchmarks.record import keep
from benchmarks.stored import OnDisk, storage
from maker import chunks, history, place
from maker.cluster import ray_crew
from maker.run_directory import RunDirectory

STORE = 100 * 2**20
"""Bytes of a node's object store."""
LOOK_SECONDS = 2.0
"""Between two looks from another process."""


@dataclass(slots=True)
class Seen:
    """What happened to a run."""

    kills: list[str] = field(default_factory=list)
    orphans: dict[psutil.Process, float] = field(default_factory=dict)
    """Actors that outlived their raylet, and when that died (monotonic seconds)."""
    outlived: dict[psutil.Process, float] = field(default_factory=dict)
    """Seconds for which they did, as far as it was seen."""
    looks: list[float] = field(default_factory=list)
    """Seconds that each look took."""
    steps: int = 0
    """As the last look saw."""
    wrong: list[str] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    """Of each command."""
    head_to_end: float = 0.0
    """Seconds from the head's death to the end of the command."""
    log_bytes: int = 0
    """In Ray's session folder."""


class Nodes:
    """A head and two more nodes; each may be killed."""

    def __init__(self, environment: dict[str, str]) -> None:
        os.environ.update(environment)
        ray_crew.settle_environment()
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "object_store_memory": STORE}
        self._cluster = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self._left: list[psutil.Process] = []

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self) -> None:
        _patiently(lambda: self._cluster.add_node(num_cpus=1, object_store_memory=STORE))

    def kill_one(self, lot: Random, with_actors: bool) -> list[psutil.Process]:
        """SIGKILL to a node's raylet, and to all below it or to all but its actors; the actors."""
        node = lot.choice(sorted(self._cluster.worker_nodes, key=lambda node: str(node.node_id)))
        self._cluster.worker_nodes.discard(node)
        actors = self._kill(node, with_actors)
        node.kill_all_processes(check_alive=False, allow_graceful=False)
        return actors

    def kill_head(self) -> None:
        head = self._cluster.head_node
        self._kill(head, with_actors=True)
        head.kill_all_processes(check_alive=False, allow_graceful=False)

    def _kill(self, node: Any, with_actors: bool) -> list[psutil.Process]:
        found = [psutil.Process(each.process.pid) for kind in node.all_processes.values() for each in kind]
        below = [child for process in found for child in _children(process)]
        actors = [process for process in below if "LaneWorker" in _command_line(process)]
        spared = [] if with_actors else actors
        for process in [*found, *below]:
            if process not in spared:
                _kill(process)
        self._left += below
        return actors

    def logs(self) -> int:
        folder = Path(self._cluster.head_node.get_session_dir_path()) / "logs"
        return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())

    def close(self) -> None:
        """Every node, and what is left of killed ones."""
        for node in [*self._cluster.worker_nodes, self._cluster.head_node]:
            self._kill(node, with_actors=True)
            node.kill_all_processes(check_alive=False, allow_graceful=False)
        for process in self._left:
            _kill(process)


def _patiently(start: Callable[[], Any], tries: int = 5) -> Any:
    """Ray gives a node half a minute to start, and this machine may have other work."""
    for left in reversed(range(tries)):
        try:
            return start()
        except Exception:
            if not left:
                raise


@contextmanager
def nodes(environment: dict[str, str]) -> Iterator[Nodes]:
    made = Nodes(environment)
    try:
        made.add()
        made.add()
        yield made
    finally:
        made.close()


@dataclass(frozen=True, slots=True)
class Asked:
    disks: int
    segments: int
    model: str
    workers: int
    kills: int
    between: tuple[float, float]
    """Least and most seconds from one kill to the next."""
    seed: int
    storage: OnDisk = field(default_factory=OnDisk)

    def words(self, run: Path) -> list[str]:
        task = ["hanoi", "-T", f"disks={self.disks}", "-T", f"waypoints={self.segments}"]
        how = ["--workers", str(self.workers), "--seed", str(self.seed), "--json", *self.storage.words]
        return ["run", *task, "--model", self.model, *how, "--run-dir", self.storage.where(run)]


def disturbed(asked: Asked, run: Path, environment: dict[str, str], head: bool) -> Seen:
    """The run with its nodes killed, to its end."""
    seen, lot = Seen(), Random(asked.seed)
    with nodes(environment) as made:
        _command(asked, run, made, seen, lot, head)
        seen.log_bytes = made.logs()
    if head:
        with nodes(environment) as made:
            _command(asked, run, made, seen, lot, False)
            seen.log_bytes += made.logs()
    return seen


def _command(asked: Asked, run: Path, made: Nodes, seen: Seen, lot: Random, head: bool) -> None:
    """One command on one cluster, to its end."""
    words = [*asked.words(run), "--address", made.address]
    with run.with_suffix(f".{len(seen.codes)}.err").open("w") as errors:
        process = subprocess.Popen(_maker(words), stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            _disturb(asked, run, made, seen, lot, process, head)
            out, _ = process.communicate(timeout=7200)
        finally:
            process.kill()
    seen.codes.append(process.returncode)
    seen.done = json.loads(out.splitlines()[-1]) if out else {}
    if head and "has not answered for" not in str(seen.done.get("reason")):
        seen.wrong.append(f"the command that lost its head ended {process.returncode} without saying so")
    for orphan in seen.orphans:
        _kill(orphan)


def _disturb(
    asked: Asked,
    run: Path,
    made: Nodes,
    seen: Seen,
    lot: Random,
    process: subprocess.Popen[str],
    head: bool,
) -> None:
    """Look at it and kill its nodes, then perhaps their head, until it ends or is left in peace."""
    moment: float | None = None
    while process.poll() is None:
        time.sleep(LOOK_SECONDS)
        _look(asked.storage.where(run), seen)
        _look_at_orphans(seen)
        if not seen.steps:
            continue
        moment = moment or time.monotonic() + lot.uniform(*asked.between)
        if time.monotonic() < moment:
            continue
        moment = None
        if len(seen.kills) < asked.kills:
            _kill_node(made, seen, lot)
        elif head:
            made.kill_head()
            seen.kills.append("head")
            died = time.monotonic()
            process.wait(timeout=120)
            seen.head_to_end = time.monotonic() - died
            return


def _kill_node(made: Nodes, seen: Seen, lot: Random) -> None:
    with_actors = len(seen.kills) % 2 == 0
    actors = made.kill_one(lot, with_actors)
    seen.kills.append("node" if with_actors else "raylet")
    if not with_actors:
        seen.orphans |= dict.fromkeys(actors, time.monotonic())
    made.add()


def _look(run: str, seen: Seen) -> None:
    """`maker status` from another process."""
    if not (place.at(run) / "manifest.json").exists():
        return
    began = time.monotonic()
    done = subprocess.run(_maker(["status", run, "--json"]), capture_output=True, text=True)
    seen.looks.append(time.monotonic() - began)
    if done.returncode:
        seen.wrong.append(f"status ended {done.returncode}: {done.stderr.strip()}")
        return
    steps = json.loads(done.stdout)["steps"]
    if steps < seen.steps:
        seen.wrong.append(f"status said {seen.steps} steps, then {steps}")
    seen.steps = steps


def _look_at_orphans(seen: Seen) -> None:
    for orphan, since in seen.orphans.items():
        if _lives(orphan):
            seen.outlived[orphan] = time.monotonic() - since


def judged(asked: Asked, seen: Seen, run: Path, straight: Path) -> list[str]:
    """A sentence for each promise that was broken."""
    found, undisturbed = written(run), written(straight)
    wrong = [*seen.wrong, *found.twice, *same(found, undisturbed)]
    ended = (seen.codes[-1], seen.done.get("status"), seen.done.get("verified"))
    if ended != (0, "done", True):
        wrong.append(f"it ended {ended}: {seen.done.get('reason')}")
    if len(found.decisions) != 2**asked.disks - 1:
        wrong.append(f"{len(found.decisions)} steps are decided, expected {2**asked.disks - 1}")
    words = ["verify", asked.storage.where(run), "--task"]
    checked = subprocess.run(_maker(words), capture_output=True, text=True)
    if checked.returncode:
        wrong.append(f"maker verify ended {checked.returncode}: {checked.stderr.strip()}")
    return wrong


def _ignored(run: Path, storage: OnDisk) -> tuple[int | None, int | None]:
    """(owners of lanes, bytes that older owners wrote and that do not count); a store has none"""
    if not storage.whole:
        return None, None
    directory, owners, ignored = RunDirectory(run), 0, 0
    for lane in directory.lanes():
        folder = directory.lane(lane)
        owners += len(list((folder / "claims").iterdir()))
        counted = {chunk: header for chunk, _, header in history.parts(folder)}
        ignored += sum(header["before"].get("cut", 0) for header in counted.values())
        ignored += sum(chunk.stat().st_size for chunk in chunks.of(folder) if chunk not in counted)
    return owners, ignored


def measure(asked: Asked, head: bool) -> tuple[dict[str, Any], list[str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {"RAY_AUTH_TOKEN_PATH": str(folder / "token"), "RAY_AUTH_MODE": "token"}
        run, straight = folder / "run", folder / "straight"
        quick = replace(asked, model=_without_latency(asked.model), storage=OnDisk())
        words = [*quick.words(straight), "--engine", "inline"]
        subprocess.run(_maker(words), check=True, capture_output=True)
        seen = disturbed(asked, run, environment, head)
        asked.storage.fetch(run)
        wrong = judged(asked, seen, run, straight)
        return _row(asked, seen, run, wrong), wrong


def _row(asked: Asked, seen: Seen, run: Path, wrong: list[str]) -> dict[str, Any]:
    owners, ignored = _ignored(run, asked.storage)
    steps, seconds = seen.done.get("steps", 0), seen.done.get("seconds", 0.0)
    looks = sorted(seen.looks)
    return {
        "segments": asked.segments,
        "workers": asked.workers,
        "steps": steps,
        "last command s": round(seconds),
        "nodes killed": seen.kills.count("node"),
        "raylets only": seen.kills.count("raylet"),
        "head killed": seen.kills.count("head"),
        "head to end s": round(seen.head_to_end, 1),
        "lost workers": seen.done.get("lost_workers"),
        "lane owners": owners,
        "orphans": len(seen.orphans),
        "longest orphan s": round(max(seen.outlived.values(), default=0.0), 1),
        "ignored bytes": ignored,
        "status median s": round(looks[len(looks) // 2], 2) if looks else None,
        "Ray log MB": round(seen.log_bytes / 1e6, 1),
        "violations": len(wrong),
    }


def _without_latency(model: str) -> str:
    return ",".join(part for part in model.split(",") if not part.startswith("latency="))


def _maker(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "maker", *words]


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster")
    parser.add_argument("--disks", type=int, default=15)
    parser.add_argument("--segments", type=int, default=16)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--model", default="sim:error=0.002,flags=0.001,latency=50ms")
    parser.add_argument("--kills", type=int, default=1000, help="of nodes, before the head's or in all")
    parser.add_argument("--between", type=float, nargs=2, default=(10.0, 20.0), metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--head", action="store_true", help="kill the head after the kills of nodes")
    parser.add_argument("--storage", choices=("disk", "s3"), default="disk", help="where the run is")
    parser.add_argument("--name", default="cluster", help="of the file of results")
    given = parser.parse_args()
    between = (given.between[0], given.between[1])
    how = (given.disks, given.segments, given.model, given.workers, given.kills, between, given.seed)
    with storage(given.storage) as kept:
        row, wrong = measure(Asked(*how, kept), given.head)
    keep(given.name, [row], f"python -m benchmarks.cluster {' '.join(sys.argv[1:])}".rstrip())
    print("\n".join(wrong) or "no promise was broken")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
