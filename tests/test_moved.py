"""A run goes on on another machine, where its files lie elsewhere; their content is what counts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from maker import moved
from tests.conftest import Maker
from tests.test_submit import COUNT, COUNTING


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made = []
    for name in ("here", "there/deeper"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "count.py").write_text(COUNT)
        (folder / "wording.py").write_text('ASK = "What follows {}?"\n')
        (folder / "starts.txt").write_text("1\n100\n")
        made.append(folder)
    return made[0], made[1]


def test_a_run_goes_on_from_another_folder_when_the_first_is_gone(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    here, there = folders
    words = ("run", *COUNTING, "--run-dir", tmp_path / "r", "--json", "--engine", "inline")
    begun = Maker(here)(*words, "--max-calls", 11)
    assert begun.code == 4, begun.err
    here.rename(tmp_path / "gone")
    resumed = Maker(there)("resume", tmp_path / "r", "--engine", "inline", "--max-calls", 20, "--json")
    assert resumed.code == 4, resumed.err
    assert Maker(there)(*words, "--max-calls", "none").done["result"] == {"s0": 6, "s1": 105}
    for command in (("replay",), ("verify", "--task"), ("fork", "--at", "s0:3", "--run-dir", tmp_path / "f")):
        looked = Maker(there)(command[0], tmp_path / "r", *command[1:])
        assert looked.code == 0, looked.err


@pytest.mark.parametrize(("name", "code"), [("count.py", 7), ("starts.txt", 2)])
def test_a_file_of_another_content_is_not_taken_for_the_one_that_is_gone(
    folders: tuple[Path, Path], tmp_path: Path, name: str, code: int
) -> None:
    here, there = folders
    words = ("run", *COUNTING, "--run-dir", tmp_path / "r", "--engine", "inline")
    assert Maker(here)(*words).code == 0
    here.rename(tmp_path / "gone")
    with (there / name).open("a") as file:
        file.write("\n7\n")
    assert Maker(there)(*words).code == 7
    (tmp_path / "r" / "result.json").unlink()
    assert Maker(there)("resume", tmp_path / "r", "--engine", "inline").code == code


def test_a_place_is_found_by_the_longest_end_of_its_path_that_has_the_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    digest = hashlib.sha256(b"x").hexdigest()
    for name, content in (("a/t.py", b"x"), ("t.py", b"x"), ("b/a/t.py", b"y")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert moved.found(Path("/gone/b/a/t.py"), digest) == tmp_path / "a" / "t.py"
    assert moved.found(Path("/gone/t.py"), digest) == tmp_path / "t.py"
    assert moved.found(Path("/gone/t.py"), "") == Path("/gone/t.py")
    assert moved.found(Path("/gone/other.py"), digest) == Path("/gone/other.py")
    assert moved.found(tmp_path / "b" / "a" / "t.py", digest) == tmp_path / "b" / "a" / "t.py"


def test_only_what_has_a_digest_loses_its_folder() -> None:
    kept = [{"spec": "/a/b.py:C", "sha256": ""}, {"path": "/a/b", "sha256": "d", "more": 1}, "/a/b.py:C", 3]
    assert moved.placeless(kept) == kept
    spec = {"spec": "/a/b.py:C:where=/x/y.py:z", "sha256": "d", "defined": ""}
    assert moved.placeless(spec) == {**spec, "spec": "b.py:C:where=/x/y.py:z"}
    assert moved.placeless({"x": [{"path": "/a/b", "sha256": "d"}]}) == {"x": [{"path": "b", "sha256": "d"}]}
