"""Trains the embedded model: a main phase over fresh steps, then phases that dwell on the hard ones.

`python -m training.train FOLDER --seed 1` writes FOLDER/main.npz, mined1.npz, ... and a log line
every 100 steps. Held-out states (`data.held_out`) appear in no phase. The weights written are a
running average over the last few hundred steps. Read next: `evaluate.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from maker.workers.embedded.tokenizer import ANSWER, PAD
from training import data
from training.net import Net

BATCH = 64
AVERAGE = 0.998
"""Share of the old average kept at every step."""
EXHAUSTIVE = 15
"""Mining looks at every path state of runs of up to so many disks."""


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    steps: int
    rate: float
    """Highest learning rate; it ends at a hundredth of it, along a cosine."""
    path_share: float
    hard_share: float = 0.0
    """Of every batch, rows that the model was unsure of when the phase began."""
    curriculum: bool = False
    """Begin with at most 8 disks; all 20 from 30 % of the steps on."""


PHASES = (
    Phase("main", 11000, 3e-3, 0.45, curriculum=True),
    Phase("mined1", 1800, 6e-4, 0.45, hard_share=0.4),
    Phase("mined2", 1500, 5e-4, 0.6, hard_share=0.4),
)


# -- learning ----------------------------------------------------------------------------------------


def run(
    phase: Phase, net: Net, average: Net, seed: int, log: Callable[[str], None], save: Callable[[str], None]
) -> None:
    rng = np.random.default_rng([seed, sum(map(ord, phase.name))])
    hard = mine(average, rng) if phase.hard_share else np.empty((0, data.LENGTH), np.int64)
    log(f"{phase.name}: {len(hard)} hard rows")
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=phase.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    loss_of = torch.compile(lambda rows: answer_loss(net, rows))
    recent = []
    for step, rows in zip(range(phase.steps), batches(phase, hard, rng), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate(phase, step)
        optimizer.zero_grad()
        loss = loss_of(rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        follow(average, net, min(AVERAGE, step / (step + 10)) if phase.curriculum else AVERAGE)
        recent.append(loss.item())
        if step % 100 == 99:
            log(f"{phase.name} {step + 1} loss {sum(recent) / len(recent):.5f} rate {rate(phase, step):.6f}")
            recent.clear()
        if step % 1000 == 999:
            save(f"{phase.name}-{step + 1}")
    save(phase.name)


def rate(phase: Phase, step: int) -> float:
    done = step / phase.steps
    return phase.rate * min(1.0, (step + 1) / 200) * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def answer_loss(net: Net, rows: Tensor) -> Tensor:
    """Cross-entropy of the answer's tokens; the prompt's are given, not learned."""
    answered = (rows == ANSWER).cumsum(1)[:, :-1] > 0
    wanted = torch.where(answered, rows[:, 1:], PAD)
    return F.cross_entropy(net(rows[:, :-1]).reshape(-1, 64), wanted.reshape(-1), ignore_index=PAD)


def follow(average: Net, net: Net, keep: float) -> None:
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - keep)


def batches(phase: Phase, hard: data.Ints, rng: np.random.Generator) -> Iterator[Tensor]:
    """Batches without end: fresh rows made 50 batches at a time, and hard ones among them."""
    step, few = 0, int(BATCH * phase.hard_share) if len(hard) else 0
    while True:
        done = step / phase.steps
        most = min(20, 8 + int(12 * done / 0.3)) if phase.curriculum else 20
        fresh = np.concatenate([data.rows(s) for s in data.batch_of_steps(rng, 4000, most, phase.path_share)])
        rng.shuffle(fresh)
        for at in range(0, 50 * (BATCH - few), BATCH - few):
            chosen = hard[rng.integers(0, len(hard), few)] if few else hard[:0]
            yield torch.from_numpy(np.concatenate([fresh[at : at + BATCH - few], chosen]))
            step += 1


# -- mining ------------------------------------------------------------------------------------------


def mine(net: Net, rng: np.random.Generator, limit: float = 0.97) -> data.Ints:
    """Rows whose right answer has a chance below the limit, at temperature 1."""
    hard = []
    for steps in doubtful_pool(rng):
        kept = data.rows(steps.take(~data.held_out(steps)))
        hard.append(kept[chances(net, kept) < limit])
    return np.concatenate(hard)


def doubtful_pool(rng: np.random.Generator) -> Iterator[data.Steps]:
    """Every path state of 1 to 15 disks, random path states of 16 to 20, random and tall-pegged states."""
    for disks in range(1, EXHAUSTIVE + 1):
        yield data.path(disks, np.arange((1 << disks) - 1))
    for disks in range(EXHAUSTIVE + 1, 21):
        yield data.draw(rng, "path", disks, 8000)
    for disks in range(3, 21):
        yield data.draw(rng, "sticky", disks, 100 * disks)
        yield data.draw(rng, "uniform", disks, 40 * disks)


def chances(net: Net, rows: data.Ints, temperature: float = 1.0) -> np.ndarray:
    """The exact probability of every row's answer, teacher-forced."""
    found = []
    with torch.no_grad():
        for at in range(0, len(rows), 512):
            part = torch.from_numpy(rows[at : at + 512, : int((rows[at : at + 512] != PAD).sum(1).max())])
            logs = F.log_softmax(net(part[:, :-1]) / temperature, -1)
            logs = logs.gather(-1, part[:, 1:, None])[..., 0]
            counts = ((part == ANSWER).cumsum(1)[:, :-1] > 0) & (part[:, 1:] != PAD)
            found.append((logs * counts).sum(1).exp().numpy())
    return np.concatenate(found)


# -- the command -------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default=",".join(phase.name for phase in PHASES))
    parser.add_argument("--start", type=Path, help="weights to begin with, for later phases alone")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(asked.seed)
    net, average = Net(), Net()
    if asked.start:
        net.load(np.load(asked.start))
    average.load(net.arrays())

    def log(line: str) -> None:
        with (asked.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"cpu_s": round(time.process_time(), 1), "line": line}) + "\n")

    for phase in PHASES:
        if phase.name in asked.phases.split(","):
            run(
                phase,
                net,
                average,
                asked.seed,
                log,
                lambda name: np.savez(asked.folder / name, **average.arrays()),
            )


if __name__ == "__main__":
    main()
