"""One limit over four actors, by the endpoint's own log: `python -m benchmarks.limit [RETRY_AFTER]`.

An endpoint takes 20 requests at a time (0.2 s each, 429 beyond, with a Retry-After if one is given), then 40,
then 20 again; four actors would make over 60. Then a person lowers the limit, pauses, and lets go on.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import keep
from maker.nouns import Json, Message, Prompt, Segment, Step
from maker.run_directory import RunDirectory

ROOT = Path(__file__).resolve().parents[1]
LATENCY = 0.2
DOUBLED, HALVED, ASKED, PAUSED, RESUMED, ENDED = 70.0, 110.0, 140.0, 150.0, 155.0, 160.0
"""Seconds since the first request."""


class Asking:
    """Chains of steps that all have the answer `yes`."""

    def __init__(self, segments: int = 64, length: int = 100_000) -> None:
        self.count, self.length = segments, length

    def segments(self) -> Iterable[Segment]:
        return [Segment(f"s{number}", None) for number in range(self.count)]

    def prompt(self, step: Step) -> Prompt | None:
        return None if step.index == self.length else Prompt((Message("user", "Well?"),))

    def parse(self, step: Step, text: str) -> Json:
        return text

    def advance(self, step: Step, answer: Json) -> Json:
        return None

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return len(finals)


@dataclass(frozen=True, slots=True)
class Seen:
    """An endpoint's log, in seconds since the first request."""

    times: list[float]
    """When each request came, in order."""
    statuses: list[int]
    ends: list[float]
    began: float
    """Epoch."""

    @classmethod
    def read(cls, log: Path) -> Seen:
        rows = sorted(tuple(map(float, line.split())) for line in log.read_text().splitlines())
        began = rows[0][0]
        times, ends = ([row[column] - began for row in rows] for column in (0, 3))
        return cls(times, [int(row[1]) for row in rows], ends, began)

    def between(self, begin: float, end: float) -> list[int]:
        return self.statuses[bisect_left(self.times, begin) : bisect_left(self.times, end)]

    def use(self, begin: float, end: float) -> float:
        """Requests under way on average."""
        spans = zip(self.times, self.ends, strict=True)
        return sum(max(0.0, min(over, end) - max(came, begin)) for came, over in spans) / (end - begin)

    def refused(self, begin: float, end: float) -> float:
        """Share of requests."""
        found = self.between(begin, end)
        return found.count(429) / max(len(found), 1)

    def under_way(self, at: float) -> int:
        return sum(came <= at < over for came, over in zip(self.times, self.ends, strict=True))

    def until_at_most(self, limit: int, begin: float, end: float) -> float:
        """Seconds from `begin` after which no more than `limit` were under way."""
        times = [begin + place / 20 for place in range(int((end - begin) * 20))]
        late = [at for at in times if self.under_way(at) > limit]
        return round(max(late, default=begin) - begin, 2)

    def until_used(self, share: float, capacity: int, begin: float, end: float) -> float | None:
        """Seconds from `begin` until the mean use of 3 s is this share of the capacity."""
        places = range(int(end - begin - 3))
        reached = (at for at in places if self.use(begin + at, begin + at + 3) >= share * capacity)
        return next((at + 3.0 for at in reached), None)


@contextmanager
def endpoint(log: Path, retry_after: str, *plan: str) -> Iterator[str]:
    """The address of an endpoint (tests/rationed_endpoint.py), a process of its own."""
    script = ROOT / "tests" / "rationed_endpoint.py"
    words = [sys.executable, script, log, str(LATENCY), retry_after, *plan]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
    finally:
        process.terminate()
        process.wait(timeout=10)


def main() -> None:
    retry_after = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as folder:
        row = {"Retry-After": retry_after or "none", **measure(Path(folder), retry_after)}
    name = f"limit-{retry_after}" if retry_after else "limit"
    keep(name, [row], f"python -m benchmarks.limit {retry_after}".strip())


def measure(folder: Path, retry_after: str) -> dict[str, Any]:
    log, where = folder / "log", folder / "run"
    with endpoint(log, retry_after, "20", f"{DOUBLED}:40", f"{HALVED}:20") as url:
        words = ("run", "benchmarks.limit:Asking", "--model", "openai:any", "--base-url", url)
        process = maker(*words, "--workers", "4", "--run-dir", str(where))
        while not log.read_text():
            if process.poll() is not None:
                raise SystemExit(
                    f"maker run ended with exit code {process.returncode} before it asked anything"
                )
            time.sleep(0.02)
        began = Seen.read(log).began
        for at, *asked in _PLAN:
            time.sleep(max(0.0, began + at - time.time()))
            maker("ctl", str(where), *asked).wait()
        time.sleep(max(0.0, began + ENDED - time.time()))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    seen, figures = Seen.read(log), RunDirectory(where).limits()
    assert figures is not None
    files = [where / "control" / f"{number:06d}.json" for number in (1, 2, 3)]
    lowered, paused, resumed = (file.stat().st_mtime - began for file in files)
    return {
        "use, 30 to 70 s": round(seen.use(30, DOUBLED) / 20, 3),
        "refused": f"{seen.refused(30, DOUBLED):.2%}",
        "doubled: 80 % after": seen.until_used(0.8, 40, DOUBLED, HALVED),
        "refused then": f"{seen.refused(DOUBLED, HALVED):.2%}",
        "halved: refused": f"{seen.refused(HALVED, ASKED):.2%}",
        "followed after": _followed(seen),
        "use, 120 to 140 s": round(seen.use(HALVED + 10, ASKED) / 20, 3),
        "8 at most after": seen.until_at_most(8, lowered, paused),
        "paused after": _last_between(seen, paused, resumed),
        "cuts": sum(each["cause"] == "cut" for each in figures["changes"]),
        "requests": len(seen.times),
    }


_PLAN = (
    (ASKED, "--max-concurrency", "8"),
    (PAUSED, "--pause"),
    (RESUMED, "--resume", "--max-concurrency", "100"),
)


def _last_between(seen: Seen, begin: float, end: float) -> float:
    """Seconds from `begin` to the last request before `end`."""
    within = [at for at in seen.times if begin <= at < end]
    return round(max(within, default=begin) - begin, 2)


def _followed(seen: Seen) -> float:
    """Seconds after the capacity was halved to the end of the last half in which over 3 % were refused."""
    halves = (HALVED + place / 2 for place in range(20))
    bad = [at for at in halves if seen.refused(at, at + 0.5) > 0.03]
    return max(bad, default=HALVED - 0.5) + 0.5 - HALVED


def maker(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "maker", *words], cwd=ROOT, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
