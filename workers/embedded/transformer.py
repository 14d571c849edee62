"""A Llama-shaped transformer in plain numpy, one pass over many rows that stand at different positions.

It gives logits and chooses nothing. Invariant: a row's logits depend on that row's own tokens alone,
whatever else is in the batch (up to float rounding). Constant factors (norm gains, the attention
scale, the halves of the rotary turn) are multiplied into the matrices once. Read next: `drawing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maker.workers.embedded.weights import Array

WIDTH, HEADS = 64, 2
SIZE = WIDTH // HEADS
"""Of one head."""
CONTEXT = 64
"""Most tokens that a prompt and its response may have together."""
_ROOM = 2 * CONTEXT  # padding behind a short row may reach past the context
_EPSILON, _THETA = 1e-5, 10000.0
_ALONE = 1 << 18
"""Multiplications up to which OpenBLAS keeps to one thread."""


class Cache:
    """Keys and values of every layer, row and position: the rows 0 to R - 1 of a pass are its first R."""

    def __init__(self, layers: int, rows: int) -> None:
        self._held = np.zeros((layers, rows, _ROOM, 2 * WIDTH), np.float32)

    def layer(self, layer: int) -> Array:
        held: Array = self._held[layer]
        return held

    def copy(self, source: int, target: int) -> None:
        if target >= self._held.shape[1]:
            self._held = np.concatenate([self._held, np.zeros_like(self._held)], axis=1)
        self._held[:, target] = self._held[:, source]


class Transformer:
    def __init__(self, weights: Mapping[str, Array]) -> None:
        self.layers = len(weights["qkv"])
        self._embed = weights["embed"]
        self._head = np.ascontiguousarray((weights["embed"] * weights["norm"]).T)
        self._qkv = [_with_turned(made) for made in weights["qkv"] * weights["attention_norm"][..., None]]
        self._gate_up = [_halved_gate(made) for made in weights["gate_up"] * weights["mlp_norm"][..., None]]
        self._out, self._down = weights["out"], weights["down"]
        self._cos, self._sin = _rotations()

    def hidden(self, tokens: NDArray[np.int64], begins: NDArray[np.int64], cache: Cache) -> Array:
        """What stands after each token, before the head.

        tokens: rows by chunk, padded behind. begins: the position of each row's first token; what the
        cache holds of a row before it is its past, what it holds from there on is overwritten.
        """
        at = begins[:, None] + np.arange(tokens.shape[1])
        seen = int(at[:, -1].max()) + 1
        mask = np.where(np.arange(seen) <= at[:, None, :, None], np.float32(0), np.float32(-np.inf))
        rows, cos, sin = np.arange(len(tokens))[:, None], self._cos[at], self._sin[at]
        x: Array = self._embed[tokens]
        for layer in range(self.layers):
            made = _times(_normal(x), self._qkv[layer])
            turned = made[..., : 3 * WIDTH] * cos
            turned[..., : 2 * WIDTH] += made[..., 3 * WIDTH :] * sin
            past = cache.layer(layer)[: len(tokens)]
            past[rows, at] = turned[..., WIDTH:]
            x = x + _times(_attend(turned[..., :WIDTH], past[:, :seen], mask), self._out[layer])
            x += _times(_gated(_times(_normal(x), self._gate_up[layer])), self._down[layer])
        return _normal(x)

    def logits(self, hidden: Array) -> Array:
        return _times(hidden, self._head)


# -- one layer's sums ----------------------------------------------------------------------------------


def _times(x: Array, matrix: Array) -> Array:
    """The product, in pieces that OpenBLAS does not share out: its threads starve on a busy machine."""
    flat = x.reshape(-1, x.shape[-1])
    made = np.empty((len(flat), matrix.shape[1]), np.float32)
    piece = _ALONE // matrix.size
    for at in range(0, len(flat), piece):
        np.matmul(flat[at : at + piece], matrix, out=made[at : at + piece])
    return made.reshape(*x.shape[:-1], matrix.shape[1])


def _normal(x: Array) -> Array:
    squares = np.einsum("rtd,rtd->rt", x, x)[..., None]
    made: Array = x / np.sqrt(squares * np.float32(1 / WIDTH) + np.float32(_EPSILON))
    return made


def _attend(queries: Array, past: Array, mask: Array) -> Array:
    rows, chunk, seen = queries.shape[0], queries.shape[1], past.shape[1]
    keys = past[..., :WIDTH].reshape(rows, seen, HEADS, SIZE).transpose(0, 2, 3, 1)
    values = past[..., WIDTH:].reshape(rows, seen, HEADS, SIZE).transpose(0, 2, 1, 3)
    weights = queries.reshape(rows, chunk, HEADS, SIZE).transpose(0, 2, 1, 3) @ keys
    weights += mask
    weights -= weights.max(-1, keepdims=True)
    np.exp(weights, out=weights)
    mixed = (weights @ values) / weights.sum(-1, keepdims=True)
    made: Array = mixed.transpose(0, 2, 1, 3).reshape(rows, chunk, WIDTH)
    return made


def _gated(both: Array) -> Array:
    """silu(gate) * up, the gate given at half its size: silu(2h) = h (1 + tanh h)."""
    width = both.shape[-1] // 2
    half = both[..., :width]
    made: Array = np.tanh(half)
    made += 1
    made *= half
    made *= both[..., width:]
    return made


# -- what is multiplied into the matrices once ---------------------------------------------------------


def _with_turned(qkv: Array) -> Array:
    """Queries (scaled), keys, values, then queries and keys again with the halves of each head swapped."""
    qkv = qkv.copy()
    qkv[:, :WIDTH] *= SIZE**-0.5
    halves = qkv[:, : 2 * WIDTH].reshape(WIDTH, 2 * HEADS, 2, SIZE // 2)
    swapped = np.stack([-halves[:, :, 1], halves[:, :, 0]], axis=2).reshape(WIDTH, 2 * WIDTH)
    return np.ascontiguousarray(np.concatenate([qkv, swapped], axis=1))


def _halved_gate(both: Array) -> Array:
    both = both.copy()
    both[:, : both.shape[1] // 2] *= 0.5
    return both


def _rotations() -> tuple[Array, Array]:
    """Cosines for queries, keys and (ones) values, and sines for queries and keys, by position."""
    half = SIZE // 2
    angles = np.outer(np.arange(_ROOM), _THETA ** (-np.arange(half) / half))
    turns = np.tile(angles, (1, 2 * 2 * HEADS))
    cos = np.concatenate([np.cos(turns), np.ones((_ROOM, WIDTH))], axis=1)
    return cos.astype(np.float32), np.sin(turns).astype(np.float32)
