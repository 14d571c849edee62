"""Reads the weights that come with the package, after checking that they are what was shipped.

`dialects/NAME.npz` holds eight float16 arrays and nothing that could run; `NAME.npz.sha256` beside it
holds its digest. `NAME-2.npz` and so on are further sets, trained from other seeds. Invariant: no
array reaches the transformer unless the digest agrees. Read next: `transformer.py`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from maker.errors import MakerError

Array: TypeAlias = NDArray[np.float32]

Held: TypeAlias = Mapping[str, Array]
"""The arrays by name; `training/net.py` lists their shapes."""


_FOLDER = Path(__file__).parent / "dialects"


def shipped(name: str, number: int = 1) -> Path:
    """The file of one set of a dialect's weights, counted from 1."""
    return _FOLDER / (f"{name}.npz" if number == 1 else f"{name}-{number}.npz")


def sets(name: str) -> int:
    """How many sets of weights a dialect has."""
    return 1 + len(list(_FOLDER.glob(f"{name}-[0-9]*.npz")))


def read(file: Path) -> Held:
    """The arrays by name; MakerError if the file is missing or is not the one that was shipped."""
    with np.load(io.BytesIO(_checked(file)), allow_pickle=False) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}


def _checked(file: Path) -> bytes:
    try:
        held = file.read_bytes()
        expected = file.with_name(file.name + ".sha256").read_text("ascii").split()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise MakerError(f"embedded model: cannot read {file.name} or its digest: {error}; {_CURE}") from None
    seen = hashlib.sha256(held).hexdigest()
    if seen != expected:
        raise MakerError(
            f"embedded model: {file.name} is damaged: its SHA-256 is {seen[:16]}..., "
            f"expected {expected[:16]}...; {_CURE}"
        )
    return held


_CURE = "reinstall the package, for example with pip install --force-reinstall maker"
