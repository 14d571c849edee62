"""Measures the shipped weights: exact chances by one teacher-forced pass, and answers drawn and parsed.

`python -m training.evaluate paths FILE.json` goes through the states of the shortest solutions (all of
them up to 15 disks); `... held-out FILE.json` draws 20 answers for states that were never trained on.
Numpy only. Invariant: nothing is measured but the shipped weights, with the paper's parser. Read
next: `chains.py`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maker.decomposers.hanoi import wording
from maker.nouns import RedFlag
from maker.workers.embedded import load
from maker.workers.embedded import tokenizer as t
from maker.workers.embedded.drawing import Asked, Draw, Drawing
from maker.workers.embedded.transformer import CONTEXT, Cache
from training import data

Floats = NDArray[np.float64]
LEADS = (1, 3, 4, 6)
"""Values of k."""


# -- exact, by one pass over the right answer ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exact:
    """What the model does at each step, were it asked without end."""

    right: Floats
    """Probability of the whole right answer."""
    greedy: NDArray[np.bool_]
    """The likeliest token is the right one all along."""
    wrong: dict[int, Floats]
    """By k: probability of a wrong decision, from above: no wrong answer is taken for malformed."""


def exact(rows: data.Ints, temperature: float) -> Exact:
    parts = [_exact(rows[at : at + 64], temperature) for at in range(0, len(rows), 64)]
    return Exact(
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.greedy for part in parts]),
        {k: np.concatenate([part.wrong[k] for part in parts]) for k in LEADS},
    )


def _exact(rows: data.Ints, temperature: float) -> Exact:
    begin, end = int((rows == t.ANSWER).argmax(1).min()), int((rows != t.PAD).sum(1).max())
    logits, wanted = _teacher_forced(rows[:, : end - 1], begin), rows[:, begin + 1 : end]
    counts = ((rows == t.ANSWER).cumsum(1)[:, begin : end - 1] > 0) & (wanted != t.PAD)
    chances = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    chances /= chances.sum(-1, keepdims=True)
    here = np.where(counts, np.take_along_axis(chances, wanted[..., None], -1)[..., 0], 1.0)
    after = here.cumprod(1)
    before = np.concatenate([np.ones((len(rows), 1)), after[:, :-1]], axis=1)
    np.put_along_axis(chances, wanted[..., None], 0.0, -1)
    leaves = (chances * (before * counts)[..., None]).reshape(len(rows), -1)
    right = after[:, -1]
    greedy = ((logits.argmax(-1) == wanted) | ~counts).all(1)
    return Exact(right, greedy, {k: _wrong_decisions(right, leaves, k) for k in LEADS})


def _teacher_forced(tokens: data.Ints, begin: int) -> Floats:
    model = load()
    hidden = model.hidden(tokens, np.zeros(len(tokens), np.int64), Cache(model.layers, len(tokens)))
    return model.logits(hidden[:, begin:]).astype(np.float64)


def _wrong_decisions(right: Floats, leaves: Floats, k: int) -> Floats:
    """Gambler's ruin against each way of leaving the right answer, added up.

    A wrong answer leaves the right one at one token, so `leaves` bounds each answer's probability q
    from above; it gets ahead by k first with probability 1 / (1 + (p / q)**k).
    """
    if k == 1:
        return 1 - right
    with np.errstate(divide="ignore", over="ignore"):
        ruin = 1 / (1 + (right[:, None] / leaves) ** k)
    return np.minimum(ruin.sum(1), 1.0)


# -- drawn and parsed ----------------------------------------------------------------------------------


def answers(rows: data.Ints, disks: int, temperature: float, count: int, seed: int) -> list[Counter[str]]:
    """For every row, how often each outcome came: `right`, `malformed`, or the text of a wrong answer."""
    asked, wanted = [], []
    for number, row in enumerate(rows.tolist()):
        cut = row.index(t.ANSWER) + 1
        draws = [Draw(temperature, (seed * 1_000_003 + number) * count + i) for i in range(count)]
        asked.append(Asked(row[:cut], draws, CONTEXT))
        wanted.append(t.decode(row[cut : row.index(t.EOS)]))
    for at in range(0, len(asked), 32):
        Drawing(load(), asked[at : at + 32]).run()
    return [
        Counter(outcome(t.decode(draw.tokens[:-1]), text, disks) for draw in one.draws)
        for one, text in zip(asked, wanted, strict=True)
    ]


def outcome(text: str, right: str, disks: int) -> str:
    try:
        answer = wording.parse(text, disks)
    except RedFlag as flag:
        return flag.reason
    return "right" if answer == wording.parse(right, disks) else str(answer)


def majority_wrong(seen: Counter[str]) -> bool:
    """Some wrong answer is at least as frequent as the right one."""
    return any(seen[key] >= seen["right"] for key in seen if key not in ("right", "malformed"))


# -- the reports ---------------------------------------------------------------------------------------


def paths(first: int = 1) -> Iterator[dict[str, Any]]:
    """Every state of the path up to 15 disks, 4,000 random ones above; doubtful ones are drawn 200 times."""
    rng = np.random.default_rng(2027)
    for disks in range(first, 21):
        every = (1 << disks) - 1
        steps = data.path(disks, np.arange(every) if disks <= 15 else rng.choice(every, 4000, replace=False))
        rows, unseen = data.rows(steps), data.held_out(steps)
        line: dict[str, Any] = {"disks": disks, "states": len(rows), "held_out": int(unseen.sum())}
        for temperature in (1.0, 1.5):
            found = exact(rows, temperature)
            line["greedy_wrong"] = int((~found.greedy).sum())
            line["greedy_wrong_held_out"] = int((~found.greedy & unseen).sum())
            line[f"T{temperature}"] = _path_line(found)
            doubtful = rows[found.right < 0.5]
            drawn = answers(doubtful, disks, temperature, 200, seed=1)
            line[f"T{temperature}"]["majority_wrong"] = sum(map(majority_wrong, drawn))
        yield line


def _path_line(found: Exact) -> dict[str, Any]:
    wrong = {f"k{k}": float(f"{found.wrong[k].sum():.3g}") for k in LEADS}
    return {"error": round(1 - float(found.right.mean()), 6), "expected_wrong_decisions": wrong}


def held_out(states: int = 1000, count: int = 20) -> Iterator[dict[str, Any]]:
    for kind in ("path", "uniform", "sticky"):
        groups = _held_out_rows(kind, states)
        for temperature in (0.1, 1.0, 1.5, 2.0):
            line = Counter[str]()
            right = [1 - exact(rows, temperature).right for _, rows in groups]
            for disks, rows in groups:
                for seen in answers(rows, disks, temperature, count, seed=disks):
                    line["states"] += 1
                    line["malformed"] += seen["malformed"]
                    line["wrong"] += count - seen["right"] - seen["malformed"]
                    line["majority_wrong"] += majority_wrong(seen)
            error = float(np.concatenate(right).mean())
            yield {
                "kind": kind,
                "temperature": temperature,
                "samples": count,
                "exact_error": round(error, 5),
                **line,
            }


def _held_out_rows(kind: str, states: int) -> list[tuple[int, data.Ints]]:
    """Distinct held-out states of 5 to 20 disks, about as many of each."""
    rng, groups = np.random.default_rng(2026), []
    for disks in range(data.SMALL, 21):
        steps = data.draw(rng, kind, disks, 100 * states // 16)
        rows = np.unique(data.rows(steps.take(data.held_out(steps))), axis=0)
        groups.append((disks, rng.permutation(rows)[: states // 16 + 1]))
    return [(disks, rows) for disks, rows in groups if len(rows)]


def main() -> None:
    reports: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {"paths": paths, "held-out": held_out}
    if len(sys.argv) != 3 or sys.argv[1] not in reports:
        sys.exit(__doc__)
    lines = []
    for line in reports[sys.argv[1]]():
        print(json.dumps(line), flush=True)
        lines.append(line)
    Path(sys.argv[2]).write_text("[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n")


if __name__ == "__main__":
    main()
