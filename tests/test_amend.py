"""A parked step is retried by another panel, and that is recorded; what was drawn counts."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import api, chunks, history, journal, review, summary
from maker.amendment import Amendment
from maker.chain import Chain, Commit, Draw, Finish, Park, Wish
from maker.errors import IncompatibleResumeError, UsageError
from maker.heads import heads
from maker.manifest import Source
from maker.nouns import Parked, Sample, Segment
from maker.records import Record, from_parked, from_segment
from maker.recovery import Recovery
from maker.result import RunResult
from maker.run_directory import RunDirectory
from maker.voters import AheadByK
from tests.conftest import Maker
from tests.faultd import Faultd
from tests.support import draws, of_head, panel, sample, task
from tests.test_endpoint_runs import right

TORN = '''
import asyncio

from maker import Message, Prompt, Sample, Segment
from maker.errors import BlockedError


class Torn:
    """Three segments of four steps; only "x" is right."""

    def segments(self):
        return [Segment(name, {"name": name}) for name in "abc"]

    def prompt(self, step):
        return Prompt((Message("user", f"{step.segment}:{step.index}?"),)) if step.index < 4 else None

    def parse(self, step, text):
        return text

    def advance(self, step, answer):
        if answer not in ("x", "y"):
            raise ValueError("no such answer")
        return step.state

    def stitch(self, finals):
        return sorted(finals)

    def verify(self, decided):
        return all(answer == "x" for *_, answer in decided) or "a wrong answer"


class Even:
    """Its votes are even at step b:2."""

    name, temperatures = "even", (None, None)

    async def draw(self, request):
        for seat in request.seats:
            torn = (request.step.segment, request.step.index) == ("b", 2)
            yield Sample(seat, "xy"[seat.draw % 2] if torn else "x", "stop", 1, 1, 0.0)

    async def aclose(self):
        pass


class Broken(Even):
    """It raises at step b:2."""

    name = "broken"

    async def draw(self, request):
        if (request.step.segment, request.step.index) == ("b", 2):
            raise OSError("gone")
        async for sample in super().draw(request):
            yield sample


class Sure:
    name, temperatures = "sure", (None, None)

    async def draw(self, request):
        for seat in request.seats:
            yield Sample(seat, "x", "stop", 1, 1, 0.0)

    async def aclose(self):
        pass


class SureToo(Sure):
    """Another one that calls itself as `Even` does."""

    name = "even"


class Slow(Sure):
    async def draw(self, request):
        for seat in request.seats:
            await asyncio.sleep(0.15)
            yield Sample(seat, "x", "stop", 1, 1, 0.0)


class Faint(Sure):
    """Gone after its second draw of a life."""

    name = "faint"
    drawn = 0

    async def draw(self, request):
        for seat in request.seats:
            if self.drawn == 2:
                raise BlockedError("out of breath")
            self.drawn += 1
            yield Sample(seat, "x", "stop", 1, 1, 0.0)
'''


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    (tmp_path / "torn.py").write_text(TORN)
    return tmp_path / "torn.py"


@pytest.fixture
def parked(torn: Path) -> Path:
    """A run that is parked at b:2 with four votes for each of two answers."""
    return park(torn, "Even")


def park(torn: Path, model: str) -> Path:
    run = torn.parent / "r"
    asked = {"model": f"{torn}:{model}", "max_samples": 8, "engine": "inline", "run_dir": run}
    assert api.run(f"{torn}:Torn", **asked).status == "parked"
    return run


def retry(run: Path, *models: str, **how: object) -> RunResult:
    return api.resume(run, retry_parked=True, model=models or None, engine="inline", **how)


def at_b2(run: Path) -> list[Record]:
    """Every record of step b:2, in order."""
    found = (
        record
        for lane in RunDirectory(run).lanes()
        for record in history.read(RunDirectory(run).lane(lane))
        if (record.get("segment"), record.get("step")) == ("b", 2)
    )
    return list(found)


def check_replay(run: Path) -> None:
    found = list(review.decided_again(run))
    assert (len(found), [each.recorded for each in found if not each.same]) == (12, [])
    for lane in RunDirectory(run).lanes():
        history.verify(RunDirectory(run).lane(lane))


def test_a_parked_step_is_retried_by_another_model_and_the_run_completes_and_verifies(
    torn: Path, parked: Path
) -> None:
    before = at_b2(parked)
    ended = retry(parked, f"{torn}:Sure", k=2, max_samples=5)
    assert (ended.status, ended.verified, ended.steps) == ("done", True, 12)
    after = at_b2(parked)
    assert after[: len(before)] == before, "what was drawn is kept"
    [amend, *drawn, prompt, decision] = after[len(before) :]
    assert (amend["event"], amend["segment"], amend["step"]) == ("amend", "b", 2)
    assert [source["spec"] for source in amend["models"]] == [f"{torn}:Sure"]
    assert (amend["voter"]["spec"], amend["max_samples"]) == ("ahead_by_k:k=2", 8 + 5)
    assert [(each["draw"], each["model"]) for each in drawn] == [(8, "sure"), (9, "sure")]
    assert (prompt["event"], prompt["messages"][0]["content"]) == ("prompt", "b:2?")
    votes = {each["key"]: each["draws"] for each in decision["votes"]}
    assert votes == {'"x"': [0, 2, 4, 6, 8, 9], '"y"': [1, 3, 5, 7]}
    check_replay(parked)


def test_the_steps_after_it_are_the_runs_own_panels_again(torn: Path, parked: Path) -> None:
    retry(parked, f"{torn}:Sure", k=1)
    lane = next(lane for lane in RunDirectory(parked).lanes() if segment_in(parked, lane))
    [after] = [
        record
        for record in history.read(RunDirectory(parked).lane(lane), ("decision",))
        if (record["segment"], record["step"]) == ("b", 3)
    ]
    samples = [r for r in history.read(RunDirectory(parked).lane(lane), ("sample",)) if r["step"] == 3]
    assert after["votes"] == [{"key": '"x"', "draws": [0, 1, 2]}]
    assert {record["model"] for record in samples} == {"even"}


def segment_in(run: Path, lane: str) -> bool:
    return any(record["segment"] == "b" for record in history.read(RunDirectory(run).lane(lane), ("sample",)))


def test_without_another_panel_the_cap_is_raised_and_a_plain_resume_keeps_the_last_amendment(
    parked: Path,
) -> None:
    assert retry(parked, max_samples=4).reason == "1 parked; the first is b:2: undecided after 12 samples"
    again = at_b2(parked)
    assert api.resume(parked, engine="inline").status == "parked"
    assert at_b2(parked) == again, "nothing is drawn or written without need"
    assert retry(parked, k=1, max_samples=3).status == "done"
    amends = [record["max_samples"] for record in at_b2(parked) if record.get("event") == "amend"]
    assert amends == [12, 15]
    check_replay(parked)


def test_a_step_that_was_parked_by_a_broken_model_is_retried_the_same_way(torn: Path) -> None:
    run = park(torn, "Broken")
    assert "the model raised OSError" in str(api.resume(run, engine="inline").reason)
    assert retry(run, f"{torn}:Sure").status == "done"
    assert [r["model"] for r in at_b2(run) if r["kind"] == "sample"] == ["sure"] * 3
    check_replay(run)


def test_a_model_that_is_named_as_one_of_the_run_goes_by_its_spec_in_the_seats(
    torn: Path, parked: Path
) -> None:
    retry(parked, f"{torn}:SureToo", k=1, max_samples=5)
    models = [record["model"] for record in at_b2(parked) if record["kind"] == "sample"]
    assert models == ["even"] * 8 + [f"{torn}:SureToo"]


def test_several_models_of_an_amendment_are_drawn_in_turn(torn: Path, parked: Path) -> None:
    retry(parked, f"{torn}:Sure", f"{torn}:Even", k=3)
    drawn = [(record["draw"], record["model"]) for record in at_b2(parked) if record["kind"] == "sample"]
    assert {draw % 2: model for draw, model in drawn[8:]} == {0: "sure", 1: "even"}


@pytest.mark.parametrize("size", [1, 4 << 20])
def test_a_retry_that_was_cut_short_ends_the_same_whatever_chunk_it_is_in(
    torn: Path, parked: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(journal, "CHUNK_BYTES", size)
    assert retry(parked, f"{torn}:Faint", k=3, max_samples=9).status == "blocked"
    lane = RunDirectory(parked).lane(next(n for n in RunDirectory(parked).lanes() if segment_in(parked, n)))
    newest = history.newest(lane)
    assert newest is not None
    [head] = [head for head in newest.header["going"] if head["segment"] == "b"]
    assert (head["amend"] is not None) == (size == 1), "with small chunks only a header tells"
    ended = api.resume(parked, engine="inline")
    assert (ended.status, ended.verified) == ("done", True)
    drawn = [(record["draw"], record["model"]) for record in at_b2(parked) if record["kind"] == "sample"]
    assert drawn == [(draw, "even") for draw in range(8)] + [(8, "faint"), (9, "faint"), (10, "faint")]
    assert sum(record.get("event") == "amend" for record in at_b2(parked)) == 1
    check_replay(parked)


def test_a_retry_that_is_killed_goes_on_where_it_was(maker: Maker, torn: Path, parked: Path) -> None:
    process = maker.start("resume", parked, "--retry-parked", "--model", f"{torn}:Slow", "--max-samples", 9)
    deadline = time.monotonic() + 60
    while sum(record["kind"] == "sample" for record in at_b2(parked)) < 9:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert at_b2(parked)[-1]["kind"] == "sample", "it was killed between amendment and decision"
    ended = maker("resume", parked, "--json")
    assert (ended.code, ended.done["verified"]) == (0, True)
    drawn = [(record["draw"], record["model"]) for record in at_b2(parked) if record["kind"] == "sample"]
    assert drawn == [(draw, "even") for draw in range(8)] + [(draw, "sure") for draw in (8, 9, 10)]
    assert maker("replay", parked).code == maker("verify", parked).code == 0


def test_the_same_retry_given_again_after_a_kill_amends_nothing_anew(torn: Path, parked: Path) -> None:
    assert retry(parked, f"{torn}:Faint", max_samples=9).status == "blocked"
    assert retry(parked, f"{torn}:Faint", max_samples=9).status == "done"
    assert [r["max_samples"] for r in at_b2(parked) if r.get("event") == "amend"] == [17]


def test_a_worker_that_comes_after_a_lost_one_does_not_amend_a_second_time(tmp_path: Path) -> None:
    voter = Source(spec="ahead_by_k:k=3", sha256="")
    amendment = Amendment(segment="s0", step=0, state="", models=(), voter=voter, max_samples=9)
    recovery = Recovery(task(), panel())
    recovery.fold(from_segment(Segment("s0", [])))
    state = Chain(task(), panel(), Segment("s0", [])).state
    amendment = amendment.model_copy(update={"state": state})
    assert not recovery.amend(amendment), "it is not parked"
    chain = Chain(task(), panel(cap=2), Segment("s0", []))
    chain.start()
    chain.receive(sample(0, "a"))
    [park] = chain.receive(sample(1, "b"))
    assert isinstance(park, Park)
    assert isinstance(park.parked, Parked)
    recovery.fold(from_parked(park.parked))
    assert recovery.amend(amendment)
    recovery.fold(amendment.record())
    recovery.fold(from_parked(park.parked))
    assert not recovery.amend(amendment), "it was parked under this very amendment"
    assert recovery.amend(amendment.model_copy(update={"max_samples": 10}))


def test_an_endpoints_address_reaches_the_model_of_an_amendment(tmp_path: Path) -> None:
    asked = {"params": {"disks": 2}, "model": "sim:flags=1", "max_samples": 4, "engine": "inline"}
    assert api.run("hanoi", run_dir=tmp_path / "r", **asked).status == "parked"
    with Faultd(answer=right) as server:
        ended = retry(tmp_path / "r", "openai:tiny", base_url=server.url)
    assert ended.reason == "1 parked; the first is 0:1: undecided after 4 samples, 4 of them red-flagged"
    assert (ended.steps, ended.votes, ended.flagged) == (1, 3, 8)
    assert len(server.calls) >= 1


def test_a_fork_keeps_the_amendment_of_a_step_that_it_keeps(torn: Path, parked: Path) -> None:
    retry(parked, max_samples=4)
    new = parked.parent / "new"
    api.fork(parked, ("a", 2), new)
    assert api.resume(new, engine="inline").reason == "1 parked; the first is b:2: undecided after 12 samples"
    assert at_b2(new) == at_b2(parked)
    assert retry(new, f"{torn}:Sure").status == "done"
    check_replay(new)


def test_a_retry_of_what_cannot_be_made_is_refused_and_recorded_nowhere(torn: Path, parked: Path) -> None:
    before = at_b2(parked)
    with pytest.raises(UsageError, match="no option colour"):
        retry(parked, "openai:x,colour=red")
    with pytest.raises(UsageError, match="expected 1 or more"):
        retry(parked, max_samples=0)
    with pytest.raises(UsageError, match=r"no option tempo; expected one of max_samples, .*workers"):
        retry(parked, tempo=3)
    with pytest.raises(UsageError, match="for parked steps"):
        api.resume(parked, model=[f"{torn}:Sure"], engine="inline")
    assert at_b2(parked) == before
    assert retry(parked, f"{torn}:Sure").status == "done"


def test_an_amendments_model_whose_file_has_changed_is_refused_until_the_step_is_retried_anew(
    torn: Path, parked: Path
) -> None:
    other = torn.with_name("other.py")
    other.write_text(TORN.replace("class Faint", "class Weak"))
    assert retry(parked, f"{other}:Weak").status == "blocked"
    other.write_text(TORN + "# changed\n")
    with pytest.raises(IncompatibleResumeError, match=r"other.py is not the file that the run names"):
        api.resume(parked, engine="inline")
    assert retry(parked, f"{torn}:Sure", max_samples=9).status == "done"
    assert [r["max_samples"] for r in at_b2(parked) if r.get("event") == "amend"] == [8 + 8, 8 + 2 + 9]


def test_chunks_of_an_amended_lane_are_sealed_as_any(torn: Path, parked: Path) -> None:
    retry(parked, f"{torn}:Sure")
    for lane in RunDirectory(parked).lanes():
        assert all(map(chunks.is_sealed, chunks.of(RunDirectory(parked).lane(lane))[:-1]))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), k=st.integers(1, 4), crash=st.integers(0, 30), gap=st.booleans())
def test_an_amended_chain_cut_anywhere_decides_as_one_that_was_not(
    seed: int, k: int, crash: int, gap: bool
) -> None:
    lot = Random(seed)
    said = [lot.choice("aab?") for _ in range(80)]
    had = [sample(draw, said[draw]) for draw in range(8) if not (gap and draw in (2, 5))]
    straight, used = go_on(had, said, k, 10**6)
    first, drawn = go_on(had, said, k, crash)
    if not ended(first):
        order = [*had, *drawn]
        first, more = go_on(order, said, k, 10**6)
        drawn += more
    assert first == straight
    assert sorted(each.seat.draw for each in drawn) == sorted(each.seat.draw for each in used)
    assert len(had) + len(used) <= 30, "the amended cap holds, gaps or not"


def ended(wishes: list[Wish]) -> bool:
    return any(isinstance(wish, Commit | Park | Finish) for wish in wishes)


def go_on(had: list[Sample], said: list[str], k: int, budget: int) -> tuple[list[Wish], list[Sample]]:
    """What comes of an amended head that has these samples, within a budget of draws, and those draws."""
    chain = Chain(task(), panel(AheadByK(9), cap=8), Segment("s0", []))
    chain.amend(panel(AheadByK(k), cap=30, members=("n",)))
    wishes, drawn, waiting = chain.resume(of_head(chain, had)), [], []
    while not ended(wishes) and len(drawn) < budget:
        assert all(wish.model == "n" for wish in wishes if isinstance(wish, Draw))
        waiting += draws(wishes)
        seat = waiting.pop(0)
        drawn.append(sample(seat, said[seat.draw]))
        wishes = chain.receive(drawn[-1])
    return [wish for wish in wishes if isinstance(wish, Commit | Park)], drawn


def test_a_command_that_ends_before_every_lane_was_read_counts_them_all(torn: Path) -> None:
    run = torn.parent / "r"
    asked = {"run_dir": run, "engine": "inline", "max_samples": 8, "workers": 3}
    api.run(f"{torn}:Torn", model=f"{torn}:Even", **asked)
    [lane] = [lane for lane, _ in heads(RunDirectory(run))]
    assert lane != max(RunDirectory(run).lanes())
    ended = retry(run, f"{torn}:Faint", k=8, workers=1)
    assert ended.status == "blocked"
    assert ended.steps == summary.summarise(RunDirectory(run)).totals.steps == 10
