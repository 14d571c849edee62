"""`--judge`: another model compares answers than answers the steps, and that is part of what the run is."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from maker import api, asked, assembly, journal, review, soundness, summary
from maker.cluster import placement
from maker.errors import UsageError
from maker.model import Request
from maker.nouns import Sample
from maker.records import Record
from maker.run_directory import RunDirectory
from tests.conftest import Maker
from tests.test_judging import said

HERE = f"{__file__}"
TASK = f"{Path(__file__).with_name('test_judging.py')}:Capital"
CHATTY = f"{Path(__file__).with_name('test_judging.py')}:Chatty"


class Writer:
    """Answers steps as `Chatty` does, and cannot compare."""

    name = "writer"
    temperatures: tuple[float | None, float | None] = (None, 0.5)
    compares = False

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        question = request.prompt.messages[-1].content
        assert question.startswith("same?") == self.compares, f"{self.name} was asked {question}"
        for seat in request.seats:
            async with request.permit():
                await asyncio.sleep(self.pause)
            yield Sample(seat, self.text(request, seat.draw, said(question, seat.seed)), "stop", 1, 2, 0.0)

    def text(self, request: Request, draw: int, text: str) -> str:
        return text

    async def aclose(self) -> None:
        pass


class Referee(Writer):
    name, compares = "referee", True
    resources = {"num_gpus": 0.25}  # noqa: RUF012


class Second(Referee):
    name = "second"


class Namesake(Referee):
    """Called as the model that answers."""

    name = "writer"


class Torn(Referee):
    """It cannot decide at step 0."""

    name = "torn"

    def text(self, request: Request, draw: int, text: str) -> str:
        return ("yes", "no")[draw % 2] if request.step.index == 0 else text


REFEREE = f"{HERE}:Referee"


def words(run: Path, **more: Any) -> dict[str, Any]:
    given = {"task": TASK, "params": {"steps": 6}, "model": f"{HERE}:Writer", "judge": REFEREE, "k": 2}
    return {**given, "engine": "inline", "run_dir": run, **more}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of several chunks."""
    monkeypatch.setattr(journal, "CHUNK_BYTES", 4000)
    result = api.run(**words(tmp_path / "r"))
    assert (result.status, result.result) == ("done", "paris"), result.reason
    return tmp_path / "r"


def of(run: Path, *kinds: str) -> list[Record]:
    return list(RunDirectory(run).records(kinds))


def drawn(run: Path) -> tuple[set[str], set[str]]:
    """Who drew (for steps, for comparisons)."""
    states = {record["state"] for record in of(run, "decision")}
    samples = of(run, "sample")
    voted = {each["model"] for each in samples if each["state"] in states}
    return voted, {each["model"] for each in samples if each["state"] not in states}


def test_the_judge_compares_and_the_model_answers_and_seats_tell(run: Path, tmp_path: Path) -> None:
    assert drawn(run) == ({"writer"}, {"referee"})
    alone = words(tmp_path / "alone", model=CHATTY, judge=None)
    assert api.run(**alone).status == "done"
    assert of(run, "decision") == of(tmp_path / "alone", "decision"), (
        "who draws has no part in the seats' seeds"
    )
    assert any(record["rulings"] for record in of(run, "decision"))
    assert soundness.check(RunDirectory(run)).steps == 6
    assert all(each.same for each in review.decided_again(run))


def test_a_run_that_is_killed_and_gone_on_with_decides_the_same(maker: Maker, run: Path) -> None:
    command = ("run", TASK, "-T", "steps=6", "--model", f"{HERE}:Writer:pause=0.05", "--k", 2, "--json")
    command = (*command, "--judge", f"{HERE}:Referee:pause=0.05", "--run-dir", "cut")
    cut, kills = maker.folder / "cut", 0
    whole = len(of(run, "sample"))
    for least in (whole // 4, whole // 2):
        process, deadline = maker.start(*command), time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (cut / "lanes").exists() and len(of(cut, "sample")) >= least:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.02)
        process.communicate()
    assert kills == 2
    assert maker(*command).done["status"] == "done"
    assert of(cut, "decision") == of(run, "decision")
    assert len(of(cut, "sample")) == whole, "nothing is drawn twice"
    assert drawn(cut) == ({"writer"}, {"referee"})


