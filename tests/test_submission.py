"""What a job is told and what travels with it, without a cluster."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from maker.cluster import packing
from maker.cluster.jobs import Jobs
from maker.cluster.packing import Folder
from maker.cluster.submission import Job, Submission, check_secrets, newest
from maker.errors import UsageError
from tests.conftest import Maker


def job(id: str, run: str = "r", status: str = "STOPPED", began: int = 0) -> Job:
    return Job(id, run, "/runs", status, "", None, began)


def test_a_run_takes_a_job_after_the_other() -> None:
    asked = Submission("r", "s3://bucket/runs/", ["hanoi", "-T", "disks=3"])
    assert asked.directory == "s3://bucket/runs/r"
    assert asked.next_id([]) == "r"
    assert asked.next_id([job("r"), job("r-2")]) == "r-3"
    words = shlex.split(asked.entrypoint)
    assert words[:6] == ["python", "-m", "maker", "run", "hanoi", "-T"]
    assert newest([job("r", began=1), job("r-2", began=2), job("x", "x", began=3)], "r").id == "r-2"
    assert newest([], "r") is None


@pytest.mark.parametrize("word", ["a b", "$(rm -rf x)", "it's", "-T", "a;b", "ä\n"])
def test_the_shell_of_the_head_gets_every_word_as_it_is(word: str) -> None:
    words = Submission("r", "/runs", ["t", word]).entrypoint
    said = subprocess.run(
        ["sh", "-c", words.replace("python -m maker", f"{sys.executable} {__file__}")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert repr(["run", "t", word])[:-1] in said


@pytest.mark.parametrize(
    ("run", "storage"),
    [("", "/r"), ("a/b", "/r"), ("-a", "/r"), ("a" * 81, "/r"), ("a", "runs"), ("a", "")],
)
def test_a_name_or_storage_that_cannot_be_is_refused(run: str, storage: str) -> None:
    with pytest.raises(UsageError):
        Submission(run, storage, [])


@pytest.mark.parametrize("storage", ["s3://id:hidden-one@bucket/runs", "s3://b/r?secret=hidden-one"])
def test_credentials_in_the_storage_are_refused_and_not_repeated(storage: str) -> None:
    with pytest.raises(UsageError, match="credentials") as refused:
        Submission("r", storage, [])
    assert "hidden-one" not in str(refused.value)


def test_a_key_among_the_words_is_named_by_its_variable_alone() -> None:
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as refused:
        check_secrets(["-T", "x=sk-12345678"], {"OPENAI_API_KEY": "sk-12345678"})
    assert "12345678" not in str(refused.value)
    check_secrets(["-T", "x=sk-12345678"], {"OPENAI_API_KEY": "sk-other-one", "HOME": "sk-12345678"})


def files_in(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_package_travels_whole_and_its_plugins_are_found_by_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    packing.package(one)
    packing.package(two)
    assert files_in(one) == files_in(two)
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink() or path.suffix == ".pyc"]
    code = "from maker import plugins as p; print(p.find(p.MODELS, 'sim').target.__module__, p.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(one), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == ["maker.workers.simulated", str(one / "maker" / "plugins.py")]


def project(root: Path) -> Path:
    for name in ("task.py", "sub/more.py", "data/rows.csv", ".env", ".git/config", "runs/r/manifest.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names_in(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


def test_a_folder_travels_without_secrets_and_runs_and_equal_ones_are_equal_bytes(tmp_path: Path) -> None:
    one, two = (project(tmp_path / name) for name in ("one", "two"))
    packed = []
    for root in (one, two):
        (tmp_path / f"into-{root.name}").mkdir()
        packed.append(Folder(root, ("data",)).pack(tmp_path / f"into-{root.name}"))
        os.utime(root / "task.py", (0, 0))
    assert names_in(packed[0]) == ["sub/more.py", "task.py"]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    assert Folder(one).place_of(one / "sub" / "more.py") == "sub/more.py"
    assert Folder(one).place_of(one / ".env") is None
    assert Folder(one).place_of(one / "runs" / "r" / "manifest.json") is None
    assert Folder(one).place_of(two / "task.py") is None


def test_a_link_that_leads_round_in_a_circle_is_followed_once(tmp_path: Path) -> None:
    root = project(tmp_path / "one")
    (root / "sub" / "up").symlink_to(root)
    (root / "linked").symlink_to(project(tmp_path / "two") / "sub")
    names = names_in(Folder(root).pack(tmp_path))
    assert "linked/more.py" in names
    assert len(names) == len(set(names)) == 4


def test_a_folder_that_is_too_large_is_told_with_its_largest_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project(tmp_path / "one")
    (root / "large.bin").write_bytes(os.urandom(3_000_000))
    monkeypatch.setattr(packing, "LIMIT", 2_000_000)
    with pytest.raises(UsageError, match=r"largest files are large\.bin \(3 MiB\).*--exclude"):
        Folder(root).pack(tmp_path)
    Folder(root, ("*.bin",)).pack(tmp_path)


def test_what_cannot_travel_is_said_before_anything_is_sent(maker: Maker, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "away.py").write_text("")
    where = ("--address", "http://127.0.0.1:1", "--storage", "/runs")
    client = Maker(home, **{"COLUMNS": "200"})
    refused = client("submit", "../away.py:Task", *where)
    assert (refused.code, "outside of" in refused.err) == (2, True)
    refused = client("submit", "gone.py:Task", *where)
    assert (refused.code, "no such file" in refused.err) == (2, True)
    (home / ".env").write_text("x")
    refused = client("submit", "hanoi", "--input", ".env", *where)
    assert (refused.code, "does not travel" in refused.err) == (2, True)
    refused = client("submit", "hanoi", "--address", "127.0.0.1:6379", "--storage", "/runs")
    assert (refused.code, "http://HEAD:8265" in refused.err) == (2, True)
    nobody = client("submit", "hanoi", *where)
    assert (nobody.code, "Failed to connect" in nobody.err) == (1, True)
    assert "Traceback" not in nobody.err


if __name__ == "__main__":
    print(sys.argv[1:])


def test_a_token_file_that_is_not_there_is_said_and_not_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(UsageError, match="there is no such file"):
        Jobs("http://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []
