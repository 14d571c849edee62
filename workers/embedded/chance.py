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


def choose(logits: Array, temperatures: Floats, numbers: Floats) -> Ints:
    """A token for every seat and position: the inverse of the distribution function; 0 takes the likeliest.

    logits: seats by positions by tokens. temperatures: one a seat. numbers: seats by positions.
    """
    likeliest: Ints = logits.argmax(-1)
    if not temperatures.any():
        return likeliest
    heat = np.where(temperatures > 0, temperatures, 1.0)[:, None, None]
    above = np.exp((logits - logits.max(-1, keepdims=True)) / heat).cumsum(-1)
    drawn: Ints = (above <= numbers[..., None] * above[..., -1:]).sum(-1)
    return drawn if temperatures.all() else np.where(temperatures[:, None] > 0, drawn, likeliest)


def log_chances(logits: Array, tokens: Ints) -> Floats:
    """The natural logarithm of every chosen token's probability at temperature 1."""
    highest = logits.max(-1)
    total = np.log(np.exp(logits - highest[..., None]).sum(-1))
    made: Floats = np.take_along_axis(logits, tokens[..., None], -1)[..., 0] - highest - total
    return made
