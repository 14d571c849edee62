"""The command line as a user meets it: real processes, their output, their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import SAME, Maker

SIM = ("--model", "sim:error=0.01,flags=0.02")

DONE_FIELDS = {
    "event",
    "status",
    "steps",
    "votes",
    "samples",
    "flagged",
    "contested",
    "parked",
    "transport_faults",
    "tokens_in",
    "tokens_out",
    "seconds",
    "run",
}


def test_a_run_ends_done_and_verified_and_says_so(maker: Maker) -> None:
    ended = maker("run", "hanoi", "-T", "disks=6", *SIM, "--run-dir", "r")
    assert ended.code == 0
    assert ended.out.startswith("done, verified: 63 steps in ")
    assert "sim:error=0.01,flags=0.02" in ended.err


def test_with_json_stdout_is_json_lines_and_the_last_one_is_done(maker: Maker) -> None:
    ended = maker("run", "hanoi", "-T", "disks=6", *SIM, "--run-dir", "r", "--json")
    done = ended.done
    assert done.keys() >= DONE_FIELDS
    assert (done["status"], done["steps"], done["verified"]) == ("done", 63, True)
    assert done["samples"] == done["votes"] + done["flagged"]
    assert done["run"] == str(maker.folder / "r")
    assert ended.events[0]["event"] == "launch"


def test_steps_lists_every_step_in_segment_and_index_order(maker: Maker) -> None:
    maker("run", "hanoi", "-T", "disks=7", "-T", "waypoints=12", *SIM, "--run-dir", "r")
    steps = maker("steps", "r", "--json").events
    assert len(steps) == 127
    places = [(step["segment"], step["index"]) for step in steps]
    assert places == sorted(places)
    first = steps[0]
    assert first.keys() == {"segment", "index", "status", "answer", "votes", "flags", "samples"}
    assert first["answer"]["move"] == [1, 0, 2]
    assert all(step["samples"] == sum((step["votes"] | step["flags"]).values()) for step in steps)
    assert all(json.loads(next(iter(step["votes"]))) == step["answer"] for step in steps)


def test_the_same_moves_come_out_of_one_chain_and_of_many_segments(maker: Maker) -> None:
    for name, parts in (("one", 1), ("many", 16)):
        maker("run", "hanoi", "-T", "disks=8", "-T", f"waypoints={parts}", *SIM, "--run-dir", name)
    moves = [[step["answer"] for step in maker("steps", name, "--json").events] for name in ("one", "many")]
    assert len(moves[0]) == 255
    assert moves[0] == moves[1]


def test_steps_for_people_are_one_inert_line_each(maker: Maker) -> None:
    maker("run", "hanoi", "-T", "disks=3", "--model", "sim", "--run-dir", "r")
    lines = maker("steps", "r").out.splitlines()
    assert lines[0] == '0:0  3  {"move": [1, 0, 2], "next_state": [[3, 2], [], [1]]}'
    assert len(lines) == 7


def test_a_finished_run_is_not_drawn_again(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=6", *SIM, "--run-dir", "r", "--json")
    first, again = maker(*words).done, maker(*words).done
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_goes_on_where_it_was_with_the_same_command(maker: Maker, sent: signal.Signals) -> None:
    words = ("run", "hanoi", "-T", "disks=7", "--seed", 5, "--json")
    straight = maker(*words, *SIM, "--run-dir", "straight").done
    slow = ("--model", "sim:error=0.01,flags=0.02,latency=20ms", "--run-dir", "killed")
    process = maker.start(*words, *slow)
    wait_for_steps(maker.folder / "killed", 20)
    process.send_signal(sent)
    out, _ = process.communicate(timeout=30)
    if sent is not signal.SIGKILL:
        stopped = json.loads(out.splitlines()[-1])
        assert (process.returncode, stopped["status"]) == (130, "stopped")
        assert 20 <= stopped["steps"] < 127
    resumed = maker(*words, *slow)
    assert resumed.code == 0
    assert {name: resumed.done[name] for name in SAME} == {name: straight[name] for name in SAME}


def wait_for_steps(run: Path, count: int) -> None:
    chunk = run / "lanes" / "0000" / "000001.jsonl"
    deadline = time.monotonic() + 60
    while not chunk.exists() or chunk.read_bytes().count(b'"kind":"decision"') < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_undecided_step_is_parked_the_rest_finishes_and_the_exit_code_is_3(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    words = ("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--json")
    ended = maker(*words, "--max-samples", 8)
    assert ended.code == 3
    done = ended.done
    assert (done["status"], done["parked"], done["steps"]) == ("parked", 1, 10)
    assert done["reason"] == "1 parked; the first is b:2: undecided after 8 samples"
    parked = [step for step in maker("steps", "r", "--json").events if step["status"] == "parked"]
    assert [(step["segment"], step["index"], step["samples"], step["answer"]) for step in parked] == [
        ("b", 2, 8, None)
    ]
    assert maker(*words, "--max-samples", 8).done["samples"] == done["samples"]
    assert maker(*words, "--max-samples", 20).code == 0


TORN = '''
from maker import Message, Prompt, Sample, Segment


class Torn:
    """Three segments of four steps; at step b:2 the votes of `Even` are even until draw 8."""

    def segments(self):
        return [Segment(name, {"name": name}) for name in "abc"]

    def prompt(self, step):
        return Prompt((Message("user", "?"),)) if step.index < 4 else None

    def parse(self, step, text):
        return text

    def advance(self, step, answer):
        return step.state

    def stitch(self, finals):
        return sorted(finals)


class Even:
    name = "even"
    temperatures = (None, None)

    async def draw(self, request):
        for seat in request.seats:
            torn = (request.step.segment, request.step.index) == ("b", 2) and seat.draw < 8
            yield Sample(seat, "xy"[seat.draw % 2] if torn else "x", "stop", 1, 1, 0.0)

    async def aclose(self):
        pass
'''


def test_a_decomposer_and_a_model_in_a_users_own_file_run_by_name(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    ended = maker("run", "./torn.py:Torn", "--model", "./torn.py:Even", "--json")
    assert ended.code == 0
    assert ended.done["result"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "hanoy"), 2, "no decomposer 'hanoy'; expected one of"),
        (("run", "hanoi", "-T", "disk=3"), 2, "no option disk; options: disks, check"),
        (("run", "hanoi", "-T", "disks=many"), 2, "disks='many'"),
        (("run", "hanoi", "-T", "disks"), 2, "expected KEY=VALUE"),
        (("run", "hanoi", "--model", "sim:eror=1"), 2, "no option eror"),
        (("run", "hanoi", "--model", "sim", "--k", 0), 2, "k=0, expected 1 or more"),
        (("run", "hanoi", "--model", "sim", "--k", 3, "--voter", "majority"), 2, "not both"),
        (("run", "hanoi", "--model", "sim", "--red-flags", "truncated|nope"), 2, "no red flag 'nope'"),
        (("run", "hanoi", "-T", "disks=21"), 2, "give one, such as --model openai:NAME"),
        (("run", "hanoi", "--model", "sim", "--model", "sim"), 2, "has a model sim already"),
        (("steps", "nowhere"), 2, "is no run"),
    ],
)
def test_a_wrong_command_is_answered_by_one_line_that_says_what_was_expected(
    maker: Maker, words: tuple[object, ...], code: int, message: str
) -> None:
    ended = maker(*words)
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_run_directory_of_another_run_is_refused_with_what_differs(maker: Maker) -> None:
    words = ("run", "hanoi", *SIM, "--run-dir", "r", "-T")
    maker(*words, "disks=3")
    ended = maker(*words, "disks=4")
    assert ended.code == 7
    assert re.search(r"^  parameters.disks +3 +4$", ended.err, re.MULTILINE)


def test_a_folder_that_is_no_run_is_left_alone(maker: Maker) -> None:
    (maker.folder / "mine").mkdir()
    (maker.folder / "mine" / "thesis.txt").write_text("two years of work")
    ended = maker("run", "hanoi", *SIM, "--run-dir", "mine")
    assert ended.code == 2
    assert os.listdir(maker.folder / "mine") == ["thesis.txt"]


def test_a_damaged_journal_stops_the_run_with_exit_code_6(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=4", *SIM, "--run-dir", "r")
    maker(*words)
    (maker.folder / "r" / "result.json").unlink()
    chunk = maker.folder / "r" / "lanes" / "0000" / "000001.jsonl"
    chunk.write_bytes(chunk.read_bytes().replace(b'"draw":1', b'"draw":7', 1))
    ended = maker(*words)
    assert ended.code == 6
    assert "does not match its checksum" in ended.err


def test_options_come_from_the_command_line_then_the_environment_then_a_file(maker: Maker) -> None:
    (maker.folder / "run.toml").write_text('model = "sim"\nk = 2\nseed = 9\n[T]\ndisks = 3\n')
    words = ("run", "hanoi", "--config", "run.toml", "--json")
    launch = maker(*words, "--seed", 4, MAKER_K="5").events[0]
    assert (launch["models"][0]["spec"], launch["seed"]) == ("sim", 4)
    assert launch["voter"]["spec"] == "ahead_by_k:k=5"
    (maker.folder / "run.toml").write_text("colour = 1\n")
    ended = maker(*words)
    assert ended.code == 2
    assert "unknown ['colour']" in ended.err


def test_other_voters_and_flags_are_named_on_the_command_line(maker: Maker) -> None:
    for voter in ("first_to_k:k=2", "majority:n=3", "ahead_by_k:k=2"):
        ended = maker("run", "hanoi", "-T", "disks=4", *SIM, "--voter", voter, "--json")
        assert (ended.code, ended.done["verified"]) == (0, True)
    flagged = maker(
        "run",
        "hanoi",
        "-T",
        "disks=3",
        "--model",
        "sim",
        "--red-flags",
        "too_long:tokens=3",
        "--max-samples",
        5,
        "--json",
    )
    assert flagged.code == 3
    assert flagged.done["parked"] == 1


def test_two_models_are_a_panel_drawn_in_turn(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=4", "--model", "sim:error=0.1", "--model", "embedded", "--k", 4)
    assert maker(*words, "--run-dir", "r", "--json").done["verified"] is True
    [chunk] = (maker.folder / "r").glob("lanes/*/*.jsonl")
    samples = [json.loads(line) for line in chunk.read_text().splitlines()]
    models = {(s["draw"] % 2, s["model"]) for s in samples if s["kind"] == "sample"}
    assert models == {(0, "sim"), (1, "embedded")}


def test_models_are_listed(maker: Maker) -> None:
    names = {line["name"] for line in maker("models", "--json").events}
    assert {"embedded", "openai", "sim"} <= names


def test_a_run_that_is_wrong_is_failed_with_the_first_wrong_step(maker: Maker) -> None:
    ended = maker("run", "hanoi", "-T", "disks=8", "--model", "sim:error=0.1", "--k", 1, "--json")
    assert ended.code == 1
    done = ended.done
    assert (done["status"], done["verified"], done["steps"]) == ("failed", False, 255)
    assert done["reason"].startswith("not verified: ")


def test_a_run_goes_by_its_name_where_the_storage_is_known(maker: Maker) -> None:
    folder = maker.folder / "storage"
    words = ("run", "hanoi", "-T", "disks=3", "--model", "sim", "--json", "--run-dir")
    assert maker(*words, folder / "march").code == 0
    assert maker("status", "march").code == 2
    known = {"MAKER_STORAGE": str(folder)}
    assert maker("status", "march", "--json", **known).events[0]["run"] == str(folder / "march")
    assert maker("resume", "march", "--json", **known).done["steps"] == 7
    assert maker(*words, "march", "--seed", 9).code == 0
    assert maker("status", "march", "--json", **known).events[0]["run"] == "march", (
        "a folder here comes first"
    )
