"""A run directory from anywhere is safe to read: nothing in it becomes code, and no text of it acts."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maker import api, chunks
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.support import ROOT, forge, lines_of
from tests.test_export import HOSTILE, Echo, Says

READING = (
    ("ls", "."),
    ("status", "RUN"),
    ("steps", "RUN", "--json"),
    ("steps", "RUN", "--contested"),
    ("steps", "RUN", "--flagged"),
    ("steps", "RUN", "--parked"),
    ("steps", "RUN", "--slow"),
    ("show", "RUN", "a:4"),
    ("show", "RUN", "a:1", "--json"),
    ("verify", "RUN"),
    ("export", "RUN", "--parquet", "RUN-out", "--csv", "RUN-out"),
)

WATCH = """
import json, sys, sysconfig
from pathlib import Path
from typer.main import get_command
from maker.cli import app
from maker.errors import MakerError

command = get_command(app)  # evaluates the annotations of our own functions, once
root, words, plugin = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
trusted = tuple(str(Path(place).resolve()) for place in {root, sys.prefix, sysconfig.get_path("stdlib")})
seen, armed = [], False

def hook(event, arguments):
    if not armed:
        return
    if event == "pickle.find_class":
        seen.append([event, repr(arguments)])
    elif event == "exec" and not imported(arguments[0].co_filename):
        seen.append([event, arguments[0].co_filename])
    elif event == "compile" and not imported(str(arguments[1])):
        seen.append([event, str(arguments[1])])
    elif event == "open" and str(arguments[0]) == plugin:
        seen.append([event, plugin])

def imported(file):
    "The body of a module that is installed, not a piece of data."
    return str(Path(file).resolve()).startswith(trusted) and Path(file).is_file()

sys.addaudithook(hook)
for run in ("warm", "run"):
    armed = run == "run"
    for typed in words:
        try:
            command.main([word.replace("RUN", run) for word in typed], standalone_mode=False)
        except (SystemExit, AttributeError, MakerError):  # the trap is no voter
            pass
armed = False
print("\\n" + json.dumps(seen))
"""

TRAP = """
from pathlib import Path
Path(__file__).with_name("sprung").touch()
from tests.test_export import Echo, Says
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs of hostile texts, `warm` and `run`; what the second one names as its plug-ins is a trap."""
    for name in ("warm", "run"):
        assert api.run(Echo, model=Says, engine="inline", run_dir=tmp_path / name).status == "done"
    (tmp_path / "trap.py").write_text(TRAP)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    trap = str(tmp_path / "trap.py")
    named = {"sha256": hashlib.sha256(TRAP.encode()).hexdigest(), "defined": ""}
    manifest["task"], manifest["models"] = (
        named | {"spec": f"{trap}:Echo"},
        [named | {"spec": f"{trap}:Says"}],
    )
    manifest["voter"], manifest["red_flags"] = named | {"spec": f"{trap}:Path"}, []
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def watched(folder: Path, words: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    """What the interpreter did with data as code while these commands read `run`."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(ROOT), json.dumps(words), str(folder / "trap.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    seen: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_no_reading_command_makes_code_of_data_or_imports_what_a_run_names(folder: Path) -> None:
    assert watched(folder, READING) == []
    assert not (folder / "sprung").exists()
    assert (folder / "run-out" / "samples.parquet").exists(), "the commands did their work"


@pytest.mark.parametrize(
    "words", [("replay", "RUN"), ("verify", "RUN", "--task"), ("show", "RUN", "a:0", "--import")]
)
def test_the_watch_sees_a_command_that_does_import_it(folder: Path, words: tuple[str, ...]) -> None:
    seen = watched(folder, (words,))
    assert ["exec", str(folder / "trap.py")] in seen
    assert (folder / "sprung").exists()


def inert(text: str) -> bool:
    return all(character == "\n" or character.isprintable() for character in text)


@pytest.fixture
def hostile(folder: Path) -> Path:
    """A run whose every text is hostile, forged ones too."""
    run = folder / "warm"
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["maker"] = "\x1b[31m\u202e"
    (run / "manifest.json").write_text(json.dumps(manifest))
    [chunk] = chunks.of(RunDirectory(run).lane("0000"))
    content = lines_of(chunk)
    for record in content[1:]:
        if record["kind"] == "sample":
            record["model"] = record["finish"] = record["echo"] = "m\x1b]0;x\x07\u202e\r"
        if record["kind"] == "decision":
            record["flags"] = [{"reason": "odd\x1b[31m\x9b\u2066", "draws": []}]
            record["votes"].append({"key": "raw\x1b[2J\b", "draws": []})
    forge(chunk, content)
    return run


def test_texts_are_kept_as_they_came(hostile: Path) -> None:
    texts = [sample["text"] for sample in RunDirectory(hostile).records(("sample",))]
    assert texts == [text for text in HOSTILE for _ in range(3)]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_text_of_a_run_acts_on_a_terminal(hostile: Path, form: tuple[str, ...]) -> None:
    commands = [("ls", "."), ("status", "warm"), ("verify", "warm"), ("steps", "warm")]
    commands += [("steps", "warm", flag) for flag in ("--contested", "--flagged", "--slow")]
    commands += [("show", "warm", f"a:{index}") for index in (0, 1, 2, 3, 4, 6)]
    commands += [("show", "warm", "a:4", "--import"), ("replay", "warm"), ("replay", "warm", "--k", "5")]
    commands += [("replay", "warm", "--live", "--step", f"a:{index}") for index in (0, 4)]
    for words, out in zip(commands, outputs(hostile, [(*words, *form) for words in commands]), strict=True):
        assert out.strip(), words
        assert inert(out), words
        if form:
            assert out.isascii()
            assert [json.loads(line) for line in out.splitlines()]


def test_shown_text_can_be_told_from_what_it_was(hostile: Path) -> None:
    places = [("show", "warm", f"a:{index}", "--json") for index in range(len(HOSTILE))]
    for text, out in zip(HOSTILE, outputs(hostile, places), strict=True):
        assert json.loads(out.splitlines()[0])["text"] == text
    places = [words[:-1] for words in places]
    for text, out in zip(HOSTILE, outputs(hostile, places), strict=True):
        assert json.dumps(text) in out


OUTPUTS = """
import contextlib, io, json, sys
from maker.cli import app

for words in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        app(words, standalone_mode=False)
    print(json.dumps(out.getvalue()))
"""


def outputs(run: Path, commands: list[tuple[str, ...]]) -> list[str]:
    """What each command says, all in one process of their own."""
    words = [sys.executable, "-c", OUTPUTS, json.dumps(commands)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=run.parent, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", ["\x1b]0;x\x07", "\u202e"])
def test_an_error_about_a_run_is_inert_too(maker: Maker, hostile: Path, kind: str) -> None:
    [chunk] = chunks.of(RunDirectory(hostile).lane("0000"))
    content = lines_of(chunk)
    content[0]["kind"] = kind
    forge(chunk, content)
    ended = maker("status", hostile)
    assert ended.code == 6
    assert inert(ended.err)
