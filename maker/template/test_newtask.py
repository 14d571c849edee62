"""The decomposer keeps what Maker asks of it, and solves its task although the model errs."""

from __future__ import annotations

from pathlib import Path

import maker
from maker.template.newtask import NewTask
from maker.testing import DecomposerSuite


class TestNewTask(DecomposerSuite):
    task = NewTask


def test_it_is_solved_by_a_model_that_errs(tmp_path: Path) -> None:
    result = maker.run(NewTask, model="sim:error=0.05", k=3, engine="inline", run_dir=tmp_path / "run")
    assert (result.status, result.verified, result.result) == ("done", True, 197)
