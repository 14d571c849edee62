"""A run goes on only as what it was: every field in turn, allowed or refused, before anything is imported."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from maker import compatibility, plugins
from maker.nouns import Json
from tests.conftest import Ended, Maker
from tests.support import ROOT

FILES = {
    "pack/__init__.py": "",
    "pack/wording.py": 'TEMPLATE = "which letter?"\n',
    "pack/task.py": '''
from maker import InputFile, Message, Prompt, Segment
from pack.wording import TEMPLATE


class Task:
    """At step 1 the votes are even until draw 8."""

    def __init__(
        self, length: int = 3, names: dict[str, int] = {}, loud: bool = False, input: InputFile | None = None
    ):
        self.length, self.end = length, "!" if loud else ""
        assert input is None or b"what" in input.read()

    def segments(self):
        return [Segment("s", None)]

    def prompt(self, step):
        return Prompt((Message("user", TEMPLATE + self.end),)) if step.index < self.length else None

    def parse(self, step, text):
        return text

    def advance(self, step, answer):
        return step.state

    def same(self, step, first, answer):
        return False

    def judge(self, step, first, answer):
        return Prompt((Message("user", "are they the same?"),))

    def stitch(self, finals):
        return finals


class Other(Task):
    pass
''',
    "questions.txt": "what is asked\n",
    "drawing.py": """
from maker import Sample


class Model:
    name, temperatures = "mine", (None, None)

    def __init__(self, bias: int = 0, base_url: str = "", give_up_after: str = ""):
        pass

    async def draw(self, request):
        for seat in request.seats:
            torn = request.step.index == 1 and seat.draw < 8
            yield Sample(seat, "xy"[seat.draw % 2] if torn else "x", "stop", 1, 1, 0.0)

    async def aclose(self):
        pass


class Another(Model):
    name = "another"
""",
    "judging.py": "from drawing import Model\n\n\nclass Judge(Model):\n    name = 'judge'\n",
    "voting.py": "from maker.voters import AheadByK\n\n\nclass Lead(AheadByK):\n    pass\n",
    "flagging.py": 'def long(sample):\n    return "long" if len(sample.text) > 9 else None\n\n\n'
    "class Long:\n    def __call__(self, sample):\n        return long(sample)\n",
}
COMMAND: dict[str, object] = {
    "task": "pack.task:Task",
    "-T": ["length=3", 'names={"a": 1, "b": 2}', "loud=false"],
    "--input": "questions.txt",
    "--model": ["drawing.py:Model:bias=1"],
    "--judge": ["judging.py:Judge"],
    "--voter": "voting.py:Lead:k=2",
    "--red-flags": "flagging.py:Long",
    "--seed": 5,
    "--max-samples": 8,
    "--workers": 1,
}


@dataclass(frozen=True)
class Row:
    """One change. `field` is how the table names what differs; None where the run goes on."""

    name: str
    field: str | None
    words: dict[str, object] | None = None
    edit: str | None = None
    """A file of the task or its plug-ins that has a line more, or (with `old`) another text."""
    old: str = ""
    new: str = ""
    manifest: dict[str, Json] | None = None


def param(number: int, text: str) -> dict[str, object]:
    given = [*COMMAND["-T"]]  # type: ignore[misc]
    return {"-T": [*given[:number], text, *given[number + 1 :]]}


REFUSED = [
    Row("task", "task.spec", {"task": "pack.task:Other"}),
    Row("a parameter of the task: length", "parameters.length", param(0, "length=4")),
    Row("a parameter of the task: names", "parameters.names.b", param(1, 'names={"a": 1, "b": 3}')),
    Row("a parameter of the task: loud", "parameters.loud", param(2, "loud=true")),
    Row("the content of an input file", "parameters.input.sha256", edit="questions.txt", old="is", new="was"),
    Row("the task's file", "task.sha256", edit="pack/task.py"),
    Row(
        "the first prompt, worded in another file", "prompt", edit="pack/wording.py", old="which", new="what"
    ),
    Row("a model", "models.0.spec", {"--model": ["drawing.py:Another:bias=1"]}),
    Row("a model more", "models.1.spec", {"--model": ["drawing.py:Model:bias=1", "drawing.py:Another"]}),
    Row("a model's options", "models.0.spec", {"--model": ["drawing.py:Model:bias=2"]}),
    Row("a model's file", "models.0.sha256", edit="drawing.py"),
    Row("a judge", "judges.0.spec", {"--judge": ["drawing.py:Another"]}),
    Row("no judge any more", "judges.0.spec", {"--judge": ["none"]}),
    Row("a judge's file", "judges.0.sha256", edit="judging.py"),
    Row("the voter or its k", "voter.spec", {"--voter": "voting.py:Lead:k=3"}),
    Row("the voter's file", "voter.sha256", edit="voting.py"),
    Row("the red flags", "red_flags.0.spec", {"--red-flags": "truncated"}),
    Row("a red flag's file", "red_flags.0.sha256", edit="flagging.py"),
    Row("the seed", "seed", {"--seed": 6}),
    Row("the ladder", "escalate.0", {"--escalate": "park"}),
    Row("a newer format", "", manifest={"format": 2}),
]
ALLOWED = [
    Row("the cap on samples", None, {"--max-samples": 20}),
    Row("what the run may spend, and prices", None, {"--max-calls": 900, "--price": "1,2"}),
    Row("the workers", None, {"--workers": 3}),
    Row("the engine", None, {"--engine": "ray"}),
    Row("an endpoint's address", None, {"--base-url": "http://127.0.0.1:1/v1"}),
    Row("how long an endpoint is tried", None, {"--give-up-after": "5m"}),
    Row("how often the journal is synced", None, {"--durability": "step"}),
    Row("the version of Maker", None, manifest={"maker": "0.0.1"}),
    Row("the working directory", None),
]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plug-ins and a run of them that is parked."""
    folder = tmp_path_factory.mktemp("begun")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    ended = Maker(folder, MAKER_ENGINE="inline")(*words({}), "--run-dir", "run")
    assert ended.code == 3, ended.err
    return folder


