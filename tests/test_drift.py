"""A model that begins to answer under another name or fingerprint is noticed and counted; the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maker import api, history, journal, records
from maker.ledger import Ledger
from maker.nouns import Sample, Seat
from maker.records import Record
from maker.result import RunResult
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.faultd import Act, Call, Faultd, edited, status
from tests.test_endpoint_runs import right


def named(model: str, system: str | None) -> Act:
    return edited(lambda answer: answer.update(model=model, system_fingerprint=system))


def changing(at: int, *names: tuple[str, str | None]) -> Callable[[Call], Act]:
    """An endpoint that answers as the next of these names every `at` calls."""
    return lambda call: named(*names[min(call.ordinal // at, len(names) - 1)])


def drifts(run: Path) -> list[Record]:
    return [
        record
        for lane in RunDirectory(run).lanes()
        for record in history.read(RunDirectory(run).lane(lane), ("event",))
        if record["event"] == "drift"
    ]


def run(folder: Path, script: Callable[[Call], Act | None], disks: int = 4, **how: object) -> RunResult:
    with Faultd(answer=right, script=script) as server:
        asked = {"params": {"disks": disks}, "model": "openai:tiny", "base_url": server.url, "k": 3}
        return api.run("hanoi", run_dir=folder / "r", engine="inline", workers=1, **asked, **how)


def test_another_name_or_fingerprint_from_some_call_on_is_told_in_every_place(maker: Maker) -> None:
    script = changing(8, ("tiny-1", "fp_a"), ("tiny-1", "fp_b"))
    words = ("run", "hanoi", "-T", "disks=5", "--model", "openai:tiny", "--run-dir", "r")
    with Faultd(answer=right, script=script) as server:
        ended = maker(*words, "--base-url", server.url)
    assert ended.code == 0, ended.err
    assert "drifts  1 times a model answered under another name or fingerprint" in ended.out
    assert ended.err.count("model_drift") == 1
    assert "fp_a" in ended.err
    assert "fp_b" in ended.err
    assert maker("status", "r", "--json").events[0]["drifts"] == 1
    was, now = ({"model": "tiny-1", "system": f"fp_{each}"} for each in "ab")
    [drift] = drifts(maker.folder / "r")
    assert (drift["model"], drift["was"], drift["now"]) == ("openai:tiny", was, now)
    assert maker("replay", "r").code == 0


def test_the_fingerprint_is_in_every_sample_and_a_drift_comes_before_the_first_that_differs(
    tmp_path: Path,
) -> None:
    assert run(tmp_path, changing(6, ("tiny-1", "fp_a"), ("tiny-2", "fp_a"))).drifts == 1
    lane = RunDirectory(tmp_path / "r").lane("0000")
    told = [
        (record["kind"], record["echo"] if record["kind"] == "sample" else record["now"]["model"])
        for record in history.read(lane, ("sample", "event"))
        if record["kind"] == "sample" or record["event"] == "drift"
    ]
    at = told.index(("event", "tiny-2"))
    assert set(told[:at]) == {("sample", "tiny-1")}
    assert set(told[at + 1 :]) == {("sample", "tiny-2")}
    assert {record["system"] for record in history.read(lane, ("sample",))} == {"fp_a"}


@pytest.mark.parametrize("size", [1, 4 << 20])
def test_a_drift_between_two_commands_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(journal, "CHUNK_BYTES", size)

    def gone(call: Call) -> Act:
        return named("tiny-1", "fp_a") if call.ordinal < 9 else status(404)

    assert run(tmp_path, gone).status == "blocked"
    assert drifts(tmp_path / "r") == []
    ended = run(tmp_path, lambda call: named("tiny-1", "fp_b"))
    assert (ended.status, ended.drifts) == ("done", 1)
    [drift] = drifts(tmp_path / "r")
    assert (drift["was"]["system"], drift["now"]["system"]) == ("fp_a", "fp_b")


def test_each_change_is_told_once_there_and_back(tmp_path: Path) -> None:
    assert run(tmp_path, changing(6, ("t", "fp_a"), ("t", "fp_b"), ("t", "fp_a"))).drifts == 2
    assert [each["now"]["system"] for each in drifts(tmp_path / "r")] == ["fp_b", "fp_a"]


def test_an_endpoint_that_says_nothing_for_a_while_has_not_drifted(tmp_path: Path) -> None:
    assert run(tmp_path, changing(6, ("t", "fp_a"), ("t", None), ("t", "fp_a"))).drifts == 0
    assert drifts(tmp_path / "r") == []


def test_every_model_is_compared_with_itself() -> None:
    ledger = Ledger()
    for model, echo in (("a", "x"), ("b", "y"), ("a", "x"), ("b", "y")):
        record = records.from_sample("s", 0, "", Sample(Seat(0, model, None, 0), "", "stop", 0, 0, 0.0, echo))
        assert ledger.drift(record) is None
        ledger.fold(record)


def test_a_drift_whose_sample_was_lost_in_a_crash_is_not_told_twice() -> None:
    ledger, seat = Ledger(), Seat(0, "a", None, 0)
    first, other = (
        records.from_sample("s", 0, "", Sample(seat, "", "stop", 0, 0, 0.0, echo)) for echo in "xy"
    )
    ledger.fold(first)
    drift = ledger.drift(other)
    assert drift is not None
    ledger.fold(drift)
    assert ledger.drift(other) is None
    again = Ledger(ledger.totals, ledger.page([]).seen)
    assert again.drift(first) is not None
