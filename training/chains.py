"""Plays whole Hanoi runs with the shipped weights, many seeds at a time: no journal, no engine.

    python -m training.chains FILE.jsonl --temperatures 1.5 2.0 --leads 1 3 4 --seeds 20
    python -m training.chains FILE.jsonl --sets 1 2 3              # a panel of three sets of weights

Each run is Maker's own chain, whose steps come from the voted answers. Invariant: a run ends at its first
wrong decision. What is kept of a step is its ballot in the order of its draws: R for the right answer,
F for a flag, a, b, c for other answers. Read next: `benchmarks/law.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maker.chain import Chain, Commit, Park, Wish
from maker.decomposers.hanoi import Hanoi
from maker.model import Model, Request
from maker.nouns import Sample, Tally
from maker.panel import Member, Panel
from maker.task import Task
from maker.voters import AheadByK, Truncated
from maker.voting import Draw
from maker.workers.embedded import Embedded

MOST = 200
"""Draws of one step, after which it is undecided and the run has failed."""


@dataclass(slots=True)
class Played:
    """How one run went."""

    ended: str = ""
    """`solved`, `wrong` or `undecided`."""
    steps: int = 0
    """That were decided right."""
    ballots: Counter[str] = field(default_factory=Counter)
    """How often which ballot came, the wrong decision's too."""


async def play(hanoi: Hanoi, panel: Panel, models: Mapping[str, Model]) -> Played:
    played, task = Played(), Task(hanoi, "hanoi")
    chain = Chain(task, panel, next(iter(task.segments())))
    wishes: list[Wish] = chain.start()
    while draws := [wish for wish in wishes if isinstance(wish, Draw)]:
        step = chain.step
        drawn = await asyncio.gather(*(_samples(draw, models[draw.model]) for draw in draws))
        wishes = chain.receive(*(sample for samples in drawn for sample in samples))
        if isinstance(wishes[0], Commit):
            tally, right = wishes[0].decision.tally, task.read(step, hanoi.truth(step))[0]
            played.ballots[ballot(tally, right)] += 1
            if tally.votes[0].key != right:
                played.ended = "wrong"
                return played
            played.steps += 1
    played.ended = "undecided" if isinstance(wishes[-1], Park) else "solved"
    return played


async def _samples(draw: Draw, model: Model) -> list[Sample]:
    return [sample async for sample in model.draw(Request(draw.step, draw.prompt, draw.seats))]


def ballot(tally: Tally, right: str) -> str:
    """The draws of a step in their order: R, F, or a, b, c in the order in which other answers came."""
    seen = {draw: votes.key for votes in tally.votes for draw in votes.draws}
    letters = {right: "R"}
    for draw in sorted(seen):
        letters.setdefault(seen[draw], chr(ord("a") + len(letters) - 1))
    flagged = {draw for flags in tally.flags for draw in flags.draws}
    return "".join("F" if draw in flagged else letters[seen[draw]] for draw in sorted({*seen, *flagged}))


# -- many seeds, all of them in one batch --------------------------------------------------------------


async def runs(disks: int, k: int, temperature: float, sets: Sequence[int], seeds: range) -> list[Played]:
    models = {model.name: model for model in (Embedded(temperature, number) for number in sets)}
    members = tuple(Member(name, model.temperatures) for name, model in models.items())
    panels = [Panel(AheadByK(k), members, Truncated(), MOST, seed) for seed in seeds]
    return await asyncio.gather(*(play(Hanoi(disks), panel, models) for panel in panels))


def report(disks: int, k: int, temperature: float, sets: Sequence[int], seeds: range) -> dict[str, Any]:
    begun = time.process_time()
    played = asyncio.run(runs(disks, k, temperature, sets, seeds))
    ends, ballots = Counter(run.ended for run in played), Counter[str]()
    for run in played:
        ballots.update(run.ballots)
    return {
        "disks": disks, "temperature": temperature, "k": k, "sets": list(sets),
        "seeds": [seeds.start, seeds.stop], "solved": ends["solved"], "undecided": ends["undecided"],
        "steps": sum(run.steps for run in played),
        "failed_at_steps": sorted(run.steps for run in played if run.ended != "solved"),
        "core_seconds": round(time.process_time() - begun, 1), "ballots": dict(ballots.most_common()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--disks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=20, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 1.5])
    parser.add_argument("--leads", type=int, nargs="+", default=[1, 3, 4])
    parser.add_argument("--sets", type=int, nargs="+", default=[1])
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    for temperature in asked.temperatures:
        for k in asked.leads:
            line = report(asked.disks, k, temperature, asked.sets, seeds)
            print(json.dumps({name: value for name, value in line.items() if name != "ballots"}), flush=True)
            with asked.file.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