@pytest.fixture
def folder(begun: Path) -> Iterator[Path]:
    """The same for one test, which may change its files and its run."""
    shutil.copytree(begun / "run", begun / "r")
    yield begun
    shutil.rmtree(begun / "r")
    (begun / "imported").unlink(missing_ok=True)
    for name, text in FILES.items():
        (begun / name).write_text(text)


def words(changed: dict[str, object]) -> list[object]:
    command = COMMAND | changed
    found: list[object] = ["run", command.pop("task")]
    for option, value in command.items():
        for each in value if isinstance(value, list) else [value]:
            found += [option, each]
    return found


def run(folder: Path, row: Row) -> Ended:
    if row.edit:
        text = FILES[row.edit]
        (folder / row.edit).write_text(
            text.replace(row.old, row.new) if row.old else f"{text}\n# a line more\n"
        )
    if row.manifest:
        path = folder / "r" / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | row.manifest))
    return Maker(folder, MAKER_ENGINE="inline")(*words(row.words or {}), "--run-dir", "r")


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_a_change_that_could_change_an_answer_is_refused(folder: Path, row: Row) -> None:
    before = (folder / "r" / "manifest.json").read_bytes()
    ended = run(folder, row)
    assert ended.code == 7, ended.err
    assert ended.out == ""
    if row.manifest:
        assert "format 2, this version reads up to 1: update maker" in ended.err
        return
    assert (folder / "r" / "manifest.json").read_bytes() == before
    *_, last = ended.err.splitlines()
    assert re.search(rf"^  {re.escape(row.field or '')} ", ended.err, re.MULTILINE), ended.err
    assert "fork" in last
    could = (row.field or "").split(".")[0] not in ("task", "parameters", "prompt")
    assert ("maker fork" in last) == could
    assert ("begin a new run" in last) != could


@pytest.mark.parametrize("row", ALLOWED, ids=lambda row: row.name)
def test_a_change_of_how_a_run_is_carried_out_is_allowed(folder: Path, row: Row) -> None:
    ended = run(folder, row)
    assert ended.code == (0 if row.words and "--max-samples" in row.words else 3), ended.err


def test_a_file_is_the_same_one_from_another_working_directory(folder: Path) -> None:
    elsewhere = folder / "pack"
    changed = {
        "--input": "../questions.txt",
        "--model": ["../drawing.py:Model:bias=1"],
        "--judge": ["../judging.py:Judge"],
        "--voter": f"{folder}/voting.py:Lead:k=2",
        "--red-flags": "../pack/../flagging.py:Long",
    }
    maker = Maker(elsewhere, MAKER_ENGINE="inline", PYTHONPATH=str(folder))
    ended = maker(*words(changed), "--run-dir", "../r")
    assert ended.code == 3, ended.err


def test_the_table_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    rows = dict(re.findall(r"^\| (.+?) \| (refused|allowed) \|", text, re.MULTILINE))
    expected = {row.name: "refused" for row in REFUSED} | {row.name: "allowed" for row in ALLOWED}
    parameters = [name for name in expected if name.startswith("a parameter of the task: ")]
    for name in parameters:
        del expected[name]
    assert rows == expected | {"a parameter of the task": "refused"}