def test_with_a_wider_window_nothing_is_begun_before_the_judge_has_ruled(run: Path, tmp_path: Path) -> None:
    assert api.run(**words(tmp_path / "wide", window=4)).status == "done"
    assert of(tmp_path / "wide", "decision") == of(run, "decision")
    steps = [record["step"] for record in of(tmp_path / "wide", "sample", "decision")]
    assert all(before <= after for before, after in pairwise(steps))


@pytest.mark.parametrize("other", ["Second", "none"])
def test_another_judge_is_another_run_which_a_fork_can_be(maker: Maker, run: Path, other: str) -> None:
    judge = other if other == "none" else f"{HERE}:{other}"
    command = ("run", TASK, "-T", "steps=6", "--k", 2, "--run-dir", run, "--model", f"{HERE}:Writer")
    ended = maker(*command, "--judge", judge)
    assert ended.code == 7
    assert "judges.0.spec" in ended.err
    assert ended.err.splitlines()[-1].endswith(f" --judge {judge}")
    assert maker(*command).code == 7, "a run that has a judge has it named each time"
    fork = ("fork", run, "--at", "a:3", "--run-dir", "new", "--judge", judge)
    assert maker(*fork, *(("--model", CHATTY) if other == "none" else ())).code == 0
    done = maker("resume", "new", "--json").done
    assert (done["status"], done["result"]) == ("done", "paris")
    new = [record for record in of(maker.folder / "new", "sample") if record["step"] >= 3]
    assert {each["model"] for each in new} == ({"chatty"} if other == "none" else {"writer", "second"})
    assert maker("verify", "new").code == maker("replay", "new").code == 0


def test_a_fork_keeps_the_judge_unless_told_otherwise(maker: Maker, run: Path) -> None:
    assert maker("fork", run, "--at", "a:3", "--run-dir", "new", "--seed", 9).code == 0
    assert maker("resume", "new", "--json").done["status"] == "done"
    assert drawn(maker.folder / "new") == ({"writer"}, {"referee"})
    [status] = maker("status", "new", "--json").events
    assert [Path(each).name for each in status["judges"]] == ["test_other_judge.py:Referee"]


def test_a_task_that_compares_nothing_takes_no_judge(maker: Maker) -> None:
    ended = maker("run", "hanoi", "-T", "disks=3", "--model", "sim", "--judge", "sim", "--run-dir", "r")
    assert ended.code == 2
    assert "--judge sim: the task hanoi has no method `judge`" in ended.err
    assert not (maker.folder / "r").exists()


def test_a_judge_goes_by_its_spec_where_a_model_has_its_name(tmp_path: Path) -> None:
    assert api.run(**words(tmp_path / "r", judge=f"{HERE}:Namesake")).status == "done"
    assert drawn(tmp_path / "r") == ({"writer"}, {f"{HERE}:Namesake"})


def test_a_model_of_the_panel_may_judge_and_is_made_once(tmp_path: Path) -> None:
    assert api.run(**words(tmp_path / "r", model=[f"{HERE}:Writer", CHATTY], judge=CHATTY)).status == "done"
    assert drawn(tmp_path / "r") == ({"writer", "chatty"}, {"chatty"})
    manifest = RunDirectory(tmp_path / "r").manifest()
    panels = assembly.Panels(manifest, assembly.task(manifest), {})
    assert [model.name for model in panels] == ["writer", "chatty"]


