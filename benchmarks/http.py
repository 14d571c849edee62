"""What a step costs over HTTP, beside its requests alone: `python -m benchmarks.http`.

An endpoint of ours on loopback, in a process of its own on another core, answers Hanoi prompts, 2 in a
thousand wrongly; k = 3. CPU time is this process's, journal included. In every round each way is taken once:

    serial       the paper's Algorithms 1-3 with the openai package, a request a vote (benchmarks/serial.py)
    raw          the client alone, with the same bodies and n: what no run can surpass
    maker        a run, inline, of one chain or of many

With one temperature for all draws the three votes of a step are one request; with the paper's (0 for the
first, 0.1 for the others) they are two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
from openai import AsyncOpenAI, OpenAI

import maker
from benchmarks.chat_server import served
from benchmarks.record import keep
from benchmarks.serial import generate_solution
from maker.decomposers.hanoi import Hanoi
from maker.nouns import Step
from maker.workers.openai_chat.request import fields

K = 3
SERIAL_STEPS = 255
"""It is slow, and each step is like the others."""


@dataclass(frozen=True)
class Way:
    name: str
    client: str
    requests: str
    chains: int
    walk: Callable[[], int]
    """Goes a number of steps."""


@dataclass(frozen=True)
class Setting:
    url: str
    disks: int

    def ways(self, chains: int) -> list[Way]:
        task, found = Hanoi(self.disks), []
        plain = OpenAI(api_key="none", base_url=self.url, max_retries=0)
        found.append(Way("serial", "openai", "a vote each", 1, lambda: self.serial(plain, task)))
        for many in (1, chains):
            found.append(Way("raw", "openai", "n=3", many, lambda many=many: self.raw("openai", many)))
            found.append(Way("raw", "aiohttp", "n=3", many, lambda many=many: self.raw("aiohttp", many)))
            for client in ("openai", "aiohttp"):
                for requests, options in (
                    ("grouped", ",temperature=0.1"),
                    ("grouped, paper's T", ""),
                    ("single", ",temperature=0.1"),
                ):
                    model = f"openai:hanoi,client={client}{options}"
                    how = (model, requests.partition(",")[0], many)
                    found.append(Way("maker", client, requests, many, lambda how=how: self.run(*how)))
        return found

    def serial(self, client: OpenAI, task: Hanoi) -> int:
        return generate_solution(client, task, K, SERIAL_STEPS).index

    def run(self, model: str, requests: Any, chains: int) -> int:
        with tempfile.TemporaryDirectory() as folder:
            ended = maker.run(
                "hanoi",
                params={"disks": self.disks, "waypoints": chains},
                model=model,
                base_url=self.url,
                requests=requests,
                k=K,
                engine="inline",
                workers=1,
                run_dir=Path(folder) / "run",
            )
        assert ended.verified, ended.reason
        return ended.steps

    def raw(self, client: str, chains: int) -> int:
        bodies = _bodies(self.disks)
        ask = _asked_by_openai if client == "openai" else _asked_by_aiohttp
        asyncio.run(ask(self.url, bodies, chains))
        return len(bodies)


def _bodies(disks: int) -> list[dict[str, Any]]:
    """What a run asks for, step by step, where all three votes are one request."""
    task, bodies = Hanoi(disks), []
    step = Step("0", 0, next(iter(task.segments())).state)
    while prompt := task.prompt(step):
        bodies.append({**fields("hanoi", prompt, 0.1, "max_tokens"), "n": K})
        step = Step("0", step.index + 1, task.advance(step, task.parse(step, task.truth(step))))
    return bodies


async def _asked_by_openai(url: str, bodies: list[dict[str, Any]], chains: int) -> None:
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

        async def one(mine: list[dict[str, Any]]) -> None:
            for body in mine:
                response = await client.chat.completions.create(**body)
                assert len(response.choices) == K

        await asyncio.gather(*(one(bodies[chain::chains]) for chain in range(chains)))


async def _asked_by_aiohttp(url: str, bodies: list[dict[str, Any]], chains: int) -> None:
    address, headers = f"{url}/chat/completions", {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

        async def one(mine: list[dict[str, Any]]) -> None:
            for body in mine:
                content = json.dumps(body).encode()
                async with client.post(address, data=content, headers=headers) as response:
                    assert len(json.loads(await response.read())["choices"]) == K

        await asyncio.gather(*(one(bodies[chain::chains]) for chain in range(chains)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http")
    parser.add_argument("--disks", type=int, default=12)
    parser.add_argument("--chains", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--uvloop", action="store_true", help="With uvloop as the event loop.")
    asked = parser.parse_args()
    if asked.uvloop:
        import uvloop  # type: ignore[import-not-found]

        uvloop.install()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with served(error=0.002) as url:
        rows = measured(Setting(url, asked.disks).ways(asked.chains), asked.rounds)
    name = "http-uvloop" if asked.uvloop else "http"
    keep(name, rows, f"python -m benchmarks.http{' --uvloop' if asked.uvloop else ''}")


def measured(ways: list[Way], rounds: int) -> list[dict[str, Any]]:
    """A row for each way: CPU microseconds a step, also beside the serial way and the raw client."""
    spent: dict[Way, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways:
            began = time.process_time()
            steps = way.walk()
            if number:  # the first warms up
                spent[way].append((time.process_time() - began) / steps * 1e6)
    cost = {way: median(each) for way, each in spent.items()}
    base = cost[ways[0]]
    raw = {(way.client, way.chains): cost[way] for way in ways if way.name == "raw"}
    return [
        {
            "way": way.name,
            "client": way.client,
            "requests": way.requests,
            "chains": way.chains,
            "us/step": round(cost[way]),
            "min": round(min(spent[way])),
            "max": round(max(spent[way])),
            "steps/core-s": round(1e6 / cost[way]),
            "x serial": round(base / cost[way], 2),
            "% of raw": round(100 * raw[way.client, way.chains] / cost[way]) if way.name == "maker" else "",
        }
        for way in ways
    ]


if __name__ == "__main__":
    main()