def test_a_row_shows_only_what_differs_and_short(folder: Path) -> None:
    ended = run(folder, Row("", "", param(1, f'names={{"a": 1, "b": 2, "{"c" * 90}": 7}}')))
    table = [line for line in ended.err.splitlines() if line.startswith("  ")]
    assert len(table) == 2, table
    assert table[0].split("  ")[-1] == "in this command"
    assert table[1].split()[-2:] == ["(none)", "7"]
    ended = run(folder, Row("", "", {"--voter": "voting.py:Lead:k=3", "--seed": 9}))
    assert f"maker fork {folder}/r --at SEGMENT:INDEX --run-dir NEW" in ended.err
    assert "--voter" in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].endswith("--seed 9")


MARK = '\nopen("imported", "w").close()\n'
DECIDE = ("decide", "r", "s:1", "--answer", '"x"')
FORK = ("fork", "r", "--at", "s:1", "--run-dir", "new")


@pytest.mark.parametrize(
    "command", [("resume", "r"), ("replay", "r"), DECIDE, FORK], ids=lambda words: words[0]
)
@pytest.mark.parametrize("file", ["pack/task.py", "voting.py", "flagging.py"])
def test_a_plugin_whose_file_has_changed_is_not_imported(
    folder: Path, command: tuple[str, ...], file: str
) -> None:
    (folder / file).write_text(FILES[file] + MARK)
    ended = Maker(folder, MAKER_ENGINE="inline")(*command)
    assert ended.code == 7, ended.err
    assert "sha256" in ended.err
    assert "fork" in ended.err.splitlines()[-1]
    assert not (folder / "imported").exists()
    assert not (folder / "new").exists()


def test_a_models_file_matters_to_who_draws_and_not_to_who_reads(folder: Path) -> None:
    (folder / "drawing.py").write_text(FILES["drawing.py"] + MARK)
    maker = Maker(folder, MAKER_ENGINE="inline")
    assert maker("resume", "r").code == 7
    assert maker(*FORK).code == 7
    assert maker("replay", "r").code == 0
    assert maker(*DECIDE).code == 0
    assert not (folder / "imported").exists()


def test_a_replay_imports_what_has_changed_if_told_to_and_a_resume_never(folder: Path) -> None:
    (folder / "pack" / "task.py").write_text(FILES["pack/task.py"] + MARK)
    maker = Maker(folder, MAKER_ENGINE="inline")
    assert "maker replay r --import" in maker("replay", "r").err
    assert maker("resume", "r", "--import").code == 2
    assert not (folder / "imported").exists()
    assert maker("replay", "r", "--import").code == 0
    assert (folder / "imported").exists()


def test_a_plugin_that_is_gone_is_a_difference(folder: Path) -> None:
    (folder / "voting.py").unlink()
    ended = Maker(folder, MAKER_ENGINE="inline")("resume", "r")
    assert ended.code == 7
    assert re.search(r"^  voter.sha256 +[0-9a-f]{12}\.\.\. +\(none\)$", ended.err, re.MULTILINE), ended.err


def test_a_fork_that_names_another_voter_does_not_mind_the_changed_one(folder: Path) -> None:
    (folder / "voting.py").write_text(FILES["voting.py"] + MARK)
    ended = Maker(folder, MAKER_ENGINE="inline")(*FORK, "--k", 2)
    assert ended.code == 0, ended.err
    assert not (folder / "imported").exists()
    shutil.rmtree(folder / "new")


def test_locating_a_plugin_runs_nothing_not_even_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loudpack" / "deep").mkdir(parents=True)
    for name in ("loudpack/__init__.py", "loudpack/deep/__init__.py", "loudpack/deep/task.py"):
        (tmp_path / name).write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    place = plugins.locate(plugins.DECOMPOSERS, "loudpack.deep.task:Task")
    assert place.file == tmp_path / "loudpack" / "deep" / "task.py"
    assert plugins.locate(plugins.DECOMPOSERS, "loudpack.none:Task").sha256 == ""
    found = plugins.locate(plugins.VOTERS, "ahead_by_k:k=3")
    assert found.file is not None
    assert found.file.name == "ahead_by_k.py", "a built-in's digest is of the file that defines it"


def test_a_class_that_a_module_only_imports_is_known_by_both_files() -> None:
    found = plugins.find(plugins.VOTERS, "maker.voters:AheadByK")
    assert found.defined == plugins.find(plugins.VOTERS, "ahead_by_k").sha256 != found.sha256
    assert plugins.find(plugins.VOTERS, "ahead_by_k").defined == ""


def test_values_are_compared_as_they_are_and_not_as_they_look() -> None:
    leaves: Callable[[Json], object] = lambda value: dict(compatibility._leaves("", value))  # noqa: E731
    assert leaves({"a": {"b": [1, {}]}, "c": 0}) == {"a.b.0": 1, "a.b.1": "(none)", "c": 0}
