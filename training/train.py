"""Trains one set of weights: a main phase over fresh questions, then phases that dwell on the hard ones.

`python -m training.train sorting FOLDER --seed 1` writes FOLDER/main.npz, mined1.npz, ... and a log line
every 100 steps. Held-out questions appear in no phase. The weights written are a
running average over the last few hundred steps. Read next: `evaluate.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from maker.workers.embedded.vocabulary import ANSWER, PAD
from training.lesson import Ints, Lesson, Phase
from training.lessons import LESSONS
from training.net import Net

AVERAGE = 0.998
"""Share of the old average kept at every step."""

# -- learning ----------------------------------------------------------------------------------------


def run(
    lesson: Lesson,
    phase: Phase,
    net: Net,
    average: Net,
    seed: int,
    log: Callable[[str], None],
    save: Callable[[str], None],
) -> None:
    rng = np.random.default_rng([seed, sum(map(ord, phase.name))])
    hard = mine(lesson, average, rng) if phase.hard_share else None
    log(f"{phase.name}: {0 if hard is None else len(hard)} hard rows")
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=phase.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    loss_of = torch.compile(lambda rows: answer_loss(net, rows))
    recent = []
    for step, rows in zip(range(phase.steps), batches(lesson, phase, hard, rng), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate(phase, step)
        optimizer.zero_grad()
        loss = loss_of(rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        follow(average, net, AVERAGE if phase.hard_share else min(AVERAGE, step / (step + 10)))
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
    logits = net(rows[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=PAD)


def follow(average: Net, net: Net, keep: float) -> None:
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - keep)


def batches(lesson: Lesson, phase: Phase, hard: Ints | None, rng: np.random.Generator) -> Iterator[Tensor]:
    """Batches without end: fresh rows made 50 batches at a time, and hard ones among them."""
    step, few = 0, int(lesson.batch * phase.hard_share) if hard is not None and len(hard) else 0
    many = lesson.batch - few
    while True:
        fresh = lesson.fresh(rng, 50 * lesson.batch * 5 // 4, phase.name, step / phase.steps)
        rng.shuffle(fresh)
        for at in range(0, 50 * many, many):
            rows = fresh[at : at + many]
            if hard is not None and few:
                rows = np.concatenate([rows, hard[rng.integers(0, len(hard), few)]])
            yield torch.from_numpy(rows)
            step += 1


# -- mining ------------------------------------------------------------------------------------------


def mine(lesson: Lesson, net: Net, rng: np.random.Generator, limit: float = 0.97) -> Ints:
    """Rows whose right answer has a chance below the limit, at temperature 1."""
    return np.concatenate([rows[chances(net, rows) < limit] for rows in lesson.pool(rng)])


def chances(net: Net, rows: Ints, temperature: float = 1.0) -> np.ndarray:
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
    parser.add_argument("dialect", choices=LESSONS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", help="names with commas between, if not all")
    parser.add_argument("--start", type=Path, help="weights to begin with, for later phases alone")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(asked.seed)
    lesson = LESSONS[asked.dialect]
    net, average = (Net(len(lesson.dialect.words.texts), lesson.layers) for _ in range(2))
    if asked.start:
        net.load(np.load(asked.start))
    average.load(net.arrays())

    def log(line: str) -> None:
        with (asked.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"cpu_s": round(time.process_time(), 1), "line": line}) + "\n")

    def save(name: str) -> None:
        np.savez(asked.folder / name, **average.arrays())

    for phase in lesson.phases:
        if asked.phases is None or phase.name in asked.phases.split(","):
            run(lesson, phase, net, average, asked.seed, log, save)


if __name__ == "__main__":
    main()
