"""One request for the votes of a step, or one each: what that costs and how long a step then takes.

    python -m benchmarks.requests

An endpoint of ours answers Hanoi prompts; each answer takes a lognormal time of 50 ms in the mean, and a
request for several is answered when the slowest is ready, or streamed each when it is. One chain of 255 steps
(eight disks), k = 3, 2 wrong answers in a thousand, one temperature for all draws. A call's mean latency is
the unit of time.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import maker
from benchmarks.chat_server import served
from benchmarks.record import keep

MEAN = 0.05
"""Seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--disks", type=int, default=8)
    parser.add_argument("--sigma", type=float, default=0.5)
    asked = parser.parse_args()
    rows = []
    with served(mean=MEAN, sigma=asked.sigma) as url:
        for window in (1, 8):
            for requests in ("grouped", "single", "streamed"):
                ended = [_run(url, asked.disks, window, requests) for _ in range(asked.runs)]
                rows.append({"sigma": asked.sigma, "window": window, "requests": requests, **_figures(ended)})
    keep("requests", rows, f"python -m benchmarks.requests --sigma {asked.sigma} --runs {asked.runs}")


def _figures(ended: list[maker.RunResult]) -> dict[str, float]:
    took = [each.seconds / each.steps / MEAN for each in ended]
    return {
        "latencies/step": round(median(took), 2),
        "min": round(min(took), 2),
        "max": round(max(took), 2),
        "prompt tokens/step": round(median(each.tokens_in / each.steps for each in ended)),
        "samples/step": round(median(each.samples / each.steps for each in ended), 3),
    }


def _run(url: str, disks: int, window: int, requests: Any) -> maker.RunResult:
    with tempfile.TemporaryDirectory() as folder:
        ended = maker.run(
            "hanoi",
            params={"disks": disks},
            model="openai:hanoi,temperature=0.1,client=aiohttp",
            base_url=url,
            window=window,
            requests=requests,
            engine="inline",
            workers=1,
            run_dir=Path(folder) / "run",
        )
    assert ended.verified, ended.reason
    return ended


if __name__ == "__main__":
    main()
