"""How fast the embedded model draws, beside plain numpy with a KV cache: `python -m benchmarks.embedded`.

Steps per second of CPU at 20 disks, three draws a step, temperature 1.0, steps from the middle of the path;
medians of five rounds, in each of which every way runs once. `plain` is the same transformer as it is usually
written, all draws of a step in one batch: the prompt first, then a token a pass. It draws the same texts, and
that is checked. `draw` is `Embedded.draw`; `run` is `maker.run` inline with its journal. BLAS has one thread.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is loaded: with two, threads of `plain` wait and spin

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

import maker
from benchmarks.record import keep
from maker.decomposers.hanoi import Hanoi, path
from maker.model import Request
from maker.nouns import Prompt, Seat, Step
from maker.workers.embedded import Embedded, chance, weights
from maker.workers.embedded.dialects import find
from maker.workers.embedded.dialects.hanoi import WORDS
from maker.workers.embedded.vocabulary import EOS
from maker.workers.embedded.weights import Array

Ints = NDArray[np.int64]

DISKS, K, STEPS, ROUNDS = 20, 3, 640, 5
FIRST = 2**DISKS // 3
CHAINS = 64
SEEDS = [[K * number + draw for draw in range(K)] for number in range(STEPS)]


def main() -> None:
    prompts = [prompt(FIRST + number) for number in range(STEPS)]
    ways: dict[tuple[str, int], Callable[[], list[str]]] = {
        ("plain, a draw at a time", 1): lambda: plain(prompts, 1, 1),
        ("plain", 1): lambda: plain(prompts, 1, K),
        ("plain", CHAINS): lambda: plain(prompts, CHAINS, K),
        ("draw", 1): lambda: asyncio.run(draw(prompts, 1)),
        ("draw", CHAINS): lambda: asyncio.run(draw(prompts, CHAINS)),
        ("run", 1): lambda: run(1),
        ("run", CHAINS): lambda: run(CHAINS),
    }
    run(1)  # once before, for what a process loads only once
    rates: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    texts: dict[tuple[str, int], list[str]] = {}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            begun = time.process_time()
            texts[way] = work()
            rates[way].append(STEPS / (time.process_time() - begun))
    drawn = [texts[way] for way in ways if way[0] != "run"]
    same = sum(one == other for each in drawn[1:] for one, other in zip(drawn[0], each, strict=True))
    print(f"{same} of {4 * K * STEPS} texts are the same as those of plain numpy, a draw at a time")
    base = {chains: median(rates["plain", chains]) for chains in (1, CHAINS)}
    rows = [
        {
            "way": way,
            "chains": chains,
            "steps per core-second": round(median(found)),
            "from": round(min(found)),
            "to": round(max(found)),
            "times plain": round(median(found) / base[chains], 2),
        }
        for (way, chains), found in rates.items()
    ]
    keep("embedded", rows, "python -m benchmarks.embedded")


def prompt(moves: int) -> Prompt:
    state = {"pegs": path.pegs_after(DISKS, moves), "previous": path.move_number(DISKS, moves)}
    asked = Hanoi(DISKS).prompt(Step("0", 0, state))
    assert asked is not None
    return asked


# -- ours ----------------------------------------------------------------------------------------------


async def draw(prompts: Sequence[Prompt], chains: int) -> list[str]:
    model, texts = Embedded(), [[""]] * len(prompts)

    async def chain(which: range) -> None:
        for number in which:
            seats = tuple(Seat(draw, model.name, None, seed) for draw, seed in enumerate(SEEDS[number]))
            asked = Request(Step("0", number, None), prompts[number], seats)
            texts[number] = [sample.text async for sample in model.draw(asked)]

    await asyncio.gather(*(chain(each) for each in shares(chains)))
    return [text for each in texts for text in each]


def shares(chains: int) -> list[range]:
    """The steps that each chain goes, one after another."""
    each = STEPS // chains
    return [range(each * number, each * (number + 1)) for number in range(chains)]


def run(chains: int) -> list[str]:
    params = {"disks": DISKS, "first": FIRST, "last": FIRST + STEPS, "waypoints": chains}
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "run"
        ended = maker.run("hanoi", params=params, model="embedded", k=K, engine="inline", run_dir=where)
    assert (ended.verified, ended.steps) == (True, STEPS)
    return []


# -- plain numpy ---------------------------------------------------------------------------------------

HELD = weights.read(weights.shipped("hanoi"))
LAYERS, WIDTH, HEADS, ROOM = len(HELD["qkv"]), 64, 2, 64
SIZE = WIDTH // HEADS
QKV, GATE_UP = (
    held * HELD[gain][..., None]
    for held, gain in ((HELD["qkv"], "attention_norm"), (HELD["gate_up"], "mlp_norm"))
)
QKV[..., :WIDTH] *= SIZE**-0.5
HEAD = np.ascontiguousarray((HELD["embed"] * HELD["norm"]).T)
ANGLES = np.outer(np.arange(ROOM), np.tile(10000.0 ** (-np.arange(SIZE // 2) / (SIZE // 2)), 2))
COS = np.cos(ANGLES).astype(np.float32)
SIN = (np.sin(ANGLES) * np.repeat([-1, 1], SIZE // 2)).astype(np.float32)
MASK = np.triu(np.full((ROOM, ROOM), -np.inf, np.float32), 1)


def plain(prompts: Sequence[Prompt], chains: int, together: int) -> list[str]:
    """`together` draws of each of `chains` prompts in a batch, all of the same length."""
    texts, asked = [""] * (K * STEPS), [find(each.messages)[1] for each in prompts]
    lanes = shares(chains)
    for step in range(len(lanes[0])):
        numbers = [lane[step] for lane in lanes]
        for first in range(0, K, together):
            seats = [K * number + first + draw for number in numbers for draw in range(together)]
            for seat, text in zip(seats, said([asked[n] for n in numbers], together, seats), strict=True):
                texts[seat] = text
    return texts


def said(asked: list[list[int]], together: int, seats: list[int]) -> list[str]:
    """Responses by each seat to its prompt; the seats of a prompt stand together."""
    begin, count = len(asked[0]), len(seats)
    cache = np.zeros((LAYERS, 2, len(asked), HEADS, ROOM, SIZE), np.float32)
    logits = forward(np.array(asked), 0, cache).repeat(together, 0)
    cache = cache.repeat(together, 2)
    numbers, tokens = chance.uniforms(seats, ROOM), np.zeros((count, ROOM - begin), np.int64)
    going = np.ones(count, bool)
    for at in range(ROOM - begin):
        above = np.exp((logits - logits.max(-1, keepdims=True)).astype(float)).cumsum(-1)
        tokens[:, at] = (above <= numbers[:, at, None] * above[:, -1:]).sum(-1)
        going &= tokens[:, at] != EOS
        if not going.any() or begin + at + 1 == ROOM:
            break
        logits = forward(tokens[:, at, None], begin + at, cache)
    return [WORDS.decode(row[: row.index(EOS)]) if EOS in row else "" for row in tokens.tolist()]


def forward(tokens: Ints, begin: int, cache: Array) -> Array:
    """What stands after the last token of each row; every row goes on at the same position."""
    rows, chunk = tokens.shape
    end = begin + chunk
    cos, sin, mask = COS[begin:end], SIN[begin:end], MASK[begin:end, :end]
    x = HELD["embed"][tokens.ravel()]
    for layer in range(LAYERS):
        made = (normal(x) @ QKV[layer]).reshape(rows, chunk, 3, HEADS, SIZE).transpose(2, 0, 3, 1, 4)
        swapped = np.concatenate([made[:2, ..., SIZE // 2 :], made[:2, ..., : SIZE // 2]], -1)
        queries, cache[layer, 0, :, :, begin:end] = made[:2] * cos + swapped * sin
        cache[layer, 1, :, :, begin:end] = made[2]
        keys, values = cache[layer, :, :, :, :end]
        scores = queries @ keys.transpose(0, 1, 3, 2)
        if chunk > 1:
            scores += mask
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        mixed = scores @ values
        mixed /= scores.sum(-1, keepdims=True)
        x = x + mixed.transpose(0, 2, 1, 3).reshape(-1, WIDTH) @ HELD["out"][layer]
        both = normal(x) @ GATE_UP[layer]
        gate, up = both[:, : both.shape[1] // 2], both[:, both.shape[1] // 2 :]
        x += (gate / (1 + np.exp(-gate)) * up) @ HELD["down"][layer]
    return normal(x.reshape(rows, chunk, WIDTH)[:, -1]) @ HEAD


def normal(x: Array) -> Array:
    """Its gain is in the matrix behind it."""
    return x / np.sqrt(np.einsum("td,td->t", x, x)[:, None] / np.float32(WIDTH) + np.float32(1e-5))


if __name__ == "__main__":
    main()
