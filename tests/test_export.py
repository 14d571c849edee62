"""A run as tables, and its journal as other tools read it: the same counts, every text as it was."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest

from maker import Message, Prompt, Sample, Segment, Step, api, chunks, history, journal, tables
from maker.journal import Lane
from maker.model import Request
from maker.nouns import Json
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.support import ROOT, forge, lines_of
from tests.test_cli import TORN

HOSTILE = [
    "\x1b]8;;http://x\x07click\x1b]8;;\x07 \x1b]52;c;aGk=\x07 \x1b[2J",
    "back\b\b\bspace\rover \x9b31m \x85",
    "\u202eright\u2066to\u200fleft",
    "nul \x00 in the middle",
    "lone \ud800 surrogate \\ and a \udfff",
    "１２３ full width",
    "=cmd|' /C calc'!A0",
    "@sum(1)",
    "+1",
    "-1",
    "\ttab",
    "\rreturn",
    "'quoted",
    'a "quote" \\u0041 \\ backslash',
    "ünï😀",
    "",
]


class Echo:
    """A step for each hostile text; every vote is for that text."""

    def segments(self) -> Iterable[Segment]:
        return [Segment("a", None)]

    def prompt(self, step: Step) -> Prompt | None:
        return Prompt((Message("user", "?"),)) if step.index < len(HOSTILE) else None

    def parse(self, step: Step, text: str) -> Json:
        return text

    def advance(self, step: Step, answer: Json) -> Json:
        return answer

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return finals["a"]


class Says:
    name, temperatures = "says", (None, 0.5)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        text = HOSTILE[request.step.index]
        for seat in request.seats:
            yield Sample(seat, text, "stop", 1, 2, 0.25, text, None, None)

    async def aclose(self) -> None:
        pass


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    result = api.run(Echo, model=Says, engine="inline", run_dir=tmp_path / "h")
    assert (result.status, result.steps) == ("done", len(HOSTILE))
    return tmp_path / "h"


@pytest.fixture
def run(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of 255 steps in two lanes of several chunks, sealed ones and open ones."""
    monkeypatch.setattr(journal, "CHUNK_BYTES", 20_000)
    params, folder = {"disks": 8, "waypoints": 3}, maker.folder / "r"
    model = "sim:error=0.05,flags=0.05"
    assert api.run("hanoi", params=params, model=model, engine="inline", run_dir=folder).status == "done"
    return folder


def read(path: Path) -> list[dict[str, Json]]:
    return pyarrow.parquet.read_table(path).to_pylist()


# -- tables ---------------------------------------------------------------------------------------


def test_an_export_holds_every_record_that_counts(maker: Maker, run: Path) -> None:
    [status] = maker("status", run, "--json").events
    ended = maker("export", run, "--parquet", "out", "--json")
    assert ended.code == 0, ended.err
    [line] = ended.events
    assert (line["samples"], line["decisions"]) == (status["samples"], status["steps"])
    written = {table: read(maker.folder / "out" / f"{table}.parquet") for table in tables.COLUMNS}
    assert {table: len(rows) for table, rows in written.items()} == {table: line[table] for table in written}
    told = [
        r | {"lane": lane} for lane in ("0000", "0001") for r in history.read(RunDirectory(run).lane(lane))
    ]
    for record in told:
        del record["kind"]
    decisions = [
        {**row, **{name: json.loads(row[name]) for name in ("answer", "votes", "flags")}}
        for row in written["decisions"]
    ]
    assert [plain(row) for row in decisions] == [{"by": None} | r for r in told if "answer" in r]
    assert [plain(row) for row in written["samples"]] == [
        {"tokens_cached": None} | r for r in told if "draw" in r
    ]
    events = [{**plain(row), **json.loads(row["rest"])} for row in written["events"]]
    assert [{name: value for name, value in row.items() if value is not None} for row in events] == [
        r for r in told if "event" in r
    ]


def plain(row: dict[str, Json]) -> dict[str, Json]:
    assert row["escaped"] is False
    return {name: value for name, value in row.items() if name not in ("rest", "escaped")}


def test_columns_have_types(run: Path, maker: Maker) -> None:
    maker("export", run, "--parquet", "out")
    schema = pyarrow.parquet.read_schema(maker.folder / "out" / "samples.parquet")
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert (types["step"], types["latency"], types["text"], types["escaped"]) == (
        "int64",
        "double",
        "string",
        "bool",
    )
    file = pyarrow.parquet.ParquetFile(maker.folder / "out" / "samples.parquet")
    assert file.num_row_groups > 10, "one for each chunk, so that memory does not grow with the run"


