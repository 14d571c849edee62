"""Looking at a run: status from its headers, steps by filter, a step's samples, checks, an offline replay."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from maker import api, chunks, journal, summary
from maker.decomposers.hanoi import Hanoi
from maker.errors import IncompatibleResumeError
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.test_cli import TORN

NOISY = "sim:error=0.05,flags=0.05"


@pytest.fixture
def run(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of 255 steps in several chunks."""
    monkeypatch.setattr(journal, "CHUNK_BYTES", 20_000)
    folder = maker.folder / "runs" / "r"
    result = api.run(
        "hanoi", params={"disks": 8, "waypoints": 3}, model=NOISY, k=4, engine="inline", run_dir=folder
    )
    assert result.status == "done"
    assert sum(len(chunks.of(RunDirectory(folder).lane(lane))) for lane in RunDirectory(folder).lanes()) > 10
    return folder


def test_status_and_ls_say_what_the_result_said(maker: Maker, run: Path) -> None:
    done = json.loads((run / "result.json").read_text())
    [status], [listed] = maker("status", run, "--json").events, maker("ls", "--json").events
    for name in ("status", "steps", "votes", "samples", "flagged", "contested"):
        assert status[name] == listed[name] == done[name], name
    assert (status["segments_finished"], status["segments_going"], status["parked"]) == (3, 0, {})
    assert "done" in maker("ls").out


def test_steps_can_be_narrowed_down(maker: Maker, run: Path) -> None:
    steps = maker("steps", run, "--json").events
    contested = maker("steps", run, "--json", "--contested").events
    flagged = maker("steps", run, "--json", "--flagged").events
    assert contested == [step for step in steps if len(step["votes"]) > 1] != []
    assert flagged == [step for step in steps if step["flags"]] != []
    both = maker("steps", run, "--json", "--flagged", "--contested", "--range", "10:40").events
    assert both == [step for step in contested if step in flagged and 10 <= step["index"] < 40]
    assert maker("steps", run, "--range", "ten").code == 2


def test_show_tells_what_became_of_every_sample(maker: Maker, run: Path) -> None:
    step = next(
        step for step in maker("steps", run, "--json").events if step["flags"] and len(step["votes"]) > 1
    )
    *shown, prompt, decision = maker("show", run, f"{step['segment']}:{step['index']}").events
    samples = [record for record in shown if record["kind"] == "sample"]
    assert len(samples) == step["samples"]
    assert sum(sample["became"] == "flag malformed" for sample in samples) == step["flags"]["malformed"]
    assert sum(sample["became"].startswith("vote ") for sample in samples) == sum(step["votes"].values())
    assert decision["answer"] == step["answer"]
    assert "current_state" in prompt["messages"][-1]["content"], "what was asked at a contested step"
    assert maker("show", run, "9:9").code == 2
    assert maker("show", run, "nine").code == 2


def test_verify_finds_a_changed_byte(maker: Maker, run: Path) -> None:
    assert maker("verify", run, "--json").events[0]["chunks"] > 10
    chunk = chunks.of(RunDirectory(run).lane("0000"))[1]
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    assert maker("verify", run).code == 6


def test_a_replay_decides_the_same_to_the_byte(maker: Maker, run: Path) -> None:
    ended = maker("replay", run, "--json")
    assert ended.code == 0
    assert ended.events == [{"event": "replayed", "steps": 255, "different": [], "by_person": []}]


def test_a_replay_finds_a_decision_that_the_samples_do_not_give(maker: Maker, run: Path) -> None:
    lane = RunDirectory(run).lane("0000")
    chunk = chunks.of(lane)[-1]
    records = [chunks.decode(chunk, *each) for each in chunks.lines(chunk)]
    step = next(record for record in records if record["kind"] == "decision")
    step["votes"][0]["draws"] = [90, 91, 92, 93]
    crc, forged = 0, b""
    for record in records:
        line, crc = chunks.encode(record, crc)
        forged += line
    chunk.write_bytes(forged)
    ended = maker("replay", run, "--json")
    assert ended.code == 1
    assert ended.events[0]["different"] == [f"{step['segment']}:{step['step']}"]


