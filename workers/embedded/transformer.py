"""A Llama-shaped transformer in plain numpy, one pass over many rows that stand at different positions.

It gives logits and chooses nothing. Invariant: a row's logits depend on that row's own tokens alone,
whatever else is in the batch and however the row was cut into passes. That holds to the last bit, as BLAS
adds up a row in an order that hangs on how many rows it is given: here every product is of eight rows, and
every row sees the keys of the whole context, most of them with no weight. Constant factors (norm gains, the
attention scale, the halves of the rotary turn) are multiplied into the matrices once, and what the first
layer makes of each token is kept. Read next: `drawing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maker.workers.embedded.weights import Array

Ints = NDArray[np.int64]

WIDTH, HEADS = 64, 2
SIZE = WIDTH // HEADS
"""Of one head."""
CONTEXT = 64
"""Most tokens that a prompt and its response may have together."""
_PIECE = 8
"""Rows of every product: so few that OpenBLAS keeps to one thread, and enough to fill its kernel."""
_ROOM = 2 * CONTEXT  # padding behind a short row may reach past the context
_EPSILON, _THETA = 1e-5, 10000.0
_MASK = np.where(np.arange(CONTEXT) <= np.arange(_ROOM)[:, None], np.float32(0), np.float32(-np.inf))
"""What each position sees of the context."""


class Cache:
    """Keys and values of every layer, row and position."""

    def __init__(self, layers: int, rows: int) -> None:
        self._held = np.zeros((layers, rows, CONTEXT, 2 * WIDTH), np.float32)

    def layer(self, layer: int, rows: slice) -> Array:
        held: Array = self._held[layer, rows]
        return held

    def copy(self, source: int, target: int) -> None:
        if target >= self._held.shape[1]:
            self._held = np.concatenate([self._held, np.zeros_like(self._held)], axis=1)
        self._held[:, target] = self._held[:, source]


class Transformer:
    def __init__(self, weights: Mapping[str, Array]) -> None:
        self.layers, self.vocabulary = len(weights["qkv"]), len(weights["embed"])
        self._embed = weights["embed"]
        self._head = np.ascontiguousarray((weights["embed"] * weights["norm"]).T)
        self._qkv = [_with_turned(made) for made in weights["qkv"] * weights["attention_norm"][..., None]]
        self._gate_up = [_halved_gate(made) for made in weights["gate_up"] * weights["mlp_norm"][..., None]]
        self._out, self._down = weights["out"], weights["down"]
        self._first: Array = _normal(self._embed) @ self._qkv[0]
        self._cos, self._sin = _rotations()

    def logits(self, tokens: Ints, begins: Ints, wanted: Ints, cache: Cache, first: int = 0) -> Array:
        """What stands after the wanted tokens of each row: rows by wanted by vocabulary.

        tokens: rows by chunk, padded behind. begins: the position of each row's first token; what the cache
        holds of a row before it is its past, what it holds from there on is overwritten. wanted: columns of
        `tokens`. first: the cache's row of the first row.
        """
        asked, tokens, wanted = wanted.shape[1], _widened(tokens), _widened(wanted)
        at = begins[:, None] + np.arange(tokens.shape[1])
        mask, cos, sin = _MASK[at], self._cos[at], self._sin[at]
        rows, held = np.arange(len(tokens))[:, None], slice(first, first + len(tokens))
        x, made = self._embed[tokens], self._first[tokens]
        for layer in range(self.layers):
            if layer:
                made = _times(_normal(x), self._qkv[layer])
            turned = made[..., : 3 * WIDTH] * cos
            turned[..., : 2 * WIDTH] += made[..., 3 * WIDTH :] * sin
            queries, past = turned[..., :WIDTH], cache.layer(layer, held)
            for row, begin in enumerate(begins.tolist()):
                past[row, begin : begin + tokens.shape[1]] = turned[row, : CONTEXT - begin, WIDTH:]
            if layer == self.layers - 1:
                x, queries, mask = x[rows, wanted], queries[rows, wanted], mask[rows, wanted]
            x = x + _times(_attend(queries, past, mask), self._out[layer])
            x += _times(_gated(_times(_normal(x), self._gate_up[layer])), self._down[layer])
        return _times(_normal(x), self._head)[:, :asked]


# -- one layer's sums ----------------------------------------------------------------------------------


def _widened(columns: Ints) -> Ints:
    """To a multiple of _PIECE, by the last column again."""
    lacks = -columns.shape[1] % _PIECE
    return np.concatenate([columns, columns[:, -1:].repeat(lacks, 1)], 1) if lacks else columns


def _times(x: Array, matrix: Array) -> Array:
    made: Array = x.reshape(-1, _PIECE, x.shape[-1]) @ matrix
    return made.reshape(*x.shape[:-1], matrix.shape[1])


def _normal(x: Array) -> Array:
    squares = np.einsum("...d,...d->...", x, x)
    squares *= np.float32(1 / WIDTH)
    squares += np.float32(_EPSILON)
    made: Array = x / np.sqrt(squares, out=squares)[..., None]
    return made


def _attend(queries: Array, past: Array, mask: Array) -> Array:
    rows, chunk = queries.shape[:2]
    keys = past[..., :WIDTH].reshape(rows, CONTEXT, HEADS, 1, SIZE).transpose(0, 2, 3, 4, 1)
    values = past[..., WIDTH:].reshape(rows, CONTEXT, HEADS, 1, SIZE).transpose(0, 2, 3, 1, 4)
    weights = queries.reshape(rows, -1, _PIECE, HEADS, SIZE).transpose(0, 3, 1, 2, 4) @ keys
    weights += mask.reshape(rows, 1, -1, _PIECE, CONTEXT)
    weights -= weights.max(-1, keepdims=True)
    np.exp(weights, out=weights)
    mixed = np.empty((rows, chunk // _PIECE, _PIECE, HEADS, SIZE), np.float32)
    by_head = mixed.transpose(0, 3, 1, 2, 4)
    np.matmul(weights, values, out=by_head)
    by_head /= weights.sum(-1, keepdims=True)
    return mixed.reshape(rows, chunk, WIDTH)


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
