"""Votes that are none: what an endpoint says again and again is told from what a model is sure of."""

from __future__ import annotations

import math
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import api
from maker.cli import doctor
from maker.records import Record
from maker.repeats import IDS, Repeats
from tests import hanoi_endpoint
from tests.faultd import Act, Call, Faultd


def said(step: int, text: str, logprob: float | None = None, **more: Any) -> Record:
    where = {"segment": "s", "step": step, "state": "x", "variant": 0, "model": "m", "temperature": 1.0}
    return {**where, "text": text, "logprob": logprob, "request": None, **more}


class Cache:
    """Between a run and an endpoint: what was asked once, but for the seed, is answered as it was then."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def __call__(self, call: Call) -> Act:
        def change(answer: dict[str, Any]) -> object:
            asked = str({**call.body, "seed": 0})
            return self.kept.setdefault(asked, answer)

        return Act(edit=change)


# -- by their texts --------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), words=st.integers(1, 6), likely=st.floats(0.3, 0.9999))
def test_draws_that_are_honest_never_warn(seed: int, words: int, likely: float) -> None:
    """However sure the model: 5,000 samples, three a step, with the probabilities that it says."""
    lot, repeats = Random(seed), Repeats()
    for step in range(5000 // 3):
        sure = lot.random() < 0.9
        chance = likely if sure else 1 / words
        for _ in range(3):
            first = lot.random() < chance
            text = "0" if first or words == 1 else f"{lot.randrange(1, words)}"
            other = (1 - chance) / max(1, words - 1)
            logprob = math.log(chance if text == "0" else other) if words > 1 else 0.0
            assert repeats.note(said(step, text, logprob)) is None


def test_texts_that_repeat_more_than_they_can_warn_once() -> None:
    repeats = Repeats()
    found = [repeats.note(said(step, f"{step}", -2.0)) for step in range(40) for _ in range(3)]
    [warning] = [each for each in found if each]
    assert warning == {"kind": "event", "event": "repeats", "model": "m", "sign": "texts"}
    assert found.index(warning) < 18, "each repeat is worth 2, a billion to one takes 20.7"


def test_one_draw_that_says_something_else_clears_what_came_before() -> None:
    repeats = Repeats()
    for step in range(200):
        texts = ["a", "a", "a", "b"] if step % 5 == 4 else ["a", "a", "a"]
        assert [repeats.note(said(step, text, -2.0)) for text in texts] == [None] * len(texts)


@pytest.mark.parametrize("more", [{"temperature": 0.0}, {"temperature": None}, {"logprob": None}])
def test_without_known_chances_texts_tell_nothing(more: dict[str, Any]) -> None:
    repeats = Repeats()
    assert not any(repeats.note({**said(step, "a", -9.0), **more}) for step in range(50) for _ in range(3))


def test_the_embedded_model_at_temperature_1_does_not_warn(tmp_path: Path) -> None:
    result = api.run(
        "hanoi",
        params={"disks": 6},
        model="embedded:temperature=1.0",
        engine="inline",
        workers=1,
        run_dir=str(tmp_path / "r"),
    )
    assert (result.status, result.repeats) == ("done", 0)


# -- by their ids ----------------------------------------------------------------------------------


def test_ids_that_come_again_with_their_texts_warn() -> None:
    repeats = Repeats()
    found = [repeats.note(said(n, f"{n}", request=f"id-{n}")) for n in range(20) for _ in range(2)]
    assert [each["sign"] for each in found if each] == ["ids"]
    assert found.index(next(filter(None, found))) == 2 * IDS - 1


def test_a_choice_of_several_is_the_response_that_came_alone_before() -> None:
    repeats = Repeats()
    ids = [f"id-{n}{choice}" for n in range(IDS) for choice in ("", "#0", "#1")]
    found = [repeats.note(said(n, "sure", request=name)) for n, name in enumerate(ids)]
    assert [n for n, each in enumerate(found) if each] == [3 * IDS - 2]


def test_an_endpoint_whose_ids_mean_nothing_does_not_warn() -> None:
    repeats = Repeats()
    for number in range(100):
        assert repeats.note(said(number, "sure", request="the-only-id")) is None
        assert repeats.note(said(number, f"{number}", request=f"id-{number % 9}")) is None


def test_a_cache_before_an_endpoint_is_found_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    told = {}
    for name, script in (("cached", Cache()), ("honest", ())):
        with Faultd(answer=hanoi_endpoint.right, script=script) as server:
            result = api.run(
                "hanoi",
                params={"disks": 4},
                model="openai:tiny,temperature=1.0,send_seed=true",
                base_url=server.url,
                engine="inline",
                workers=1,
                run_dir=str(tmp_path / name),
            )
        told[name] = (result.status, result.repeats)
    assert told == {"cached": ("done", 1), "honest": ("done", 0)}


def test_the_doctor_tells_a_cache_from_fresh_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    numbers = count()
    same = pytest.raises(Warning, match="20 random digits at temperature 1 are all the same")
    with Faultd(answer=lambda prompt, seed: f"{next(numbers)}", script=Cache()) as server, same:
        doctor._endpoint("openai:tiny", server.url)
    with Faultd(answer=lambda prompt, seed: f"{next(numbers)}") as server:
        assert doctor._endpoint("openai:tiny", server.url).endswith("each answer drawn anew")
    with Faultd(answer=lambda prompt, seed: f"{seed}") as server:
        said = doctor._endpoint("openai:tiny,send_seed=true", server.url)
        assert said.endswith("each answer drawn anew by its seed")