def test_another_k_on_the_same_samples_says_what_it_would_have_saved_or_missed(
    maker: Maker, run: Path
) -> None:
    steps = maker("steps", run, "--json").events
    [same] = maker("replay", run, "--k", 4, "--json").events
    assert (same["saved"], same["changed"], same["undecided"], same["steps"]) == (0, [], [], 255)
    [fewer] = maker("replay", run, "--k", 3, "--json").events
    assert fewer["undecided"] == fewer["changed"] == []
    assert 255 <= fewer["saved"] < fewer["samples"]
    [more] = maker("replay", run, "--voter", "ahead_by_k:k=6", "--json").events
    assert (len(more["undecided"]), more["missing"]) == (255, 2 * 255)
    [first] = maker("replay", run, "--k", 1, "--json").events
    firsts = [step for step in steps if first_vote(run, step) != next(iter(step["votes"]))]
    assert first["changed"] == [f"{step['segment']}:{step['index']}" for step in firsts] != []


def first_vote(run: Path, step: dict) -> str:
    """The key of the step's first valid draw, from its record."""
    for lane in RunDirectory(run).lanes():
        for record in journal.read(RunDirectory(run).lane(lane), ("decision",)):
            if (record["segment"], record["step"]) == (step["segment"], step["index"]):
                return min(record["votes"], key=lambda votes: min(votes["draws"]))["key"]
    raise AssertionError


def test_resume_goes_on_by_the_manifest_alone(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    words = ("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    assert maker(*words).code == 3
    assert maker("status", "r", "--json").events[0]["parked"] == {"b:2": "undecided after 8 samples"}
    assert maker("steps", "r", "--parked").out.startswith("b:2  4-4  parked: ")
    assert maker("resume", "r").code == 3
    ended = maker("resume", "r", "--max-samples", 20, "--json")
    assert (ended.code, ended.done["status"], ended.done["steps"]) == (0, "done", 12)
    assert maker("replay", "r").code == 0


def test_a_plugin_whose_file_has_changed_is_refused(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    words = ("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    maker(*words)
    (maker.folder / "torn.py").write_text(TORN + "\n# changed\n")
    ended = maker("resume", "r")
    assert ended.code == 7
    assert "sha256" in ended.err


def test_a_resume_of_a_long_run_reads_headers_and_one_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "CHUNK_BYTES", 50_000)
    api.run("hanoi", params={"disks": 11}, model="sim", engine="inline", run_dir=tmp_path / "r")
    lane = RunDirectory(tmp_path / "r").lane("0000")
    headers, after = journal.newest(lane)
    assert len(headers) > 20
    assert len(after) < 300
    assert headers[-1]["totals"]["steps"] > 1900


def test_reading_a_run_imports_no_plugin(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    maker("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    (maker.folder / "torn.py").write_text("raise SystemExit('imported')\n")
    for words in (("status", "r"), ("steps", "r"), ("show", "r", "b:2"), ("verify", "r"), ("ls", ".")):
        ended = maker(*words)
        assert ended.code == 0, ended.err


def test_the_manifest_of_another_task_is_refused_by_the_api(tmp_path: Path) -> None:
    api.run("hanoi", params={"disks": 3}, model="sim", engine="inline", run_dir=tmp_path / "r")
    with pytest.raises(IncompatibleResumeError, match="parameters"):
        api.run(Hanoi, params={"disks": 4}, model="sim", engine="inline", run_dir=tmp_path / "r")


def test_a_run_can_be_looked_at_while_its_owner_seals_chunks(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=16", "--model", "sim", "--run-dir", "r")
    process = maker.start(*words)
    directory, seen = RunDirectory(maker.folder / "r"), []
    deadline = time.monotonic() + 60
    while len(seen) < 300 and process.poll() is None and time.monotonic() < deadline:
        if directory.lanes():
            seen.append(summary.summarise(directory).totals.steps)
    process.kill()
    process.communicate()
    assert seen == sorted(seen)
    assert seen[-1] > 3 * 2800, "it saw at least three chunks sealed"
