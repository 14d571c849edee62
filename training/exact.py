"""What a model does at each question: exact chances by one teacher-forced pass, and answers drawn and parsed.

Numpy only. Invariant: nothing is measured but the shipped weights, with the parser of the task itself.
Read next: `evaluate.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maker.nouns import Json, RedFlag
from maker.workers.embedded import fill, load
from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.drawing import Asked, Draw
from maker.workers.embedded.transformer import CONTEXT, Cache
from maker.workers.embedded.vocabulary import ANSWER, EOS, PAD
from training.lesson import Ints

Floats = NDArray[np.float64]
LEADS = (1, 3, 4, 6)
"""Values of k."""


# -- exact, by one pass over the right answer ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exact:
    """What the model does at each step, were it asked without end."""

    right: Floats
    """Probability of the whole right answer."""
    rival: Floats
    """From above, the probability of the likeliest wrong answer: that of the likeliest way to leave."""
    greedy: NDArray[np.bool_]
    """The likeliest token is the right one all along."""
    wrong: dict[int, Floats]
    """By k: probability of a wrong decision, from above: no wrong answer is taken for malformed."""


def exact(dialect: Dialect, rows: Ints, temperature: float, number: int = 1) -> Exact:
    """number: of the set of weights."""
    parts = [_exact(dialect, rows[at : at + 64], temperature, number) for at in range(0, len(rows), 64)]
    return Exact(
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.rival for part in parts]),
        np.concatenate([part.greedy for part in parts]),
        {k: np.concatenate([part.wrong[k] for part in parts]) for k in LEADS},
    )


def _exact(dialect: Dialect, rows: Ints, temperature: float, number: int) -> Exact:
    begin, end = int((rows == ANSWER).argmax(1).min()), int((rows != PAD).sum(1).max())
    logits, wanted = teacher_forced(dialect, rows[:, : end - 1], begin, number), rows[:, begin + 1 : end]
    counts = ((rows == ANSWER).cumsum(1)[:, begin : end - 1] > 0) & (wanted != PAD)
    chances = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    chances /= chances.sum(-1, keepdims=True)
    here = np.where(counts, np.take_along_axis(chances, wanted[..., None], -1)[..., 0], 1.0)
    after = here.cumprod(1)
    before = np.concatenate([np.ones((len(rows), 1)), after[:, :-1]], axis=1)
    np.put_along_axis(chances, wanted[..., None], 0.0, -1)
    leaves = (chances * (before * counts)[..., None]).reshape(len(rows), -1)
    right = after[:, -1]
    greedy = ((logits.argmax(-1) == wanted) | ~counts).all(1)
    return Exact(right, leaves.max(1), greedy, {k: _wrong_decisions(right, leaves, k) for k in LEADS})


def teacher_forced(dialect: Dialect, tokens: Ints, begin: int, number: int = 1) -> Floats:
    """Logits after every token from `begin` on."""
    model, wanted = load(dialect, number), np.arange(begin, tokens.shape[1])[None].repeat(len(tokens), 0)
    cache = Cache(model.layers, len(tokens))
    return model.logits(tokens, np.zeros(len(tokens), np.int64), wanted, cache).astype(np.float64)


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


def answers(
    dialect: Dialect,
    rows: Ints,
    parse: Callable[[str, str], Json],
    temperature: float,
    count: int,
    seed: int,
    number: int = 1,
) -> list[Counter[str]]:
    """For every row, how often each outcome came: `right`, `malformed`, or the text of a wrong answer.

    parse: the task's parser, of a question as the model sees it and a response to it. number: of the set of
    weights.
    """
    asked, wanted = [], []
    for place, row in enumerate(rows.tolist()):
        cut = row.index(ANSWER) + 1
        draws = [Draw(temperature, (seed * 1_000_003 + place) * count + i) for i in range(count)]
        asked.append(Asked(row[:cut], draws, CONTEXT))
        wanted.append(dialect.words.decode(row[cut : row.index(EOS)]))
    for at in range(0, len(asked), 32):
        fill(dialect, asked[at : at + 32], number=number)
    return [_outcomes(dialect, one, text, parse) for one, text in zip(asked, wanted, strict=True)]


def _outcomes(dialect: Dialect, asked: Asked, right: str, parse: Callable[[str, str], Json]) -> Counter[str]:
    question = dialect.words.decode(asked.prompt[1:-1])
    expected = parse(question, right)
    return Counter(
        _outcome(question, dialect.words.decode(draw.tokens[:-1]), expected, parse) for draw in asked.draws
    )


def _outcome(question: str, text: str, right: Json, parse: Callable[[str, str], Json]) -> str:
    try:
        answer = parse(question, text)
    except RedFlag as flag:
        return flag.reason
    return "right" if answer == right else str(answer)


def majority_wrong(seen: Counter[str]) -> bool:
    """Some wrong answer is at least as frequent as the right one."""
    return any(seen[key] >= seen["right"] for key in seen if key not in ("right", "malformed"))
