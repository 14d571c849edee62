"""Real kills of real processes: `python -m benchmarks.kills --kills 200` (about half an hour).

Chains of 2**disks - 1 dependent steps are killed at random moments, by a seed, and started again by the same
command, until they end (`killing.py`). Then each run is judged (`kill_audit.py`): every step decided once, as
in the undisturbed run of the same seed; verified; nothing asked twice of the endpoint but what was in flight
at a kill.

    endpoint   `openai:` over HTTP against tests/faultd.py, in one process (--engine inline)
    ray        the same in 8 segments on Ray with 2 actors; the command or an actor is killed
    recursive  questions that an endpoint's model takes apart (decomposers/recursive), 504 segments five forks
               deep at 11 disks; the command or an actor is killed
    embedded   the model in the package; it has no log of calls, so only files and verdict are judged

With `--storage s3` the runs are in an object store that fails 5 % of its requests (`stored.py`); there a kill
costs what was not sealed, too.

Exit code 1 if a promise was broken; which one is on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.kill_audit import Paid, Written, paid, same, written
from benchmarks.killing import Killed, Pace
from benchmarks.record import keep
from benchmarks.stored import OnDisk, storage
from tests.faultd import Answer, Faultd
from tests.hanoi_endpoint import Erring
from tests.splitting_endpoint import Splitting

A_RUN = 10
"""Kills of one run at most."""
SAME = ("steps", "votes", "samples", "flagged", "contested", "flags", "result")
"""What of a result no kill may change."""
LATENCY = 0.005
"""Seconds that the endpoint takes."""


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    share: float
    """Of the kills."""
    k: int
    words: tuple[str, ...]
    answer: Answer | None
    """Of an endpoint of ours, whose log is read; None: the model is in the package."""
    actors: float = 0.0
    """Share of the kills that hit an actor."""
    task: Callable[[Path, int], tuple[str, ...]] = lambda folder, disks: ("hanoi", "-T", f"disks={disks}")
    """The words that name it."""

    def server(self) -> AbstractContextManager[Faultd | None]:
        return Faultd(answer=self.answer, latency=LATENCY) if self.answer else nullcontext()

    def run(
        self, path: Path, disks: int, seed: int, server: Faultd | None, storage: OnDisk, window: int = 1
    ) -> Killed:
        words = ["run", *self.task(path.parent, disks), "--seed", str(seed), "--k", str(self.k), "--json"]
        words += ["--window", str(window)]
        where = ["--base-url", server.url] if server else []
        return Killed(path, [*words, *self.words, *where, *storage.words], server, storage)


def _questions(folder: Path, disks: int) -> tuple[str, ...]:
    """Products of eight digits by four, about as many steps as Hanoi has."""
    lot, rows = Random(disks), []
    for number in range(max(1, 2**disks // 256)):
        left, right = lot.randrange(10**7, 10**8), lot.randrange(10**3, 10**4)
        rows.append({"id": number, "question": f"Multiply {left} by {right}", "answer": left * right})
    file = folder / "questions.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return "recursive", "--input", str(file), "-T", "depth=5"


_CHAT = ("--model", "openai:tiny,send_seed=true")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("endpoint", 0.5, 3, (*_CHAT, "--engine", "inline"), Erring()),
        Kind("ray", 0.35, 3, (*_CHAT, "--workers", "2", "-T", "waypoints=8"), Erring(), actors=0.7),
        Kind("recursive", 0.05, 4, (*_CHAT, "--workers", "2"), Splitting(), 0.5, _questions),
        Kind("embedded", 0.1, 4, ("--model", "embedded:temperature=1.5", "--engine", "inline"), None),
    )
}


@dataclass(frozen=True, slots=True)
class Straight:
    """The undisturbed run of a kind."""

    seed: int
    done: dict[str, Any]
    written: Written
    start: float
    """Seconds of its wall clock before and after the run itself."""


@dataclass(slots=True)
class Judged:
    """A run that was killed, and what the audit says of it."""

    run: Killed
    wrong: list[str]
    paid: Paid | None
    """None where the model keeps no log."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--disks", type=int, default=11)
    parser.add_argument("--seed", type=int, default=1, help="decides when and what is killed")
    parser.add_argument("--kind", choices=KINDS, help="this kind only")
    parser.add_argument("--window", type=int, default=1, help="of the commands that are killed")
    parser.add_argument("--storage", choices=("disk", "s3"), default="disk", help="where the runs are")
    asked = parser.parse_args()
    kinds = [kind for kind in KINDS.values() if asked.kind in (None, kind.name)]
    whole = sum(kind.share for kind in kinds)
    rows, wrong = [], []
    for kind in kinds:
        began = time.monotonic()
        with storage(asked.storage) as place:
            kills = round(asked.kills * kind.share / whole)
            runs = measure(kind, kills, asked.disks, asked.seed, place, asked.window)
        rows.append(_row(kind, runs, time.monotonic() - began))
        wrong += [f"{kind.name}, run {n}: {each}" for n, run in enumerate(runs, 1) for each in run.wrong]
    keep(
        "_".join(
            ["kills", *(["s3"] if asked.storage == "s3" else []), *(["window"] if asked.window > 1 else [])]
        ),
        rows,
        f"python -m benchmarks.kills {' '.join(sys.argv[1:])}".rstrip(),
    )
    print("\n".join(wrong) or "no promise was broken")
    return 1 if wrong else 0


