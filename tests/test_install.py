"""What a broken machine or installation is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.fixture
def linkless(tmp_path: Path) -> Path:
    """A copy of the package as a clone without symbolic links has it: links are files with a path in them."""
    shutil.copytree(ROOT / "maker", tmp_path / "maker", symlinks=True)
    for link in (path for path in (tmp_path / "maker").iterdir() if path.is_symlink()):
        target = os.readlink(link)
        link.unlink()
        link.write_text(target)
    return tmp_path


def maker(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, "-m", "maker", *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_a_clone_without_links_is_told_how_to_clone(linkless: Path) -> None:
    ended = maker(linkless, "doctor")
    assert ended.returncode == 1
    assert "FAIL  links" in ended.stdout
    assert "core.symlinks=true" in ended.stdout
    ended = maker(linkless, "run", "hanoi")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "maker: maker.cluster is missing from this installation: run `maker doctor`\n"


def test_damaged_weights_are_found_by_the_doctor(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "maker", tmp_path / "maker")
    weights = tmp_path / "maker" / "workers" / "embedded" / "dialects" / "hanoi.npz"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    ended = maker(tmp_path, "doctor")
    assert ended.returncode == 1
    assert "FAIL  weights" in ended.stdout
    ended = maker(tmp_path, "run", "hanoi", "--engine", "inline")
    assert ended.returncode == 1
    assert "hanoi.npz" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('case "$*" in *version_info*) exit 1;; *--version*) echo Python 3.9.2;; esac', "3.11 or newer"),
        ('case "$*" in *ensurepip*) exit 1;; *) exit 0;; esac', "apt install python3-venv"),
        (None, "there is no"),
    ],
)
def test_make_says_what_to_install(tmp_path: Path, script: str | None, message: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / "python3"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    ended = subprocess.run(
        ["make", "demo", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode != 0
    assert message in ended.stdout
