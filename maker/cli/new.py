"""`maker new`: a folder with a decomposer, its tests and the commands to run it: ready to be changed."""

from __future__ import annotations

import json
import keyword
import re
import sys
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

import maker
from maker.cli.run import AsJson
from maker.errors import UsageError

FILES = ("newtask.py", "test_newtask.py", "Makefile", "README.md")


def new(
    name: Annotated[str, typer.Argument(help="Of the task: its folder, module and, in capitals, its class.")],
    as_json: AsJson = False,
) -> None:
    """Write a folder NAME with a decomposer of your own, which runs and passes its tests as it is."""
    _check(name)
    folder = Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already: give another name, or remove it")
    folder.mkdir(exist_ok=True)
    title = _title(name)
    for file in FILES:
        text = (files("maker.template") / file).read_text("utf-8")
        (folder / file.replace("newtask", name)).write_text(_renamed(text, name, title), "utf-8")
    if as_json:
        made = [file.replace("newtask", name) for file in FILES]
        print(json.dumps({"folder": name, "task": f"{name}.py:{title}", "files": made}))
    else:
        print(f"{name}/ is ready:\n    cd {name}\n    make test")
        print(f"    maker run {name}.py:{title} --model sim:error=0.05")


def _renamed(text: str, name: str, title: str) -> str:
    own = text.replace("maker.template.newtask", name).replace("newtask", name).replace("NewTask", title)
    return own.replace("@PYTHON@", sys.executable)


def _title(name: str) -> str:
    """Of its class."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _check(name: str) -> None:
    """The name becomes a module beside the tests: it must be one, and hide none."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot name a task: expected a small letter, then small letters, digits and _, "
            "such as invoices"
        )
    title = _title(name)
    if keyword.iskeyword(title) or title in maker.__all__ or title in ("Iterable", "Mapping"):
        raise UsageError(f"{name} would hide {title}, which it needs: give another name, such as my_{name}")
    if name in sys.stdlib_module_names or name in packages_distributions() or name in ("maker", "conftest"):
        raise UsageError(f"{name} would hide a Python module: give another name, such as my_{name}")
