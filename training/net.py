"""The embedded model in torch: the same sums as `workers/embedded/transformer.py`, with gradients.

It only learns; drawing is the numpy model's. Invariant: `arrays` gives exactly the arrays that the
weights file holds, under the same names, so that nothing is renamed or transposed on export.
Read next: `train.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, HIDDEN, CONTEXT = 64, 2, 176, 64
THETA, EPSILON = 10000.0, 1e-5


def shapes(vocabulary: int, layers: int) -> dict[str, tuple[int, ...]]:
    return {
        "embed": (vocabulary, WIDTH),
        "norm": (WIDTH,),
        "attention_norm": (layers, WIDTH),
        "qkv": (layers, WIDTH, 3 * WIDTH),
        "out": (layers, WIDTH, WIDTH),
        "mlp_norm": (layers, WIDTH),
        "gate_up": (layers, WIDTH, 2 * HIDDEN),
        "down": (layers, HIDDEN, WIDTH),
    }


class Net(nn.Module):
    def __init__(self, vocabulary: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        for name, shape in shapes(vocabulary, layers).items():
            self.register_parameter(name, nn.Parameter(torch.ones(shape)))
            if "norm" not in name:
                scale = 0.02 / (2 * layers) ** 0.5 if name in ("out", "down") else 0.02
                nn.init.normal_(getattr(self, name), std=scale * (64 / WIDTH) ** 0.5 * 3)
        self.cos, self.sin = rope(CONTEXT)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits after every token."""
        x = F.embedding(tokens, self.embed)
        for layer in range(self.layers):
            x = x + self._attend(layer, F.rms_norm(x, (WIDTH,), self.attention_norm[layer], EPSILON))
            x = x + self._mlp(layer, F.rms_norm(x, (WIDTH,), self.mlp_norm[layer], EPSILON))
        return F.rms_norm(x, (WIDTH,), self.norm, EPSILON) @ self.embed.T

    def _attend(self, layer: int, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (x @ self.qkv[layer]).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k = self._turn(q, length), self._turn(k, length)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return mixed.transpose(1, 2).reshape(batch, length, WIDTH) @ self.out[layer]

    def _turn(self, x: Tensor, length: int) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        cos, sin = self.cos[:length], self.sin[:length]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)

    def _mlp(self, layer: int, x: Tensor) -> Tensor:
        gate, up = (x @ self.gate_up[layer]).chunk(2, dim=-1)
        return (F.silu(gate) * up) @ self.down[layer]

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: value.detach().numpy().copy() for name, value in self.named_parameters()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        with torch.no_grad():
            for name, value in self.named_parameters():
                value.copy_(torch.from_numpy(np.asarray(arrays[name], dtype=np.float32)))


def rope(length: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position's angles, half a head wide."""
    half = WIDTH // HEADS // 2
    angles = torch.outer(torch.arange(length).float(), THETA ** (-torch.arange(half).float() / half))
    return angles.cos(), angles.sin()
