"""`maker new` writes a task that passes its tests and runs at once, and overwrites nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from maker.cli.new import FILES, new
from maker.errors import UsageError
from tests.conftest import Maker
from tests.support import ROOT


def make_test(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "test", *words], cwd=folder, capture_output=True, text=True, timeout=110)


def test_a_new_task_passes_its_tests_and_runs_at_once(maker: Maker) -> None:
    ended = maker("new", "my_invoices", "--json")
    assert ended.code == 0, ended.err
    [said] = ended.events
    assert said["task"] == "my_invoices.py:MyInvoices"
    folder = maker.folder / "my_invoices"
    assert sorted(path.name for path in folder.iterdir()) == sorted(said["files"])
    tested = make_test(folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "passed" in tested.stdout
    ended = Maker(folder)("run", said["task"], "--model", "sim:error=0.05", "--engine", "inline", "--json")
    assert (ended.code, ended.done["verified"], ended.done["result"]) == (0, True, 197)
    assert maker("check", f"my_invoices/{said['task']}").code == 0


def test_its_names_stand_everywhere_and_nothing_of_the_template_is_left(maker: Maker) -> None:
    maker("new", "invoices")
    texts = [path.read_text("utf-8") for path in (maker.folder / "invoices").iterdir()]
    assert len(texts) == len(FILES)
    for left in ("newtask", "NewTask", "template", "@PYTHON@"):
        assert not any(left in text for text in texts), left


def test_a_class_is_at_most_25_lines_of_code() -> None:
    text = (ROOT / "maker" / "template" / "newtask.py").read_text("utf-8")
    code = [line.strip() for line in text.partition("class NewTask")[2].splitlines()]
    assert len([line for line in code if line and not line.startswith(("#", '"""'))]) <= 25


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1st",
        "a-b",
        "../up",
        "a/b",
        "Invoices",
        "class",
        "json",
        "numpy",
        "maker",
        "conftest",
        "true",
        "segment",
        "a" * 41,
    ],
)
def test_a_name_that_would_not_work_as_a_module_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="such as"):
        new(name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(maker: Maker) -> None:
    (maker.folder / "invoices").mkdir()
    assert maker("new", "invoices").code == 0
    (maker.folder / "invoices" / "invoices.py").write_text("mine")
    ended = maker("new", "invoices")
    assert (ended.code, ended.out) == (2, "")
    assert "there already" in ended.err
    assert (maker.folder / "invoices" / "invoices.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 1", "has no Maker"),
        ('case "$*" in *pytest*) exit 1;; esac', "has no pytest"),
        (None, "has no Maker"),
    ],
)
def test_make_test_says_what_is_missing(maker: Maker, script: str | None, said: str) -> None:
    maker("new", "invoices")
    python = maker.folder / "a python"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    ended = make_test(maker.folder / "invoices", f"PYTHON={python}")
    assert ended.returncode != 0
    assert said in ended.stderr
