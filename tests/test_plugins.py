"""Plug-ins are found by name, module or file; the constructor types their options; mistakes are explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from maker import api, options, plugins
from maker.errors import PluginError, UsageError
from maker.options import Seconds
from maker.plugins import DECOMPOSERS, MODELS, RED_FLAGS, VOTERS


class Thing:
    def __init__(
        self,
        name: str,
        task: object,
        size: int = 3,
        wait: Seconds = 0.0,
        mode: Literal["a", "b"] = "a",
        on: bool = False,
        rows: list[int] | None = None,
    ) -> None:
        self.values = (name, task, size, wait, mode, on, rows)


def test_options_become_what_the_constructor_is_annotated_with() -> None:
    words, named = options.split("left,size=5,wait=20ms,mode=b,on=true,rows=[1,2]")
    made = options.build(Thing, "thing", words, named, task="the task")
    assert made.values == ("left", "the task", 5, 0.02, "b", True, [1, 2])


def test_an_inherited_constructor_types_its_options_too() -> None:
    class Child(Thing):
        pass

    made = options.build(Child, "child", *options.split("left,size=5"), task=0)
    assert made.values[:3] == ("left", 0, 5)


@pytest.mark.parametrize(
    ("text", "seconds"), [("20ms", 0.02), ("1.5s", 1.5), ("10m", 600), ("3", 3), ("2h", 7200)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert options.build(Thing, "thing", ["x"], {"wait": text}, task=0).values[3] == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,sise=5", "no option sise; options: name, size, wait, mode, on, rows"),
        ("x,size=big", "size='big'"),
        ("x,mode=c", "mode='c'"),
        ("x,wait=soon", "wait='soon'"),
        ("x,rows=[1", "rows='\\[1': Invalid JSON"),
        ("x,task=mine", "no option task"),
        ("size=5", "name must be given"),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options.build(Thing, "thing", *options.split(text), task=0)


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (DECOMPOSERS, {"hanoi"}),
        (MODELS, {"embedded", "openai", "sim"}),
        (VOTERS, {"ahead_by_k", "first_to_k", "majority"}),
        (RED_FLAGS, {"too_long", "truncated", "refusal", "malformed"}),
    ],
)
def test_built_ins_are_installed_as_entry_points_that_load(group: str, names: set[str]) -> None:
    assert names <= {entry.name for entry in plugins.listed(group)}
    for name in names:
        assert callable(plugins.find(group, name).target)


def test_listing_imports_nothing() -> None:
    code = (
        "import sys; from maker import plugins; plugins.listed(plugins.MODELS);"
        "print([m for m in ('openai', 'ray', 'numpy', 'maker.workers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_is_a_plugin_wherever_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("class Voter:\n    def __init__(self, k: int): self.k = k\n")
    monkeypatch.chdir(tmp_path)
    found = plugins.find(VOTERS, "./mine.py:Voter:k=4")
    assert found.spec == f"{tmp_path}/mine.py:Voter:k=4"
    assert found.make().k == 4
    assert len(found.sha256) == 64


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "beside_the_plugin.py").write_text("class Known:\n    pass\n")
    (tmp_path / "sib.py").write_text("from beside_the_plugin import Known\n\n\nclass Sib(Known):\n    pass\n")
    found = plugins.find(DECOMPOSERS, f"{tmp_path}/sib.py:Sib")
    assert type(found.make()).__mro__[1].__module__ == "beside_the_plugin"
    assert sys.path[-1] == str(tmp_path), "last, so that it hides nothing"


def test_a_module_is_a_plugin() -> None:
    assert plugins.find(VOTERS, "maker.voters:FirstToK:k=2").make().k == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing", "no voter 'nothing'; expected one of ahead_by_k, best_of, escalating, first_to_k, "),
        ("no.such.module:X", "there is no module no.such.module"),
        ("maker.voters:Nobody", "has no class or function Nobody"),
        ("./missing.py:X", "there is no file"),
        (f"{__file__}:Nobody", f"{Path(__file__).name} has no class or function Nobody"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plugins.find(VOTERS, spec)


def test_a_file_that_raises_is_the_plugins_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        plugins.find(VOTERS, f"{tmp_path}/broken.py:X")
    (tmp_path / "raises.py").write_text("class X:\n    def __init__(self): raise OSError('no')\n")
    with pytest.raises(PluginError, match="could not be made: OSError: no"):
        plugins.find(VOTERS, f"{tmp_path}/raises.py:X").make()


class Says:
    pass


@pytest.mark.parametrize("given", [Says(), 3, ["sim", Says()]])
def test_what_is_no_plug_in_is_told_by_its_type_with_what_was_expected(given: object) -> None:
    for option in ("model", "judge"):
        with pytest.raises(UsageError, match=rf"^{option}: seen a value of type (Says|int), expected a name"):
            api.run("hanoi", **{"model": "sim", option: given})  # type: ignore[arg-type]