def measure(
    kind: Kind, kills: int, disks: int, seed: int, storage: OnDisk | None = None, window: int = 1
) -> list[Judged]:
    """Runs of one kind until there were so many kills; the undisturbed one has no window."""
    lot, runs, storage = Random(f"{kind.name}/{seed}"), list[Judged](), storage or OnDisk()
    with tempfile.TemporaryDirectory() as folder:
        straight = undisturbed(kind, disks, seed, Path(folder), storage)
        between = straight.done["seconds"] / A_RUN
        while (left := kills - sum(len(each.run.kills) for each in runs)) > 0:
            pace = Pace(straight.start, between, kind.actors, min(left, A_RUN))
            with kind.server() as server:
                path = Path(folder) / f"killed{len(runs)}"
                run = kind.run(path, disks, straight.seed, server, storage, window)
                run.until_done(pace, lot)
            runs.append(judge(kind, run, straight, window))
    return runs


def undisturbed(kind: Kind, disks: int, seed: int, folder: Path, storage: OnDisk | None = None) -> Straight:
    """The run that nobody kills; the next seed is tried where two of its seats share theirs."""
    while True:
        with kind.server() as server:
            run = kind.run(folder / f"straight{seed}", disks, seed, server, storage or OnDisk())
            began = time.monotonic()
            run.until_done(Pace(0, 0, 0, most=0), Random())
            wall = time.monotonic() - began
        if run.code != 0 or run.done["verified"] is False:
            raise SystemExit(f"the undisturbed run of {kind.name} ended {run.code}: {run.done.get('reason')}")
        found = written(run.path)
        if len({number for number, _ in found.samples.values()}) == len(found.samples):
            return Straight(seed, run.done, found, wall - run.done["seconds"])
        seed += 1


def judge(kind: Kind, run: Killed, straight: Straight, window: int = 1) -> Judged:
    found = written(run.path)
    differs = _difference(kind, run, found, straight, guessed=window > 1)
    wrong = [*run.wrong, *_verdict(run, straight), *found.twice, *differs]
    if run.server is None:
        return Judged(run, wrong, None)
    cost, wasted = paid(found, run.server.calls, run.kills, kind.k if run.storage.whole else None, window)
    return Judged(run, wrong + wasted, cost)


def _verdict(run: Killed, straight: Straight) -> Iterator[str]:
    ended = (run.code, run.done.get("status"), run.done.get("verified"))
    if ended != (0, "done", straight.done["verified"]):
        yield f"it ended {ended}: {run.done.get('reason')}"


def _difference(kind: Kind, run: Killed, found: Written, straight: Straight, guessed: bool) -> Iterator[str]:
    """From the undisturbed run; the embedded model may answer otherwise when it draws in other batches."""
    if not kind.answer:
        if found.decisions.keys() != straight.written.decisions.keys():
            yield f"{len(found.decisions)} steps are decided, expected {len(straight.written.decisions)}"
        return
    yield from same(found, straight.written, guessed)
    alike = [each for each in SAME if not (guessed and each == "samples")]
    if odd := [each for each in alike if run.done.get(each) != straight.done[each]]:
        yield f"the result differs from the undisturbed run's in {', '.join(odd)}"


def _row(kind: Kind, runs: list[Judged], seconds: float) -> dict[str, Any]:
    kills = [kill for each in runs for kill in each.run.kills]
    costs = [each.paid for each in runs if each.paid]
    return {
        "kind": kind.name,
        "runs": len(runs),
        "kills": len(kills),
        "of actors": sum(kill.victim == "actor" for kill in kills),
        "steps": sum(each.run.done.get("steps", 0) for each in runs),
        "samples": sum(each.run.done.get("samples", 0) for each in runs),
        "calls": sum(cost.calls for cost in costs) if costs else "-",
        "open at kills": sum(kill.open for kill in kills) if costs else "-",
        "in flight": sum(cost.lost for cost in costs) if costs else "-",
        "most at a kill": max(cost.most_lost for cost in costs) if costs else "-",
        "drawn again": sum(cost.redrawn for cost in costs) if costs else "-",
        "orphans s": round(max((kill.gone - kill.sent for kill in kills), default=0), 2),
        "violations": sum(len(each.wrong) for each in runs),
        "seconds": round(seconds),
    }


if __name__ == "__main__":
    sys.exit(main())
