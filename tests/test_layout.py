"""The folders at the top are one package through committed links, and a wheel holds all of it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT

FOLDERS = ("decomposers", "voters", "workers", "cluster")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_top_level_folder_is_reached_through_a_link_in_the_package(folder: str) -> None:
    link = ROOT / "maker" / folder
    assert link.is_symlink(), (
        f"maker/{folder} is no symbolic link: clone with core.symlinks=true (Linux, macOS, WSL)"
    )
    assert link.readlink() == Path("..") / folder


def modules() -> set[str]:
    """Every module of the package, by its real files."""
    found = {path.relative_to(ROOT) for path in (ROOT / "maker").rglob("*.py")}
    for folder in FOLDERS:
        found |= {"maker" / path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in found}


def test_the_wheel_built_from_the_sdist_imports_every_module(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
        timeout=200,
    )
    [wheel], [sdist] = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    assert (tmp_path / "installed" / "maker" / "py.typed").exists()
    weights = tmp_path / "installed" / "maker" / "workers" / "embedded" / "dialects"
    assert {file.stem for file in weights.glob("*.npz")} == {
        *("hanoi", "hanoi-2", "hanoi-3", "hanoi-4", "hanoi-5", "hanoi-moves"),
        *("arithmetic", "sorting", "graph"),
    }
    assert (tmp_path / "installed" / "maker" / "template" / "Makefile").exists()
    names = sorted(modules() - {"maker.__main__"})
    assert len(names) > 40
    code = f"import importlib, maker; [importlib.import_module(n) for n in {names!r}]; print(maker.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "installed", capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tmp_path / "installed"))
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("tests/test_layout.py") for name in archive.getnames())


def test_no_module_reads_a_run_with_pickle_eval_or_yaml() -> None:
    banned = (
        "import pickle",
        "cloudpickle",
        "import marshal",
        "import shelve",
        "import yaml",
        " eval(",
        " exec(",
    )
    for folder in ("maker", *FOLDERS):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            assert not [word for word in banned if word in text], path
