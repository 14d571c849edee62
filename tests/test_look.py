"""Looking at a run: status from its headers, steps by filter, a step's samples and prompt."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from maker import api, chapters, chunks, history, journal, records, steps, summary
from maker.chapters import Chapter, Selection
from maker.decomposers.hanoi import Hanoi
from maker.errors import IncompatibleResumeError
from maker.nouns import Step
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.support import forge, lines_of
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
    listed = maker("steps", run, "--json").events
    contested = maker("steps", run, "--json", "--contested").events
    flagged = maker("steps", run, "--json", "--flagged").events
    assert contested == [step for step in listed if len(step["votes"]) > 1] != []
    assert flagged == [step for step in listed if step["flags"]] != []
    both = maker("steps", run, "--json", "--flagged", "--contested", "--range", "10:40").events
    assert both == [step for step in contested if step in flagged and 10 <= step["index"] < 40]
    assert maker("steps", run, "--range", "ten").code == 2
    backward = maker("steps", run, "--range", "2:1")
    assert (backward.code, "--range 2:1: no step is between them" in backward.err) == (2, True)


def test_a_filter_reads_only_chunks_that_headers_do_not_rule_out(run: Path) -> None:
    directory = RunDirectory(run)
    for sorts in (("contested",), ("flagged",), ("contested", "flagged")):
        selection, read = Selection(sorts=sorts), 0
        for lane in directory.lanes():
            found = chapters.of(directory.lane(lane))
            kept = [chapter for chapter in found if selection.reads(chapter)]
            read += len(kept)
            for chapter in found:
                assert chapter in kept or not any(map(selection.takes, chapter.records("decision")))
        assert 0 < read < sum(len(chapters.of(directory.lane(lane))) for lane in directory.lanes())


def places(chapter: Chapter) -> set[tuple[str, int]]:
    """Steps that a chunk holds records of."""
    return {(record["segment"], record["step"]) for record in chapter.records("sample", "decision")}


def test_headers_tell_which_chunks_hold_records_of_a_step(run: Path) -> None:
    for lane in RunDirectory(run).lanes():
        found = chapters.of(RunDirectory(run).lane(lane))
        held = [
            {(r["segment"], r["step"]) for r in chapter.records("sample", "decision")} for chapter in found
        ]
        for place in set[tuple[str, int]]().union(*held):
            touched = [chapter.may_touch(*place) for chapter in found]
            assert all(may for may, here in zip(touched, held, strict=True) if place in here)
            assert sum(touched) <= 3 < len(found), place


def test_the_slowest_steps_come_first(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=5", "-T", "waypoints=2", "--run-dir", "r")
    maker(*words, "--model", "sim:error=0.1,latency=1ms,sigma=1.0")
    seconds, samples = Counter[str](), Counter[str]()
    for record in RunDirectory(maker.folder / "r").records(("sample",)):
        place = f"{record['segment']}:{record['step']}"
        seconds[place] += record["latency"]
        samples[place] += 1
    listed = maker("steps", "r", "--slow", "--json").events
    assert len(listed) == 20
    told = {f"{step['segment']}:{step['index']}": step for step in listed}
    assert list(told) == [place for place, _ in seconds.most_common(20)]
    for place, step in told.items():
        assert (step["seconds"], step["samples"]) == (pytest.approx(seconds[place]), samples[place])
    assert [
        step | {"seconds": 0} for step in maker("steps", "r", "--slow", "--json", "--limit", 3).events
    ] == [step | {"seconds": 0} for step in listed[:3]]
    assert len(maker("steps", "r", "--json", "--limit", 7).events) == 7
    assert f"{listed[0]['samples']} samples" in maker("steps", "r", "--slow").out.splitlines()[0]


def test_show_tells_what_became_of_every_sample(maker: Maker, run: Path) -> None:
    step = next(
        step for step in maker("steps", run, "--json").events if step["flags"] and len(step["votes"]) > 1
    )
    place = f"{step['segment']}:{step['index']}"
    prompt, *samples, decision = maker("show", run, place, "--json").events
    assert len(samples) == step["samples"]
    assert sum(sample["became"] == "flag malformed" for sample in samples) == step["flags"]["malformed"]
    assert sum(sample["became"].startswith("vote ") for sample in samples) == sum(step["votes"].values())
    assert decision["answer"] == step["answer"]
    assert "current_state" in prompt["messages"][-1]["content"], "what was asked at a contested step"
    text = maker("show", run, place).out
    assert text.count("flag malformed") == step["flags"]["malformed"]
    assert json.dumps(samples[0]["text"]) in text
    assert maker("show", run, "9:9").code == 2
    assert maker("show", run, "nine").code == 2


def test_a_prompt_that_is_not_on_record_is_rendered_again_when_asked_for(maker: Maker, run: Path) -> None:
    subject = Hanoi(disks=8, waypoints=3)
    first = {segment.id: segment.state for segment in subject.segments()}
    answers = [answer for name, _, answer in steps.decided(RunDirectory(run)) if name == "1"]
    for index in (0, 1, 40, 84):
        state = first["1"] if index == 0 else subject.advance(None, answers[index - 1])  # type: ignore[arg-type]
        prompt = subject.prompt(Step("1", index, state))
        assert prompt is not None
        shown = maker("show", run, f"1:{index}", "--import", "--json").events
        assert [message["content"] for message in shown[0]["messages"]] == [
            message.content for message in prompt.messages
        ], index
    assert json.dumps(prompt.messages[1].content) in maker("show", run, "1:84", "--import").out


def test_a_prompt_on_record_is_shown_without_the_plugin(maker: Maker, run: Path) -> None:
    chunk = chunks.of(RunDirectory(run).lane("0000"))[-1]
    content = lines_of(chunk)
    step = next(record for record in content if record["kind"] == "decision")
    place = {"segment": step["segment"], "step": step["step"], "state": step["state"]}
    messages = [{"role": "user", "content": "asked \x1b]0;x"}]
    prompt = records.event("prompt", **place, messages=messages, max_tokens=None, stop=[])
    forge(chunk, [*content[:-1], prompt, content[-1]])
    shown = maker("show", run, f"{step['segment']}:{step['step']}")
    assert shown.out.splitlines()[:2] == ["prompt", r'  user  "asked \u001b]0;x"']
    assert len(shown.out.splitlines()) > 5


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
    newest = history.newest(lane)
    assert newest is not None
    assert len(history.parts(lane)) > 20
    assert len(newest.after) < 300
    assert newest.header["totals"]["steps"] > 1900


def test_reading_a_run_imports_no_plugin(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    maker("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    (maker.folder / "torn.py").write_text("raise SystemExit('imported')\n")
    for words in (
        *(("status", "r"), ("steps", "r"), ("steps", "r", "--slow"), ("steps", "r", "--parked")),
        *(("show", "r", "b:2"), ("verify", "r"), ("ls", "."), ("export", "r", "--csv", "out")),
    ):
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
    while (seen or [0])[-1] < 4 * 2800 and process.poll() is None and time.monotonic() < deadline:
        if directory.lanes():
            seen.append(summary.summarise(directory).totals.steps)
    process.kill()
    process.communicate()
    assert seen == sorted(seen)
    assert seen[-1] > 3 * 2800, "it saw at least three chunks sealed"


def test_a_damaged_claim_says_which_file_and_what_to_do(maker: Maker, run: Path) -> None:
    copy = maker.folder / "copy"
    shutil.copytree(run, copy)
    (copy / "claims" / "000001.json").write_text("{")
    ended = maker("status", copy)
    assert ended.code == 6
    assert "claims/000001.json is no JSON" in ended.err
    assert "put the file back as it was" in ended.err


def test_a_done_run_without_all_of_its_journal_is_damaged(maker: Maker, run: Path) -> None:
    copy = Path(shutil.copytree(run, run.parent / "less"))
    for chunk in chunks.of(RunDirectory(copy).lane("0001"))[
        -2:
    ]:  # the last one may hold nothing but a header
        chunk.unlink()
    for words in (("status", copy), ("verify", copy), ("resume", copy)):
        ended = maker(*words)
        assert (ended.code, "result.json" in ended.err) == (6, True), words
    listed = maker("ls").out.splitlines()
    assert [line.split()[0] for line in listed] == ["damaged", "done"]


@pytest.mark.parametrize("content", ["{}", "[]", '{"status": 5}', "", '{"status": "done"}'])
def test_a_result_that_is_none_is_damage_with_what_to_do(maker: Maker, run: Path, content: str) -> None:
    copy = Path(shutil.copytree(run, maker.folder / "odd"))
    (copy / "result.json").write_text(content)
    ended = maker("status", copy)
    assert (ended.code, ended.err.count("\n")) == (6, 1)


@pytest.mark.parametrize("stated", ['"1"', "null", "[]", "0", "true"])
def test_a_manifest_whose_format_is_no_number_is_damage(maker: Maker, run: Path, stated: str) -> None:
    copy = Path(shutil.copytree(run, maker.folder / "odd"))
    manifest = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(manifest.replace('"format": 1', f'"format": {stated}'))
    ended = maker("status", copy)
    assert (ended.code, ended.err.count("\n")) == (6, 1)


def test_a_result_that_was_edited_is_found_by_its_task(maker: Maker, run: Path) -> None:
    copy = Path(shutil.copytree(run, maker.folder / "edited"))
    result = (copy / "result.json").read_text()
    (copy / "result.json").write_text(result.replace('"moves": 255', '"moves": 7'))
    assert maker("verify", copy, "--task").code == 6


def test_listing_what_is_no_folder_says_so(maker: Maker) -> None:
    assert maker("ls", "nowhere").code == 2
