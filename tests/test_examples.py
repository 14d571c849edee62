"""The examples run as their own first lines say."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import ClassVar, cast

import pytest

from maker import Message, Prompt, Sample, Seat, Step, plugins
from maker.errors import BlockedError
from maker.model import Model, Request
from maker.testing import DecomposerSuite, ModelSuite, VoterSuite
from maker.voter import Voter
from tests.conftest import Maker
from tests.support import ROOT

SOLVED = {"pegs": [[], [], [5, 4, 3, 2, 1]], "moves": 31}


@pytest.mark.parametrize(
    ("file", "result"),
    [
        ("own_task.py", 111),
        ("etl.py", {"EUR": 1796500, "USD": 1800000}),
        ("check_hook.py", [2, 2, 2, 3, 3, 5, 7, 11, 13]),
        ("voter.py", SOLVED),
        ("red_flag.py", SOLVED),
        ("program.py", 8),
    ],
)
def test_an_example_runs_as_it_says(maker: Maker, file: str, result: object) -> None:
    said = re.search(r"^    maker (run .*)$", (ROOT / "examples" / file).read_text("utf-8"), re.MULTILINE)
    assert said is not None
    words = said[1].replace("examples/", f"{ROOT}/examples/").split()
    ended = maker(*words, "--json")
    assert ended.code == 0, ended.err
    assert ended.done["result"] == result


class TestFactors(DecomposerSuite):
    task = f"{ROOT}/examples/check_hook.py:Factors"
    parameters: ClassVar = {"number": 30030}


class TestQuorum(VoterSuite):
    def make(self) -> Voter:
        return cast(Voter, plugin(plugins.VOTERS, "voter.py:Quorum:votes=4,percent=80").make())


class TestProgram(ModelSuite):
    step = Step("main", 0, {"number": 6, "steps": 0})
    prompt = Prompt((Message("user", "The number is 6. The next is:"),))

    def make(self) -> Model:
        return cast(Model, plugin(plugins.MODELS, "program.py:Program").make())


def plugin(group: str, spec: str) -> plugins.Plugin:
    return plugins.find(group, f"{ROOT}/examples/{spec}")


def test_a_program_that_fails_is_tried_again_then_blocks_the_run(tmp_path: Path) -> None:
    faults: list[str] = []
    model = plugin(plugins.MODELS, "program.py:Program").make({"command": "false"})
    request = Request(TestProgram.step, TestProgram.prompt, (Seat(0, model.name, None, 1),), faults.append)

    async def draw() -> None:
        async for _ in model.draw(request):
            raise AssertionError("a sample of a program that fails")

    with pytest.raises(BlockedError, match="failed 5 times"):
        asyncio.run(draw())
    assert faults == ["exit-1"] * 5


def test_unsure_flags_by_the_models_own_probability() -> None:
    rule = plugin(plugins.RED_FLAGS, "red_flag.py:Unsure:nats=3").make()
    seat = Seat(0, "m", None, 0)
    assert rule(Sample(seat, "x", "stop", 1, 1, 0.0, logprob=-4.0)) == "unsure"
    assert rule(Sample(seat, "x", "stop", 1, 1, 0.0, logprob=-2.0)) is None
    assert rule(Sample(seat, "x", "stop", 1, 1, 0.0)) is None
