"""Answers are equal when their keys are: an equivalence that is the same in every process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.canonical import digest, key, plain

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_key_is_ascii_json_that_reads_back_as_an_equal_value(value: object) -> None:
    text = key(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert key(json.loads(text)) == text


class Level(IntEnum):
    HIGH = 3


NOT_QUITE_PLAIN = st.recursive(
    SCALARS | st.just(Level.HIGH) | st.just(-0.0) | st.just(1e308),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.booleans() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(NOT_QUITE_PLAIN)
def test_a_plain_value_is_what_json_gives_back_to_the_type(value: object) -> None:
    assert repr(plain(value)) == repr(json.loads(json.dumps(value)))


def test_a_plain_value_shares_nothing_that_can_change() -> None:
    value = {"pegs": [[2, 1], []], "more": {"a": ([1],)}}
    copy = plain(value)
    copy["pegs"][0].append(0)
    copy["more"]["a"][0].append(0)
    assert value == {"pegs": [[2, 1], []], "more": {"a": ([1],)}}


@pytest.mark.parametrize(
    "value", [math.nan, [math.inf], {"a": -math.inf}, [10**5000], {1, 2}, [b"x"], {b"x": 1}]
)
def test_what_json_cannot_give_back_is_not_plain(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        plain(value)


@given(VALUES, VALUES)
def test_values_that_are_the_same_json_have_the_same_key_and_others_have_not(a: object, b: object) -> None:
    assert (key(a) == key(b)) == same(a, b)


def same(a: object, b: object) -> bool:
    """Equality of JSON values by hand: numbers by value, but a truth value is no number."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return (type(a) is type(b) and a == b) or ({type(a), type(b)} <= {int, float} and a == b)


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_object_keys_does_not_matter(value: dict[str, int]) -> None:
    assert key(value) == key(dict(reversed(value.items())))


@pytest.mark.parametrize("values", [(1, 1.0, 1e0), (0, 0.0, -0.0), (10**20, 1e20), ((1, 2), [1, 2])])
def test_one_key_for_one_value_however_it_is_written(values: tuple[object, ...]) -> None:
    assert len({key(value) for value in values}) == 1


@pytest.mark.parametrize(
    "values", [(1, "1", True), (0, False, None, ""), ("a", "a ", "a\n"), ("1", "１"), ([], {})]
)
def test_different_values_keep_different_keys(values: tuple[object, ...]) -> None:
    assert len({key(value) for value in values}) == len(values)


def test_lone_surrogates_have_a_key_and_a_digest() -> None:
    assert key("\ud800") == '"\\ud800"'
    assert len(digest({"text": "\ud800 🗼"})) == 16


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"x": -float("inf")}])
def test_what_is_no_number_has_no_key(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        key(value)


def test_what_is_no_json_has_no_key() -> None:
    with pytest.raises(TypeError, match="set"):
        key({1, 2})


def test_keys_and_digests_are_the_same_in_every_process() -> None:
    value = {"b": [1, 2.5, "é"], "a": {"y": None, "x": True}}
    code = f"from maker.canonical import key, digest; v = {value!r}; print(key(v), digest(v))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("0", "1", "2")
    }
    assert seen == {f"{key(value)} {digest(value)}"}
