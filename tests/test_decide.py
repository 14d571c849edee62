"""A person may decide a parked step; that is recorded as a person's, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maker import api, history, journal, whatif
from maker.errors import UsageError
from maker.run_directory import RunDirectory
from maker.voters import AheadByK
from tests.conftest import WINDOW, Maker
from tests.test_amend import TORN, at_b2, check_replay, park, parked, retry, torn

__all__ = ["parked", "torn"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_parked_step_can_be_decided_by_a_person_and_every_command_says_so(
    maker: Maker, parked: Path
) -> None:
    ended = maker("decide", parked, "b:2", "--answer", '"x"', "--json")
    assert ended.events == [
        {"event": "decided", "run": str(parked), "step": "b:2", "answer": "x", "by": "person"}
    ]
    assert maker("status", parked, "--json").events[0]["status"] == "unfinished"
    done = maker("resume", parked, "--json").done
    assert (done["status"], done["verified"], done["steps"], done["by_person"]) == ("done", True, 12, 1)
    steps = maker("steps", parked, "--json").events
    [step] = [step for step in steps if "by" in step]
    assert (step["segment"], step["index"], step["by"], step["votes"]) == (
        "b",
        2,
        "person",
        {'"x"': 4, '"y"': 4},
    )
    assert 'b:2  4-4  "x"  decided by a person' in maker("steps", parked).out.splitlines()
    assert "decided by a person  1" in maker("status", parked).out
    assert maker("show", parked, "b:2", "--json").events[-1]["by"] == "person"
    assert 'decided  "x"  decided by a person' in maker("show", parked, "b:2").out
    replayed = maker("replay", parked, "--json")
    assert (replayed.code, replayed.events[0]["different"]) == (0, 0)
    assert replayed.events[0]["by_person"] == ["b:2"]
    assert "decided by a person: b:2" in maker("replay", parked).out


def test_the_journal_tells_a_persons_decision_from_the_votes(parked: Path) -> None:
    before = at_b2(parked)
    api.decide(parked, ("b", 2), "y")
    [decision] = at_b2(parked)[len(before) :]
    assert (decision["by"], decision["answer"]) == ("person", "y")
    assert decision["votes"] == before[-1]["votes"], "the ballot is as it was"
    result = api.resume(parked, engine="inline")
    assert (result.status, result.reason) == ("failed", "not verified: a wrong answer")
    others = [
        record
        for lane in RunDirectory(parked).lanes()
        for record in history.read(RunDirectory(parked).lane(lane), ("decision",))
        if record != decision
    ]
    assert len(others) == 11
    assert not any("by" in record for record in others)
    check_replay(parked)


def test_an_answer_that_no_sample_gave_can_be_decided_on(parked: Path, torn: Path) -> None:
    torn_by_model = park_again(torn, "Broken")
    api.decide(torn_by_model, ("b", 2), "x")
    assert at_b2(torn_by_model)[-1]["votes"] == []
    assert api.resume(torn_by_model, engine="inline").status == "done"
    check_replay(torn_by_model)


def park_again(torn: Path, model: str) -> Path:
    other = torn.parent / "other"
    other.mkdir()
    (other / "torn.py").write_text(TORN)
    return park(other / "torn.py", model)


def test_a_step_that_parked_again_after_a_retry_can_be_decided(parked: Path) -> None:
    retry(parked, max_samples=4)
    api.decide(parked, ("b", 2), "x")
    assert [len(votes["draws"]) for votes in at_b2(parked)[-1]["votes"]] == [6, 6]
    assert api.resume(parked, engine="inline").status == "done"
    check_replay(parked)


@pytest.mark.parametrize(
    ("step", "answer", "message"),
    [
        (("b", 1), "x", "step b:1 is decided; .*maker fork"),
        (("b", 3), "x", "step b:3 is not reached; its segment stands at b:2"),
        (("a", 3), "x", "segment a has finished, has not begun or is none"),
        (("b", 2), "z", "cannot go on from this answer: advance raised ValueError at step b:2"),
        (("b", 2), float("nan"), "not JSON that can be written"),
        (("b", 2), {1, 2}, "not JSON that can be written"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_nothing_is_written(
    parked: Path, step: tuple[str, int], answer: object, message: str
) -> None:
    before = contents(parked)
    with pytest.raises(UsageError, match=message):
        api.decide(parked, step, answer)
    assert contents(parked) == before


CHECKED = """
    def check(self, step, answer):
        return answer != "y" or "unwanted"
