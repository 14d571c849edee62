"""What the train loop needs of a dialect: rows of tokens without end, and a pool to look for hard ones in.

It makes no questions itself. Invariant: a row is the template's prompt followed by the answer and the end
mark, padded on the right, and no row of `fresh` or `pool` is held out. Read next: `lessons/arithmetic.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.vocabulary import EOS, PAD

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    steps: int
    rate: float
    """Highest learning rate; it ends at a hundredth of it, along a cosine."""
    hard_share: float = 0.0
    """Of every batch, rows that the model was unsure of when the phase began."""


@dataclass(frozen=True, slots=True)
class Lesson:
    dialect: Dialect
    layers: int
    batch: int
    """Rows of one step."""
    phases: tuple[Phase, ...]
    fresh: Callable[[np.random.Generator, int, str, float], Ints]
    """About so many rows, for the phase of this name, when so much (0 to 1) of it is done."""
    pool: Callable[[np.random.Generator], Iterator[Ints]]
    """Rows among which a later phase finds the hard ones."""


# -- questions written as text -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    question: str
    answer: str
    key: str | None
    """Equal for questions that only differ in an order that does not matter; None: never held out."""

    @property
    def held_out(self) -> bool:
        """True for the 2 % of keys that no training row is ever made of."""
        return self.key is not None and zlib.crc32(self.key.encode()) % 50 == 0


def rows(dialect: Dialect, problems: Iterable[Problem], length: int) -> Ints:
    """Prompt, answer and end mark of every problem, padded to the length."""
    texts = [_row(dialect, problem) for problem in problems]
    full = np.full((len(texts), length), PAD)
    for row, tokens in zip(full, texts, strict=True):
        row[: len(tokens)] = tokens
    return full


def _row(dialect: Dialect, problem: Problem) -> list[int]:
    prompt = dialect.template(problem.question)
    if prompt is None:
        raise ValueError(f"not a question: {problem.question!r}")
    return [*prompt, *dialect.words.encode(problem.answer), EOS]
