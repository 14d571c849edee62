"""When are two answers the same answer? When their canonical JSON keys are equal.

The key of a value is its JSON text with sorted object keys, no spaces, ASCII escapes, and every
number written by its mathematical value: 1, 1.0 and 1e0 are one key, 1 and "1" and true are three.
Strings compare code point by code point (no trimming, no Unicode folding: a task that wants that
does it in `canonical`). NaN and infinities have no key. Lone surrogates do.
Invariant: equal keys are an equivalence relation, the same in every process and on every machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import re

from maker.nouns import Json

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode
_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_read = json.JSONDecoder().raw_decode
_AS_THEY_ARE, _NUMBERS = frozenset({str, bool, type(None)}), frozenset({int, float})
"""Types of which JSON gives back an equal value of the same type; of numbers all but infinities, NaN and
integers of thousands of digits."""
_LARGE = 10**300
_FLOAT = re.compile(r"[.eE](?<=\d.)")
"""What a float in JSON text looks like; a string may look so too, which costs time only."""


def key(value: Json) -> str:
    """The canonical JSON text of a value.

    Raises ValueError for NaN and infinities, TypeError for what JSON cannot hold.
    """
    text = _encode(value)
    return _encode(_exact(value)) if _FLOAT.search(text) else text


def plain(value: Json) -> Json:
    """The value as JSON gives it back: tuples are lists, object keys are strings.

    Raises ValueError and TypeError as `key` does.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE or (kind in _NUMBERS and abs(value) < _LARGE):
        return value
    if kind is list:
        return [plain(item) for item in value]
    if kind is dict and all(type(name) is str for name in value):
        return {name: plain(item) for name, item in value.items()}
    return _read(_write(value))[0]


def digest(value: Json) -> str:
    """16 hex digits (64 bits of BLAKE2b) that stand for a value, such as a step's state."""
    return hashlib.blake2b(key(value).encode("ascii"), digest_size=8).hexdigest()


def _exact(value: Json) -> Json:
    """Replace each float that is a whole number by that int (floats above 2**53 are whole)."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    return value
