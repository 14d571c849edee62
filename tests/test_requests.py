"""How many requests the samples of a step take, and prompt tokens that an endpoint had in its cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maker import api, records, summary
from maker.errors import UsageError
from maker.operation import Operation
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.faultd import Act, Faultd, edited
from tests.hanoi_endpoint import right
from tests.support import lines_of, sample

ALIKE = "openai:tiny,temperature=0.1"
"""The three votes of a step have equal seats."""


def run(server: Faultd, folder: Path, model: str = ALIKE, **options: Any) -> api.RunResult:
    given = {"params": {"disks": 3}, "base_url": server.url, "engine": "inline", "run_dir": folder}
    return api.run("hanoi", model=model, **given, **options)


@pytest.mark.parametrize(
    ("options", "each"),
    [
        ({}, 3),
        ({"window": 4}, 1),
        ({"window": "auto"}, 1),
        ({"requests": "single"}, 1),
        ({"requests": "grouped", "window": 4}, 3),
    ],
)
def test_votes_share_a_request_unless_they_are_asked_for_singly_or_steps_run_ahead(
    tmp_path: Path, options: dict[str, Any], each: int
) -> None:
    with Faultd(answer=right) as server:
        ended = run(server, tmp_path / "r", **options)
        assert {call.body.get("n", 1) for call in server.calls} == {each}
        assert (ended.verified, ended.samples, len(server.calls)) == (True, 21, 21 // each)


def test_a_run_may_change_how_it_asks_from_one_command_to_the_next(tmp_path: Path) -> None:
    with Faultd(answer=right) as server:
        assert run(server, tmp_path / "r", requests="single", max_calls=9).status == "budget"
        assert run(server, tmp_path / "r", requests="grouped", max_calls="none").status == "done"
        assert [call.body.get("n", 1) for call in server.calls] == [1] * 9 + [3] * 4


def test_the_first_answer_does_not_wait_for_the_slowest_when_asked_for_singly(tmp_path: Path) -> None:
    with Faultd(answer=right, script=lambda call: None if call.ordinal else Act(wait=1.0)) as server:
        run(server, tmp_path / "r", window=2)
        first, second, third, fourth, *_ = server.calls
        assert fourth.body["messages"] != first.body["messages"] == third.body["messages"]
        assert fourth.started < (first.ended or 0.0) - 0.5 and second.started < (first.ended or 0.0) - 0.5


def test_how_to_ask_is_one_of_three_words() -> None:
    with pytest.raises(UsageError, match="requests='both', expected auto, grouped, single"):
        Operation(requests="both")  # type: ignore[arg-type]


def cached(tokens: int) -> Act:
    details = {"prompt_tokens_details": {"cached_tokens": tokens}}
    return edited(lambda answer: answer["usage"].update(prompt_tokens=900, **details))


def test_cached_prompt_tokens_are_recorded_totalled_and_priced(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=3", "--model", ALIKE, "--run-dir", "r", "--json")
    script = [cached(600), cached(0), *[cached(300)] * 5]
    with Faultd(answer=right, script=script) as server:
        ended = maker(*words, "--base-url", server.url, "--price", "10,0,1")
    assert ended.code == 0, ended.err
    done, [status] = ended.done, maker("status", "r", "--json").events
    assert (done["tokens_in"], done["tokens_cached"], status["tokens_cached"]) == (6300, 2100, 2100)
    assert done["cost"] == status["cost"] == (4200 * 10 + 2100 * 1) / 1e6
    [lane] = RunDirectory(maker.folder / "r").lanes()
    [chunk] = (maker.folder / "r" / "lanes" / lane).glob("*.jsonl*")
    drawn = [line for line in lines_of(chunk) if line.get("kind") == "sample"]
    assert [line.get("tokens_cached") for line in drawn[:6]] == [200, 200, 200, None, None, None]
    assert maker("verify", "r").code == 0
    assert summary.summarise(RunDirectory(maker.folder / "r")).totals.by_model["openai:tiny"][2] == 2100


def test_a_sample_without_cached_tokens_is_recorded_as_ever() -> None:
    assert "tokens_cached" not in records.from_sample("s", 0, "x", sample(0, "a"))
