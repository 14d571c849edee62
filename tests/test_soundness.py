"""`maker verify`: bytes, order, joins, what headers claim; and with --task the judgement of the task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import api, chapters, chunks, journal, soundness
from maker.errors import JournalDamagedError
from maker.records import Record
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.support import forge, lines_of
from tests.test_cli import TORN
from tests.test_recovery import SMALL, Fickle, live


@pytest.fixture
def run(maker: Maker) -> Path:
    """A run of 31 steps in one chunk: what is forged there has no digest to break."""
    folder = maker.folder / "r"
    model = "sim:error=0.2,flags=0.2"
    assert api.run("hanoi", params={"disks": 5}, model=model, k=4, engine="inline", run_dir=folder).verified
    return folder


def chunk_of(run: Path) -> Path:
    [chunk] = chunks.of(RunDirectory(run).lane("0000"))
    return chunk


def test_a_run_of_several_chunks_checks_out(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CHUNK_BYTES", 20_000)
    params = {"disks": 8, "waypoints": 3}
    result = api.run(
        "hanoi", params=params, model="sim:error=0.05", engine="inline", run_dir=maker.folder / "r"
    )
    [line] = maker("verify", "r", "--json").events
    counts = {name: line[name] for name in ("lanes", "segments", "steps", "samples")}
    assert counts == {"lanes": 2, "segments": 3, "steps": 255, "samples": result.samples}
    assert line["chunks"] > 10


def test_a_changed_byte_is_found(maker: Maker, run: Path) -> None:
    data = bytearray(chunk_of(run).read_bytes())
    data[len(data) // 2] ^= 1
    chunk_of(run).write_bytes(data)
    ended = maker("verify", run)
    assert ended.code == 6
    assert str(chunk_of(run)) in ended.err


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), budgets=st.lists(st.integers(1, 60), max_size=6))
def test_a_lane_whose_owners_died_again_and_again_checks_out(
    tmp_path_factory: pytest.TempPathFactory, seed: int, budgets: list[int]
) -> None:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "CHUNK_BYTES", SMALL)
        for budget in [*budgets, -1]:
            live(directory.lane("0000"), Fickle(seed, budget))
            soundness.check(directory)
    assert soundness.check(directory).steps == 36


def test_a_parked_run_checks_out(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    maker("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    assert maker("verify", "r").code == 0
    maker("resume", "r", "--max-samples", 20)
    assert maker("verify", "r", "--task").code == 0
    assert "no judge" in maker("verify", "r", "--task").out


Change = Callable[[list[Record]], None]


def nth(content: list[Record], number: int, **fields: str) -> int:
    """Where the record number `number` of a form stands."""
    found = [i for i, record in enumerate(content) if fields.items() <= record.items()]
    return found[number]


def lose_decision(content: list[Record]) -> None:
    del content[nth(content, 7, kind="decision")]


def repeat_decision(content: list[Record]) -> None:
    at = nth(content, 7, kind="decision")
    content.insert(at, content[at])


def lose_sample(content: list[Record]) -> None:
    del content[nth(content, 9, kind="sample")]


def vote_for_nothing(content: list[Record]) -> None:
    content[nth(content, 7, kind="decision")]["votes"][0]["draws"].append(77)


def vote_twice(content: list[Record]) -> None:
    draws = content[nth(content, 7, kind="decision")]["votes"][0]["draws"]
    draws.append(draws[0])


def sample_of_another_state(content: list[Record]) -> None:
    content[nth(content, 9, kind="sample")]["state"] = "0" * 16


def sample_of_another_step(content: list[Record]) -> None:
    content[nth(content, 9, kind="sample")]["step"] = 30


def open_twice(content: list[Record]) -> None:
    content.append(content[nth(content, 0, event="open")])


def go_on_after_the_end(content: list[Record]) -> None:
    content.append({**content[nth(content, 30, kind="decision")], "step": 31})


def sample_of_no_segment(content: list[Record]) -> None:
    content[nth(content, 9, kind="sample")]["segment"] = "7"


def end_too_soon(content: list[Record]) -> None:
    content[nth(content, 0, event="finish")]["steps"] = 30


def no_draws(content: list[Record]) -> None:
    del content[nth(content, 7, kind="decision")]["votes"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose_decision, "a decision of step 0:8, expected step 7"),
        (repeat_decision, "a decision of step 0:7, expected step 8"),
        (lose_sample, "which is no sample of it from that state"),
        (vote_for_nothing, "step 0:7 counts draw 77, which is no sample"),
        (vote_twice, "step 0:7 counts draw 0 twice"),
        (sample_of_another_state, "which is no sample of it from that state"),
        (sample_of_another_step, "which is no sample of it from that state"),
        (open_twice, "segment 0 is opened a second time"),
        (go_on_after_the_end, "a decision of segment 0, which is not under way"),
        (sample_of_no_segment, "a sample of segment 7, which was not opened"),
        (end_too_soon, "the end of step 0:30, expected step 31"),
        (no_draws, "a record is not of format"),
    ],
)
def test_records_that_do_not_fit_together_are_found_with_their_place(
    maker: Maker, run: Path, change: Change, message: str
) -> None:
    content = lines_of(chunk_of(run))
    change(content)
    forge(chunk_of(run), content)
    ended = maker("verify", run)
    assert (ended.code, ended.out) == (6, "")
    assert message in ended.err
    assert str(chunk_of(run)) in ended.err


def less_steps(header: Record) -> None:
    header["totals"]["steps"] -= 1


def hide_contested(header: Record) -> None:
    header["before"]["contested"] += 1


def forget_segment(header: Record) -> None:
    header["going"].pop()


def another_head(header: Record) -> None:
    header["going"][0]["step"] += 1


def lose_open_sample(header: Record) -> None:
    header["going"][0]["samples"].pop()


@pytest.mark.parametrize(
    "change", [less_steps, hide_contested, forget_segment, another_head, lose_open_sample]
)
def test_a_header_that_says_other_than_the_chunk_before_it_holds_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Record], None]
) -> None:
    directory = RunDirectory(tmp_path)
    monkeypatch.setattr(journal, "CHUNK_BYTES", SMALL)
    live(directory.lane("0000"), Fickle(3, 79))
    last = chapters.of(directory.lane("0000"))[-1]
    assert last.header["going"][0]["samples"]
    content = lines_of(last.chunk)
    change(content[0])
    forge(last.chunk, content)
    with pytest.raises(
        JournalDamagedError, match=r"at byte 0: the header's .* are not what the records give"
    ):
        soundness.check(directory)


def test_the_task_judges_a_finished_run_again(maker: Maker, run: Path) -> None:
    ended = maker("verify", run, "--task", "--json")
    assert ended.code == 0
    assert ended.events[1]["verified"] is True
    assert ended.events[1]["result"] == json.loads((run / "result.json").read_text())["result"]


def test_the_first_bad_step_is_named(maker: Maker, run: Path) -> None:
    content = lines_of(chunk_of(run))
    content[nth(content, 7, kind="decision")]["answer"]["move"] = [5, 1, 0]
    forge(chunk_of(run), content)
    ended = maker("verify", run, "--task", "--json")
    assert ended.code == 1
    assert (ended.events[1]["verified"], ended.events[1]["step"]) == (False, "0:7")
    assert "at step 0:7" in maker("verify", run, "--task").out


def test_an_unfinished_run_is_not_judged(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    maker("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    ended = maker("verify", "r", "--task")
    assert ended.code == 2
    assert "segment b has not finished" in ended.err
