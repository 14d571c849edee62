"""A recorded run decided again: by its own panel offline, by another one, or by asking anew."""

from __future__ import annotations

import copy
import json
import socket
from collections import Counter
from pathlib import Path

import pytest

from maker import api, chunks, journal
from maker.records import Record
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.support import forge, lines_of
from tests.test_cli import TORN

NOISY = "sim:error=0.05,flags=0.05"


@pytest.fixture
def run(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of 255 steps in several chunks."""
    monkeypatch.setattr(journal, "CHUNK_BYTES", 20_000)
    folder = maker.folder / "r"
    params = {"disks": 8, "waypoints": 3}
    assert api.run("hanoi", params=params, model=NOISY, k=4, engine="inline", run_dir=folder).verified
    return folder


def decisions(run: Path) -> list[Record]:
    """In segment and index order."""
    found = RunDirectory(run).records(("decision",))
    return sorted(found, key=lambda record: (record["segment"], record["step"]))


def place(record: Record) -> tuple[str, int]:
    return record["segment"], record["step"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def forged_decision(run: Path) -> tuple[Record, Record]:
    """A decision in the last chunk, and as it is now: counting draws that its samples do not give."""
    chunk = chunks.of(RunDirectory(run).lane("0000"))[-1]
    content = lines_of(chunk)
    step = next(record for record in content if record["kind"] == "decision")
    original = copy.deepcopy(step)
    step["votes"][0]["draws"] = [90, 91, 92, 93]
    forge(chunk, content)
    return original, step


# -- by its own panel -----------------------------------------------------------------------------


def test_a_replay_decides_the_same_to_the_byte(maker: Maker, run: Path) -> None:
    ended = maker("replay", run, "--json")
    assert ended.code == 0
    assert ended.events == [
        {"event": "replayed", "steps": 255, "different": 0, "by_person": [], "copied": 0, "parked": 0}
    ]


def test_a_replay_can_be_narrowed_down(maker: Maker, run: Path) -> None:
    assert maker("replay", run, "--step", "1:84", "--json").events[-1]["steps"] == 1
    assert maker("replay", run, "--range", "10:50", "--json").events[-1]["steps"] == 3 * 40
    assert maker("replay", run, "--step", "9:9").code == 2
    assert maker("replay", run, "--step", "9:9", "--k", 2).code == 2
    assert maker("replay", run, "--step", "1:8", "--range", "1:8").code == 2


def test_a_replay_finds_a_decision_that_the_samples_do_not_give(maker: Maker, run: Path) -> None:
    original, step = forged_decision(run)
    ended = maker("replay", run, "--json")
    assert ended.code == 1
    [found, summary] = ended.events
    assert (found["segment"], found["index"]) == place(step)
    assert found["recorded"] == step
    assert found["derived"] == original
    assert summary["different"] == 1
    shown = maker("replay", run).out.splitlines()
    assert shown[0].startswith("step")
    assert shown[1].startswith(f"{step['segment']}:{step['step']} ")
    assert shown[-1] == "254 of 255 decisions are byte-identical"
    assert maker("replay", run, "--step", f"{step['segment']}:{step['step'] - 1}").code == 0
    assert maker("replay", run, "--step", f"{step['segment']}:{step['step']}").code == 1


def test_a_parked_step_that_was_decided_later_replays(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    maker("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    assert maker("replay", "r", "--json").events == [
        {"event": "replayed", "steps": 10, "different": 0, "by_person": [], "copied": 0, "parked": 1}
    ]
    maker("resume", "r", "--max-samples", 20)
    assert maker("replay", "r", "--json").events == [
        {"event": "replayed", "steps": 12, "different": 0, "by_person": [], "copied": 0, "parked": 0}
    ]


def test_a_what_if_says_what_would_have_become_of_parked_steps(maker: Maker) -> None:
    (maker.folder / "torn.py").write_text(TORN)
    maker("run", "torn.py:Torn", "--model", "torn.py:Even", "--run-dir", "r", "--max-samples", 8)
    changed, summary = maker("replay", "r", "--voter", "first_to_k:k=3", "--json").events
    assert (changed["segment"], changed["index"]) == ("b", 2)
    assert (changed["recorded"]["winner"], changed["what_if"]["winner"]) == (None, '"x"')
    assert (changed["samples"], changed["saved"]) == (8, 3)
    assert (summary["steps"], summary["parked"], summary["decided"], summary["changed"]) == (11, 1, 1, 0)
    assert "of 1 parked, 1 would have been decided" in maker("replay", "r", "--voter", "first_to_k:k=3").out
    [summary] = maker("replay", "r", "--step", "b:2", "--k", 4, "--json").events
    assert (summary["parked"], summary["decided"], summary["undecided"], summary["missing"]) == (1, 0, 0, 4)
    *_, summary = maker("replay", "r", "--red-flags", "none", "--k", 1, "--json").events
    assert (summary["parked"], summary["decided"]) == (1, 1)


CALLS_HOME = """
import socket
from pathlib import Path
from maker import Message, Prompt, Sample, Segment

class Caller:
    def segments(self):
        return [Segment("a", 0)]

    def prompt(self, step):
        return Prompt((Message("user", "?"),)) if step.index < 3 else None

    def parse(self, step, text):
        self.call("parse")
        return text

    def advance(self, step, answer):
        self.call("advance")
        return step.state + 1

    def stitch(self, finals):
        return None

    def call(self, where):
        if where == Path(__file__).with_name("where").read_text():
            port = int(Path(__file__).with_name("port").read_text())
            socket.create_connection(("127.0.0.1", port)).close()

class Says:
    name, temperatures = "says", (None, None)

    async def draw(self, request):
        for seat in request.seats:
            yield Sample(seat, "x", "stop", 1, 1, 0.0)

    async def aclose(self):
        pass
"""


def test_a_plugin_that_needs_the_network_cannot_be_replayed_and_is_told_so(maker: Maker) -> None:
    (maker.folder / "caller.py").write_text(CALLS_HOME)
    where = maker.folder / "where"
    with socket.create_server(("127.0.0.1", 0)) as server:
        (maker.folder / "port").write_text(str(server.getsockname()[1]))
        where.write_text("advance")
        assert maker("run", "caller.py:Caller", "--model", "caller.py:Says", "--run-dir", "r").code == 0
        ended = maker("replay", "r")
        assert ended.code == 1
        assert "advance raised PluginError at step a:0" in ended.err
        assert "is refused: a run is decided again offline" in ended.err
        where.write_text("parse")
        ended = maker("replay", "r", "--json")
        assert ended.code == 1
        assert ended.events[0]["reason"].startswith("parse raised PluginError at step a:0")
        where.write_text("nowhere")
        assert maker("replay", "r").code == 0


# -- by another voter or other flags --------------------------------------------------------------


def test_another_k_on_the_same_samples_says_what_it_would_have_saved_or_missed(
    maker: Maker, run: Path
) -> None:
    [same] = maker("replay", run, "--k", 4, "--json").events
    assert (same["saved"], same["changed"], same["undecided"], same["steps"]) == (0, 0, 0, 255)
    [fewer] = maker("replay", run, "--k", 3, "--json").events
    assert fewer["undecided"] == fewer["changed"] == 0
    assert 255 <= fewer["saved"] < fewer["samples"]
    *undecided, more = maker("replay", run, "--voter", "ahead_by_k:k=6", "--json").events
    assert (len(undecided), more["undecided"], more["missing"]) == (255, 255, 2 * 255)
    *changed, first = maker("replay", run, "--k", 1, "--json").events
    firsts = [record for record in decisions(run) if first_vote(record) != record["votes"][0]["key"]]
    assert (
        [(step["segment"], step["index"]) for step in changed] == [place(record) for record in firsts] != []
    )
    for step, record in zip(changed, firsts, strict=True):
        assert (step["recorded"]["winner"], step["what_if"]["winner"]) == (
            record["votes"][0]["key"],
            first_vote(record),
        )
        assert step["what_if"]["votes"] == {first_vote(record): 1}
        assert step["saved"] == step["samples"] - 1 - step["what_if"]["flagged"]
    assert (first["changed"], first["undecided"]) == (len(firsts), 0)


def first_vote(record: Record) -> str:
    """The key of the step's first valid draw."""
    return min(record["votes"], key=lambda votes: min(votes["draws"]))["key"]


def test_the_table_shows_both_winners_and_ends_with_the_sums(maker: Maker, run: Path) -> None:
    *changed, summary = maker("replay", run, "--k", 1, "--json").events
    heading, *rows, last = maker("replay", run, "--k", 1).out.splitlines()
    assert heading.split() == ["step", "recorded", "votes", "what", "if", "votes", "samples"]
    assert len(rows) == len(changed) == summary["changed"]
    for row, step in zip(rows, changed, strict=True):
        assert row.startswith(f"{step['segment']}:{step['index']} ")
        assert f"{step['saved']} of {step['samples']} saved" in row
    assert last.startswith(f"255 steps, {summary['samples']:,} samples: {summary['saved']:,} saved")
    *rows, summary = maker("replay", run, "--k", 6, "--limit", 2, "--json").events
    assert (len(rows), summary["steps"]) == (2, 255)
    short = maker("replay", run, "--k", 6, "--limit", 2).out.splitlines()
    assert len(short) == 1 + 2 + 1 + 1
    assert short[3] == "... and 253 more: --limit, or --json for all"


def test_a_what_if_can_be_narrowed_down(maker: Maker, run: Path) -> None:
    *changed, summary = maker("replay", run, "--k", 6, "--step", "2:3", "--json").events
    assert [(step["segment"], step["index"]) for step in changed] == [("2", 3)]
    assert (summary["steps"], summary["missing"]) == (1, 2)
    assert maker("replay", run, "--k", 6, "--range", ":5", "--json").events[-1]["steps"] == 15


WORDS = '''
import random
from maker import Message, Prompt, Sample, Segment

class Words:
    """A state is the number of words said; only the step's own state lets a word be read."""

    def segments(self):
        return [Segment("a", 0), Segment("b", 100)]

    def prompt(self, step):
        return Prompt((Message("user", "?"),)) if step.index < 40 else None

    def parse(self, step, text):
        word, _, state = text.strip("!").partition(" ")
        assert int(state) == step.state, "it was read at another state"
        return word

    def advance(self, step, answer):
        return step.state + 1

    def stitch(self, finals):
        return sorted(finals)

class Shouts:
    name, temperatures = "shouts", (None, None)

    async def draw(self, request):
        for seat in request.seats:
            lot = random.Random(seat.seed).random()
            word = "loud" if lot < 0.2 else "calm"
            finish = "length" if lot < 0.2 else "stop"
            yield Sample(seat, f"{word} {request.step.state}", finish, 1, 9 if lot > 0.9 else 1, 0.0)

    async def aclose(self):
        pass
'''


@pytest.fixture
def words(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """80 steps; a fifth of the samples is flagged as truncated, a tenth is long."""
    monkeypatch.setattr(journal, "CHUNK_BYTES", 10_000)
    (maker.folder / "words.py").write_text(WORDS)
    spec = f"{maker.folder / 'words.py'}"
    result = api.run(f"{spec}:Words", model=f"{spec}:Shouts", engine="inline", run_dir=maker.folder / "w")
    assert (result.status, result.steps) == ("done", 80)
    assert result.flagged > 40
    return maker.folder / "w"


def test_without_a_rule_what_it_flagged_votes(maker: Maker, words: Path) -> None:
    *changed, summary = maker("replay", words, "--red-flags", "none", "--json").events
    assert summary["flagged"] == 0
    assert summary["recorded_flagged"] > 40
    expected = {place(record): won_without_flags(words, record) for record in decisions(words)}
    assert {(step["segment"], step["index"]): step["what_if"]["winner"] for step in changed} == {
        where: winner for where, winner in expected.items() if winner != '"calm"'
    }
    assert any(winner is None for winner in expected.values())


def won_without_flags(run: Path, record: Record) -> str | None:
    """Count the step's texts as they are, flags or not: the first word that leads by 3, if any does."""
    texts = sorted(
        (sample["draw"], sample["text"].split()[0])
        for sample in RunDirectory(run).records(("sample",))
        if place(sample) == place(record)
    )
    lead = Counter[str]()
    for _, word in texts:
        lead[word] += 1
        if lead[word] - lead[{"calm": "loud", "loud": "calm"}[word]] == 3:
            return json.dumps(word)
    return None


def test_another_rule_takes_votes_away(maker: Maker, words: Path) -> None:
    long = sum(
        sample["tokens_out"] > 5 and sample["finish"] == "stop"
        for sample in RunDirectory(words).records(("sample",))
    )
    *changed, summary = maker("replay", words, "--red-flags", "truncated|too_long:tokens=5", "--json").events
    assert summary["flagged"] == summary["recorded_flagged"] + long
    assert summary["undecided"] == len(changed) > 0
    both = maker("replay", words, "--red-flags", "truncated|too_long:tokens=5", "--k", 1, "--json").events[-1]
    assert both["undecided"] < summary["undecided"]
    assert maker("replay", words, "--red-flags", "nope").code == 2


# -- by asking anew -------------------------------------------------------------------------------


def test_asking_again_compares_a_panel_of_today_with_the_record(maker: Maker, run: Path) -> None:
    before = contents(run)
    *asked, summary = maker("replay", run, "--live", "--model", "sim", "--limit", 500, "--json").events
    doubtful = [record for record in decisions(run) if len(record["votes"]) > 1 or record["flags"]]
    assert sorted((step["segment"], step["index"]) for step in asked) == [place(r) for r in doubtful] != []
    assert {step["verdict"] for step in asked} == {"same"}
    assert (summary["same"], summary["samples"]) == (len(doubtful), 4 * len(doubtful))
    assert summary["tokens_out"] > 0
    assert contents(run) == before


def test_a_step_that_is_asked_again_starts_from_its_recorded_state(maker: Maker, words: Path) -> None:
    *asked, summary = maker("replay", words, "--live", "--range", "7:9", "--k", 1, "--json").events
    assert [(step["segment"], step["index"], step["verdict"]) for step in sorted(asked, key=str)] == [
        (name, index, "same") for name in "ab" for index in (7, 8)
    ]
    assert summary["samples"] >= 4


def test_asking_again_tells_different_and_undecided_apart(maker: Maker, words: Path) -> None:
    (maker.folder / "wrong.py").write_text(
        WORDS.replace('"loud" if lot < 0.2 else "calm"', '"loud"').replace('"length" if lot < 0.2 else ', "")
    )
    (maker.folder / "torn.py").write_text(
        WORDS.replace("lot < 0.2", "seat.draw % 2").replace('"length"', '"stop"')
    )
    step = ("--live", "--step", "a:5", "--json")
    asked, summary = maker("replay", words, *step, "--model", "wrong.py:Shouts").events
    assert (asked["verdict"], asked["recorded"]["winner"], asked["now"]["winner"]) == (
        *("different", '"calm"'),
        '"loud"',
    )
    asked, summary = maker("replay", words, *step, "--model", "torn.py:Shouts").events
    assert (asked["verdict"], asked["now"]["votes"]) == ("undecided", {'"calm"': 50, '"loud"': 50})
    assert (summary["undecided"], summary["samples"]) == (1, 100)
    shown = maker("replay", words, *step[:-1], "--model", "torn.py:Shouts").out.splitlines()
    assert "undecided, 100 samples" in shown[1]
    assert shown[-1].startswith("0 same, 0 different, 1 undecided: 100 samples, 100 tokens in")


def test_asking_again_draws_other_samples_than_the_run_did(maker: Maker, words: Path) -> None:
    texts = {sample["text"].split()[0] for sample in RunDirectory(words).records(("sample",))}
    assert texts == {"loud", "calm"}
    step = next(r for r in decisions(words) if not r["flags"])
    where = ("--live", "--step", f"{step['segment']}:{step['step']}", "--json")
    found = {maker("replay", words, *where, "--seed", seed).events[0]["samples"] for seed in range(4)}
    assert len(found) > 1


def test_options_of_asking_again_need_it(maker: Maker, run: Path) -> None:
    ended = maker("replay", run, "--model", "sim")
    assert ended.code == 2
    assert "--live" in ended.err
