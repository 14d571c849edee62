"""The only randomness of the embedded model: which token a seat takes, given logits and its own seed.

Nothing is cut off (no top-k, no top-p), so the temperature means what it says. Invariant: a seat's
numbers depend on its seed and the token's index alone, never on who else is in the batch.
Read next: `drawing.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maker.workers.embedded.weights import Array

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def uniforms(seeds: list[int], count: int) -> Floats:
    """Numbers in [0, 1) for the first tokens of every seed: SplitMix64, a counter and a hash of it."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    mixed = (
        _mix(np.array(seeds, np.uint64) * golden)[:, None] + np.arange(1, count + 1, dtype=np.uint64) * golden
    )
    return (_mix(mixed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def heights(logits: Array, temperatures: Floats) -> Floats:
    """The distribution function of each next token, not normed: it ends at some height above 0.

    logits: rows by positions by tokens. temperatures: one a row; at 0 all of it is the likeliest token's.
    """
    heat = np.where(temperatures > 0, temperatures, 1.0)[:, None, None]
    above: Floats = np.exp((logits - logits.max(-1, keepdims=True)) / heat).cumsum(-1)
    if temperatures.all():
        return above
    step = np.arange(logits.shape[-1]) >= logits.argmax(-1)[..., None]
    made: Floats = np.where(temperatures[:, None, None] > 0, above, step)
    return made


def choose(heights: Floats, numbers: Floats) -> Ints:
    """A token for every row and position: where a number in [0, 1) falls in the distribution function."""
    drawn: Ints = (heights <= numbers[..., None] * heights[..., -1:]).sum(-1)
    return drawn


def log_chances(logits: Array) -> Array:
    """The natural logarithm of every token's probability at temperature 1."""
    made: Array = logits - logits.max(-1, keepdims=True)
    made -= np.log(np.exp(made).sum(-1, keepdims=True))
    return made