def test_judges_take_turns_and_one_named_as_another_goes_by_its_spec(tmp_path: Path) -> None:
    both = [REFEREE, f"{HERE}:Second"]
    assert api.run(**words(tmp_path / "r", judge=both)).status == "done"
    rulings = [each for record in of(tmp_path / "r", "sample") if (each := record)["model"] != "writer"]
    assert all(each["model"] == ("referee", "second")[each["draw"] % 2] for each in rulings)
    quick = f"{REFEREE}:pause=0.001"
    assert api.run(**words(tmp_path / "two", judge=[REFEREE, quick])).status == "done"
    assert drawn(tmp_path / "two")[1] == {"referee", quick}
    with pytest.raises(UsageError, match=r"--judge .*the panel has a model .* already"):
        api.run(**words(tmp_path / "same", judge=[REFEREE, REFEREE]))


def test_a_judge_has_a_price_and_is_paid_from_the_budget(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no price for referee"):
        api.run(**words(tmp_path / "r", max_cost=1.0, price="writer=1,2"))
    prices = ["writer=1,2", "referee=30,40"]
    small = api.run(**words(tmp_path / "r", max_cost=0.0025, price=prices))
    assert (small.status, small.cost is not None and small.cost <= 0.0025) == ("budget", True)
    done = api.run(**words(tmp_path / "r", max_cost=1.0, price=prices))
    tokens = summary.summarise(RunDirectory(tmp_path / "r")).totals.by_model
    assert done.status == "done"
    assert done.cost == pytest.approx(
        sum(
            each * price
            for name, each_price in (("writer", (1, 2)), ("referee", (30, 40)))
            for each, price in zip(tokens[name][:2], each_price, strict=True)
        )
        / 1e6
    )


def test_a_judge_has_a_limit_of_its_own_on_requests(run: Path) -> None:
    limits = json.loads(json.dumps(RunDirectory(run).limits()))
    assert set(limits["models"]) == {"writer", "referee"}


def test_an_actor_takes_what_a_judge_declares(run: Path) -> None:
    manifest = RunDirectory(run).manifest()
    panels = assembly.Panels(manifest, assembly.task(manifest), {})
    assert placement.needs(panels) == {"num_gpus": 0.25}


def test_a_step_whose_judge_cannot_decide_is_retried_by_another_judge(maker: Maker, tmp_path: Path) -> None:
    parked = api.run(**words(tmp_path / "r", judge=f"{HERE}:Torn", max_samples=12))
    assert parked.status == "parked"
    assert "whether two answers are the same: undecided" in (parked.reason or "")
    assert maker("resume", "r", "--judge", REFEREE).code == 2
    again = maker("resume", "r", "--retry-parked", "--judge", REFEREE, "--json")
    assert again.done["status"] == "done", again.err
    judged = {(each["step"] == 0, each["model"]) for each in of(tmp_path / "r", "sample")}
    assert judged == {(True, "writer"), (True, "torn"), (True, "referee"), (False, "writer"), (False, "torn")}
    assert again.events[0]["retry"]["judges"] == [REFEREE]
    [status] = maker("status", "r", "--json").events
    assert [(each["command"], each["judges"]) for each in status["retries"]] == [(2, [REFEREE])]
    assert f"judged by {REFEREE}" in maker("status", "r").out
    assert maker("replay", "r").code == maker("verify", "r").code == 0
    assert "judge" in maker("show", "r", "a:0").out


def test_a_retry_by_other_models_keeps_the_judge(tmp_path: Path) -> None:
    manifest = asked.manifest(TASK, {}, f"{HERE}:Writer", 2, None, "none", 0, 9, REFEREE)
    kept, none = (asked.retry(manifest, [CHATTY], None, None, None, judge) for judge in (None, ["none"]))
    assert ([each.spec for each in kept.judges], none.judges) == ([REFEREE], ())


def test_another_judge_is_asked_now_about_recorded_steps(maker: Maker, run: Path) -> None:
    live = ("replay", run, "--live", "--step", "a:1", "--json")
    *_, asked_again, summed = maker(*live, "--judge", f"{HERE}:Second").events
    assert summed["undecided"] == 0, "which answers are the same to the record's is not asked"
    assert asked_again["now"]["winner"].startswith('"paris')
    assert maker("replay", run, "--judge", f"{HERE}:Second").code == 2