def test_what_an_overtaken_owner_appended_is_left_out(maker: Maker, run: Path) -> None:
    lane = RunDirectory(run).lane("0000")
    chunk = chunks.of(lane)[-1]
    content = lines_of(chunk)
    steps = maker("export", run, "--parquet", "before", "--json").events[0]["decisions"]
    Lane.claim(lane, content[0]["run"], 9).turn(journal.Page(content[0]["totals"], [], {}))
    late = next(record for record in content if record["kind"] == "sample")
    sealed = next(each for each in chunks.of(lane) if chunks.number(each) == chunks.number(chunk))
    assert chunks.is_sealed(sealed)
    forge(chunk, [*content, late, late])
    sealed.unlink()
    assert maker("export", run, "--parquet", "after", "--json").events[0]["decisions"] == steps
    assert len(read(maker.folder / "after" / "samples.parquet")) == len(
        read(maker.folder / "before" / "samples.parquet")
    )


def test_every_text_survives_a_parquet_file(maker: Maker, hostile: Path) -> None:
    assert maker("export", hostile, "--parquet", "out").code == 0
    rows = read(maker.folder / "out" / "samples.parquet")
    for name in ("text", "echo"):
        texts = [json.loads(f'"{row[name]}"') if row["escaped"] else row[name] for row in rows]
        assert texts == [text for text in HOSTILE for _ in range(3)]
    assert sum(row["escaped"] for row in rows) == 3, "only where UTF-8 cannot hold a text"
    decisions = read(maker.folder / "out" / "decisions.parquet")
    assert [json.loads(row["answer"]) for row in decisions] == HOSTILE


def test_a_csv_cell_is_never_a_formula(maker: Maker, hostile: Path) -> None:
    assert maker("export", hostile, "--csv", "out").code == 0
    with (maker.folder / "out" / "samples.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(HOSTILE)
    for row, text in zip(rows[::3], HOSTILE, strict=True):
        assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
        assert row["escaped"] == "True" or row["text"] in (text, "'" + text)


def test_nothing_is_written_over(maker: Maker, run: Path) -> None:
    out = maker.folder / "out"
    out.mkdir()
    (out / "events.parquet").write_text("mine")
    ended = maker("export", run, "--parquet", "out")
    assert ended.code == 2
    assert "events.parquet exists" in ended.err
    assert [path.name for path in out.iterdir()] == ["events.parquet"]
    assert (out / "events.parquet").read_text() == "mine"
    assert maker("export", run).code == 2


def test_a_damaged_run_leaves_no_file(maker: Maker, hostile: Path) -> None:
    [chunk] = chunks.of(RunDirectory(hostile).lane("0000"))
    content = lines_of(chunk)
    content[-2]["step"] = "many"
    forge(chunk, content)
    ended = maker("export", hostile, "--parquet", "out")
    assert ended.code == 6
    assert "have a step of type str, expected int" in ended.err
    assert list((maker.folder / "out").iterdir()) == []


def test_a_number_that_no_column_holds_is_damage(maker: Maker, hostile: Path) -> None:
    [chunk] = chunks.of(RunDirectory(hostile).lane("0000"))
    content = lines_of(chunk)
    content[3]["tokens_in"] = 1 << 70
    forge(chunk, content)
    assert maker("export", hostile, "--parquet", "out").code == 6


def test_without_pyarrow_a_sentence_says_what_to_install(maker: Maker, hostile: Path) -> None:
    code = "import sys; sys.modules['pyarrow'] = None; from maker.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "export", hostile, "--parquet", "out"],
        **{"cwd": maker.folder, "capture_output": True, "text": True},
    )
    assert done.returncode == 2
    assert "pip install pyarrow" in done.stderr
    assert "Traceback" not in done.stderr


# -- the journal as it is -------------------------------------------------------------------------


def counts_by_duckdb(run: Path) -> dict[str, int]:
    """With the query of docs/reading-a-run.md."""
    [query] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "reading-a-run.md").read_text(), re.DOTALL)
    return dict(duckdb.sql(query.replace("RUN", str(run))).fetchall())


def counts_by_pandas(run: Path) -> dict[str, int]:
    """With the lines of docs/reading-a-run.md."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "reading-a-run.md").read_text(), re.DOTALL)
    code = code.replace('"RUN/', f'"{run}/') + "print(records['kind'].value_counts().to_json())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("counts", [counts_by_duckdb, counts_by_pandas])
def test_other_tools_read_a_journal_as_it_is(
    maker: Maker, run: Path, counts: Callable[[Path], dict[str, int]]
) -> None:
    [status] = maker("status", run, "--json").events
    forms = Counter(path.suffix for path in run.glob("lanes/*/*.jsonl*"))
    assert forms[".zst"] > 5
    assert forms[".jsonl"] == 2
    found = counts(run)
    assert (found["decision"], found["sample"]) == (status["steps"], status["samples"])
    assert found["header"] == forms.total()


def test_other_tools_read_a_parked_run_as_it_is(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    maker("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    [status] = maker("status", "r", "--json").events
    for counts in (counts_by_duckdb, counts_by_pandas):
        found = counts(maker.folder / "r")
        assert (found["decision"], found["sample"]) == (status["steps"], status["samples"]) == (10, 38)
