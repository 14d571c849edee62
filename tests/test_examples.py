"""The examples run as their own first lines say."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Maker
from tests.support import ROOT


@pytest.mark.parametrize(
    ("file", "result"), [("own_task.py", 111), ("etl.py", {"EUR": 1796500, "USD": 1800000})]
)
def test_an_example_runs_as_it_says(maker: Maker, file: str, result: object) -> None:
    said = re.search(r"^    maker (run .*)$", (ROOT / "examples" / file).read_text("utf-8"), re.MULTILINE)
    assert said is not None
    words = said[1].replace("examples/", f"{ROOT}/examples/").split()
    ended = maker(*words, "--json")
    assert ended.code == 0, ended.err
    assert ended.done["result"] == result
