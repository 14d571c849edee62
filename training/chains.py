"""Plays whole runs with the shipped weights, first to ahead by k, in a plain loop: no journal, no engine.

`python -m training.chains FILE.json --disks 10 --seeds 20 --temperatures 1.0 1.5 --leads 1 3 4`.
Invariant: the next state is always the voted one, never computed; a run ends at its first wrong
decision. Read next: `evaluate.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maker.decomposers.hanoi import path, wording
from maker.nouns import RedFlag
from maker.workers.embedded import fill
from maker.workers.embedded.dialects.hanoi import DIALECT
from maker.workers.embedded.drawing import Asked, Draw
from maker.workers.embedded.transformer import CONTEXT

MOST = 200
"""Draws of one step, after which it is undecided and the run has failed."""


@dataclass(slots=True)
class Chain:
    disks: int
    k: int
    temperature: float
    seed: int
    pegs: path.Pegs = field(default_factory=list)
    previous: path.Move | None = None
    steps: int = 0
    votes: Counter[str] = field(default_factory=Counter)
    drawn: int = 0
    """Draws of this step."""
    draws: int = 0
    flags: int = 0
    outvoted: int = 0
    ended: str = ""
    """`solved`, `wrong` or `undecided`."""

    def ask(self) -> Asked:
        """Exactly the deficit: k less the margin."""
        counts = [count for _, count in self.votes.most_common(2)] + [0, 0]
        wanted = self.k - (counts[0] - counts[1])
        seeds = [hash((self.seed, self.steps, self.drawn + i)) % 2**31 for i in range(wanted)]
        question = wording.question(self.disks, self.pegs, self.previous)
        prompt = DIALECT.template(question)
        assert prompt is not None
        return Asked(prompt, [Draw(self.temperature, seed) for seed in seeds], CONTEXT)

    def take(self, draws: list[Draw]) -> None:
        self.drawn += len(draws)
        for draw in draws:
            try:
                self.votes[json.dumps(wording.parse(DIALECT.words.decode(draw.tokens[:-1]), self.disks))] += 1
            except RedFlag:
                self.flags += 1
        ranked = [*self.votes.most_common(2), ("", 0), ("", 0)]
        if ranked[0][1] - ranked[1][1] >= self.k:
            self._decide(ranked[0][0])
        elif self.drawn >= MOST:
            self.ended = "undecided"

    def _decide(self, answer: str) -> None:
        move, pegs = json.loads(answer)
        right = path.next_move(self.pegs, self.previous)
        if [move, pegs] != [right, path.apply(self.pegs, right)]:
            self.ended = "wrong"
        self.draws += self.drawn
        self.outvoted += sum(self.votes.values()) - self.votes[answer]
        self.pegs, self.previous, self.steps = pegs, move, self.steps + 1
        self.votes, self.drawn = Counter(), 0
        if not self.ended and self.steps == (1 << self.disks) - 1:
            self.ended = "solved"


def play(disks: int, k: int, temperature: float, seeds: range) -> list[Chain]:
    chains = [Chain(disks, k, temperature, seed, path.pegs_after(disks, 0)) for seed in seeds]
    while running := [chain for chain in chains if not chain.ended]:
        asked = [chain.ask() for chain in running]
        fill(DIALECT, asked)
        for chain, one in zip(running, asked, strict=True):
            chain.take(one.draws)
    return chains


def report(disks: int, k: int, temperature: float, seeds: range) -> dict[str, Any]:
    begun = time.process_time()
    chains = play(disks, k, temperature, seeds)
    ends = Counter(chain.ended for chain in chains)
    steps = sum(chain.steps for chain in chains)
    return {
        "disks": disks, "temperature": temperature, "k": k, "runs": len(chains), "solved": ends["solved"],
        "undecided": ends["undecided"], "steps": steps, "draws": sum(chain.draws for chain in chains),
        "red_flags": sum(chain.flags for chain in chains),
        "outvoted": sum(chain.outvoted for chain in chains),
        "failed_at_steps": sorted(chain.steps for chain in chains if chain.ended != "solved"),
        "steps_per_core_second": round(steps / (time.process_time() - begun)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--disks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 1.5])
    parser.add_argument("--leads", type=int, nargs="+", default=[1, 3, 4])
    asked = parser.parse_args()
    lines = []
    for temperature in asked.temperatures:
        for k in asked.leads:
            lines.append(report(asked.disks, k, temperature, range(asked.seeds)))
            print(json.dumps(lines[-1]), flush=True)
    asked.file.write_text("[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n")


if __name__ == "__main__":
    main()