"""
STUCK = """
    def advance(self, step, answer):
        return answer

    def prompt(self, step):
        if step.state == "y":
            raise ValueError("what now?")
        return Prompt((Message("user", f"{step.segment}:{step.index}?"),)) if step.index < 4 else None
"""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (CHECKED, "the task's check does not take this answer: unwanted"),
        (STUCK, "cannot go on from this answer: prompt raised ValueError at step b:3"),
    ],
)
def test_an_answer_that_the_task_objects_to_or_cannot_ask_on_from_is_refused(
    torn: Path, more: str, message: str
) -> None:
    at = TORN.index("class Even")
    torn.write_text(TORN[:at] + more + "\n\n" + TORN[at:])
    run = park(torn, "Broken")
    before = contents(run)
    with pytest.raises(UsageError, match=message):
        api.decide(run, ("b", 2), "y")
    assert contents(run) == before


def test_a_step_that_is_open_is_not_decided(torn: Path, parked: Path) -> None:
    assert retry(parked, f"{torn}:Faint").status == "blocked"
    with pytest.raises(UsageError, match="step b:2 is open, not parked; go on with it: maker resume"):
        api.decide(parked, ("b", 2), "x")


def test_an_answer_must_be_json_and_the_message_shows_how(maker: Maker, parked: Path) -> None:
    ended = maker("decide", parked, "b:2", "--answer", "x")
    assert ended.code == 2
    assert "--answer '\"yes\"'" in ended.err
    twice = maker("decide", parked, "b:2", "--answer", '{"a": 1, "a": 2}')
    assert twice.code == 2
    assert "the name 'a' comes twice" in twice.err


def test_a_verdict_survives_small_chunks_and_is_one_of_the_headers_counts(
    parked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "CHUNK_BYTES", 1)
    api.decide(parked, ("b", 2), "x")
    done = api.resume(parked, engine="inline")
    assert (done.status, done.by_person) == ("done", 1)
    check_replay(parked)


def test_a_command_that_runs_meanwhile_stops_and_the_verdict_stands(maker: Maker, torn: Path) -> None:
    text = TORN.replace(
        "torn = (request", "await asyncio.sleep(request.step.segment == 'c')\n            torn = (request"
    )
    torn.write_text(text)
    words = ("run", f"{torn}:Torn", "--model", f"{torn}:Even", "--run-dir", "r", "--max-samples", 8)
    process = maker.start(*words)
    wait_for_park(maker.folder / "r")
    assert maker("decide", "r", "b:2", "--answer", '"x"').code == 0
    process.communicate(timeout=60)
    assert process.returncode == 5
    done = maker("resume", "r", "--json").done
    assert (done["status"], done["by_person"], done["steps"]) == ("done", 1, 12)
    assert maker("replay", "r").code == maker("verify", "r").code == 0


def wait_for_park(run: Path) -> None:
    import time

    deadline = time.monotonic() + 60
    while not any(record.get("event") == "park" for record in at_b2(run)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_another_voter_would_have_done_leaves_a_persons_step_out(parked: Path) -> None:
    api.decide(parked, ("b", 2), "x")
    api.resume(parked, engine="inline")
    found = list(whatif.what_if(RunDirectory(parked), AheadByK(3)))
    assert (len(found), [each for each in found if each.changed]) == (11, [])


def test_steps_of_votes_carry_no_such_field(maker: Maker) -> None:
    maker("run", "hanoi", "-T", "disks=3", "--model", "sim", "--run-dir", "r")
    [chunk] = (maker.folder / "r").glob("lanes/*/*.jsonl")
    decisions = [
        line for line in map(json.loads, chunk.read_text().splitlines()) if line["kind"] == "decision"
    ]
    assert len(decisions) == 7
    assert not any("by" in decision for decision in decisions)


def test_a_persons_verdict_leaves_caps_and_prices_as_they_are(parked: Path) -> None:
    spent = api.resume(parked, engine="inline", price="1,1", max_tokens=10**6).cost
    api.decide(parked, ("b", 2), "x")
    done = api.resume(parked, engine="inline")
    assert done.status == "done"
    assert done.cost is not None and spent is not None
    assert (done.cost > spent if WINDOW == 1 else done.cost >= spent) and spent > 0
    assert (RunDirectory(parked).newest_command() or {})["max_tokens"] == 10**6
