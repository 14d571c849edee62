"""A fork is a run of its own from a step of another, and the other is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from maker import api, journal
from tests.conftest import Maker


@pytest.fixture
def old(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(journal, "CHUNK_BYTES", 20_000)
    folder = maker.folder / "old"
    model = "sim:error=0.05,flags=0.05"
    params = {"disks": 8, "waypoints": 3}
    assert api.run("hanoi", params=params, model=model, k=4, engine="inline", run_dir=folder).status == "done"
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_fork_goes_on_from_its_step_with_another_panel(maker: Maker, old: Path) -> None:
    before = contents(old)
    ended = maker("fork", old, "--at", "1:40", "--run-dir", "new", "--k", 5, "--seed", 9, "--json")
    assert ended.code == 0, ended.err
    assert ended.events == [{"event": "forked", "run": "new", "at": "1:40", "steps": 85 + 40 + 85}]
    resumed = maker("resume", "new", "--json")
    assert (resumed.code, resumed.done["verified"], resumed.done["steps"]) == (0, True, 255)
    assert contents(old) == before
    ours, theirs = maker("steps", "new", "--json").events, maker("steps", old, "--json").events
    kept = [step for step in theirs if step["segment"] != "1" or step["index"] < 40]
    assert [step for step in ours if step in theirs] == kept
    assert all(max(step["votes"].values()) >= 5 for step in ours if step not in kept)
    assert maker("verify", "new").code == 0


def test_a_fork_with_nothing_changed_decides_the_same_again(maker: Maker, old: Path) -> None:
    maker("fork", old, "--at", "0:7", "--run-dir", "new")
    assert maker("resume", "new", "--json").done["verified"] is True
    assert maker("steps", "new", "--json").events == maker("steps", old, "--json").events
    assert maker("replay", "new").code == 0


def test_a_replay_leaves_out_what_a_fork_has_copied(maker: Maker, old: Path) -> None:
    maker("fork", old, "--at", "1:40", "--run-dir", "new", "--k", 5)
    assert maker("replay", "new", "--json").events[0]["steps"] == 0
    maker("resume", "new")
    ended = maker("replay", "new", "--json")
    assert (ended.code, ended.events[0]["steps"], ended.events[0]["different"]) == (0, 45, 0)
    assert ended.events[0]["copied"] == 85 + 40 + 85
    assert "210 copied by the fork: replay the run that it is of" in maker("replay", "new").out
    maker("fork", "new", "--at", "1:60", "--run-dir", "newer", "--k", 3)
    maker("resume", "newer")
    assert maker("replay", "newer", "--json").events[0]["copied"] == 230


@pytest.mark.parametrize("at", ["x:0", "1/40.0:0", "9:0"])
def test_a_fork_at_a_segment_that_is_none_is_refused(maker: Maker, old: Path, at: str) -> None:
    ended = maker("fork", old, "--at", at, "--run-dir", "new")
    assert ended.code == 2
    assert f"no segment {at[:-2]} was begun" in ended.err
    assert not (maker.folder / "new").exists()


def test_a_fork_at_a_step_that_was_not_reached_is_refused(maker: Maker, old: Path) -> None:
    ended = maker("fork", old, "--at", "0:999", "--run-dir", "new")
    assert ended.code == 2
    assert "has 85 decided steps" in ended.err
    assert not (maker.folder / "new").exists()


def test_a_fork_into_a_folder_that_holds_something_is_refused(maker: Maker, old: Path) -> None:
    before = contents(old)
    ended = maker("fork", old, "--at", "0:5", "--run-dir", old)
    assert ended.code == 2
    assert "is not empty" in ended.err
    assert contents(old) == before
