"""The engine writes before it acts, loses no sample, and tells three failures apart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from maker import history, records
from maker.chain import Chain, Finish, Park
from maker.engine import Ended, Engine
from maker.errors import BlockedError
from maker.journal import Lane
from maker.ledger import Ledger
from maker.model import Request
from maker.nouns import Sample, Seat, Segment
from maker.panel import Panel
from maker.recovery import Recovery
from maker.task import Task
from maker.totals import Totals
from maker.voters import AheadByK
from tests.support import Death, panel, sample, task


class Scripted:
    """A model of the test's own: `say(request, seat)` returns a text or an exception to raise."""

    name, temperatures = "m", (None, None)

    def __init__(self, say: Callable[[Request, Seat], str | Exception]) -> None:
        self.say, self.drawn = say, 0

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            await asyncio.sleep(0)
            text = self.say(request, seat)
            if isinstance(text, Exception):
                raise text
            self.drawn += 1
            yield sample(seat, text)

    async def aclose(self) -> None:
        pass


def recovered(lane: Lane, subject: Task, board: Panel) -> Recovery:
    """What the newest chunk of a lane says, as a worker reads it."""
    recovery = Recovery(subject, board)
    recovery.read(lane)
    return recovery


def run(folder: Path, model: Scripted, length: int = 4, k: int = 3, cap: int = 20) -> tuple[Ended, Totals]:
    """Run a segment in a lane, going on with what is in it."""

    async def go() -> tuple[Ended, Totals]:
        subject, board = task(length), panel(AheadByK(k), cap)
        lane = Lane.claim(folder, "r")
        recovery = recovered(lane, subject, board)
        lane.turn(recovery.ledger.page(recovery.going()))
        engine = Engine({"m": model}, lane, recovery.ledger)
        parked, going = recovery.resume()
        try:
            if parked:
                return Park(parked[0][1]), engine.ledger.totals
            if recovery.finished:
                return recovery.finished[0], engine.ledger.totals
            if going:
                [each] = going
                ended = await engine.run(each.chain, each.wishes, each.samples)
            else:
                segment = Segment("s0", [])
                engine.write(records.from_segment(segment))
                chain = Chain(subject, board, segment)
                ended = await engine.run(chain, chain.start())
            return ended, engine.ledger.totals
        finally:
            engine.write_faults()
            lane.close()

    return asyncio.run(go())


def test_a_segment_runs_to_its_end_and_every_draw_is_in_the_journal(tmp_path: Path) -> None:
    model = Scripted(lambda request, seat: "a")
    ended, totals = run(tmp_path, model)
    assert ended == Finish("s0", ["a", "a", "a"], 4)
    kinds = [record["kind"] for record in history.read(tmp_path)]
    assert kinds == ["event", *["sample"] * 3, "decision"] + [*["sample"] * 3, "decision"] * 3 + ["event"]
    assert (totals.steps, totals.samples, totals.votes, model.drawn) == (4, 12, 12, 12)


def test_what_was_asked_is_written_once_before_the_end_of_a_contested_flagged_or_parked_step(
    tmp_path: Path,
) -> None:
    said = ["aaa", "aabaa", "a?aa", "ab" * 10]
    ended, _ = run(tmp_path, Scripted(lambda request, seat: said[request.step.index][seat.draw]))
    assert isinstance(ended, Park)
    told = [
        (record.get("event", record["kind"]), record["step"])
        for record in history.read(tmp_path, ("event", "decision"))
        if "step" in record
    ]
    assert told == [
        ("decision", 0),
        *(("prompt", 1), ("decision", 1)),
        *(("prompt", 2), ("decision", 2)),
        *(("prompt", 3), ("park", 3)),
    ]
    prompt = next(r for r in history.read(tmp_path, ("event",)) if r["event"] == "prompt")
    assert prompt["messages"] == [{"role": "user", "content": "a word"}]
    assert (prompt["max_tokens"], prompt["stop"]) == (None, [])


def test_a_blocked_model_loses_nothing_and_the_run_goes_on_later(tmp_path: Path) -> None:
    def gone(request: Request, seat: Seat) -> str | Exception:
        return BlockedError("endpoint gone") if (request.step.index, seat.draw) == (2, 1) else "a"

    first = Scripted(gone)
    with pytest.raises(BlockedError, match="endpoint gone"):
        run(tmp_path, first)
    assert first.drawn == 7
    second = Scripted(lambda request, seat: "a")
    ended, totals = run(tmp_path, second)
    assert isinstance(ended, Finish)
    assert (second.drawn, totals.samples) == (5, 12)


class Last(Scripted):
    """Gives all that is asked for at one moment, and refuses at the same."""

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            yield sample(seat, "a")
        raise BlockedError("no more")


def test_what_came_with_a_refusal_is_decided_and_written_before_it_ends_the_segment(tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match="no more"):
        run(tmp_path, Last(lambda request, seat: "a"))
    kinds = [record["kind"] for record in history.read(tmp_path)]
    assert kinds == ["event", *["sample"] * 3, "decision", *["sample"] * 3], "the next step was begun"
    ended, totals = run(tmp_path, Scripted(lambda request, seat: "a"))
    assert (ended, totals.steps, totals.samples) == (Finish("s0", ["a", "a", "a"], 4), 4, 12)


def test_a_transport_fault_is_counted_and_is_neither_vote_nor_flag(tmp_path: Path) -> None:
    def shaky(request: Request, seat: Seat) -> str:
        request.on_fault("http-429")
        return "a"

    ended, _ = run(tmp_path, Scripted(shaky), length=1)
    assert isinstance(ended, Finish)
    records_ = list(history.read(tmp_path))
    [decision] = [r for r in records_ if r["kind"] == "decision"]
    assert decision["flags"] == []
    assert [r["counts"] for r in records_ if r.get("event") == "faults"] == [{"http-429": 3}]


def test_a_model_that_raises_parks_the_step_and_a_later_run_takes_it_up_again(tmp_path: Path) -> None:
    ended, _ = run(tmp_path, Scripted(lambda request, seat: ZeroDivisionError("\x1b[2J")))
    assert isinstance(ended, Park)
    begins = Scripted.draw.__code__.co_firstlineno
    where = re.escape(f"the model raised ZeroDivisionError at step s0:0, state [] ({__file__}:")
    said = re.fullmatch(where + r"(\d+)\): \\x1b\[2J", ended.parked.reason)
    assert said, ended.parked.reason
    assert begins < int(said[1]) < begins + 8
    ended, _ = run(tmp_path, Scripted(lambda request, seat: "a"))
    assert isinstance(ended, Finish)


def test_a_model_that_leaves_a_seat_unfilled_is_found_out(tmp_path: Path) -> None:
    class Lazy(Scripted):
        async def draw(self, request: Request) -> AsyncIterator[Sample]:
            yield sample(request.seats[0], "a")

    ended, _ = run(tmp_path, Lazy(lambda request, seat: "a"))
    assert isinstance(ended, Park)
    assert "left seats [1, 2] unfilled" in ended.parked.reason


def test_an_undecided_step_stays_parked_and_draws_no_more(tmp_path: Path) -> None:
    model = Scripted(lambda request, seat: "ab"[seat.draw % 2])
    ended, _ = run(tmp_path, model, k=2, cap=6)
    assert isinstance(ended, Park)
    again = Scripted(lambda request, seat: "a")
    ended, totals = run(tmp_path, again, k=2, cap=6)
    assert isinstance(ended, Park)
    assert (again.drawn, totals.samples) == (0, 6)
    assert sum(r.get("event") == "park" for r in history.read(tmp_path)) == 1


def test_a_larger_cap_resolves_a_parked_step_with_the_samples_it_has(tmp_path: Path) -> None:
    run(tmp_path, Scripted(lambda request, seat: "ab"[seat.draw % 2]), length=1, k=2, cap=6)
    model = Scripted(lambda request, seat: "a")
    ended, _ = run(tmp_path, model, length=1, k=2, cap=20)
    assert isinstance(ended, Finish)
    assert model.drawn == 2


def test_a_response_that_kills_the_parser_is_written_before_it_does(tmp_path: Path) -> None:
    with pytest.raises(Death):
        run(tmp_path, Scripted(lambda request, seat: "die"))
    assert [record["text"] for record in history.read(tmp_path, ("sample",))] == ["die"]


def test_when_one_draw_is_blocked_what_else_is_under_way_is_still_written(tmp_path: Path) -> None:
    class HalfGone(Scripted):
        async def draw(self, request: Request) -> AsyncIterator[Sample]:
            if request.seats[0].draw > 0:
                raise BlockedError("gone")
            yield sample(request.seats[0], "?")
            await asyncio.sleep(0.1)
            for seat in request.seats[1:]:
                yield sample(seat, "a")

    with pytest.raises(BlockedError):
        run(tmp_path, HalfGone(lambda request, seat: "a"))
    assert [record["draw"] for record in history.read(tmp_path, ("sample",))] == [0, 1, 2]


def test_a_sample_that_comes_in_after_its_step_was_parked_is_on_the_next_page(tmp_path: Path) -> None:
    class Half(Scripted):
        async def draw(self, request: Request) -> AsyncIterator[Sample]:
            yield sample(request.seats[0], "boom")
            yield sample(request.seats[1], "a")
            await asyncio.sleep(60)

    ended, _ = run(tmp_path, Half(lambda request, seat: ""))
    assert isinstance(ended, Park)
    for _ in range(2):
        lane = Lane.claim(tmp_path, "r")
        recovery = recovered(lane, task(4), panel())
        lane.turn(recovery.ledger.page(recovery.going()))
        lane.close()
    [going] = recovery.going()
    assert [record["text"] for record in going["samples"]] == ["boom", "a"]


def test_of_decided_steps_a_recovery_keeps_nothing(tmp_path: Path) -> None:
    run(tmp_path, Scripted(lambda request, seat: "ab"[seat.draw % 2 * (request.step.index == 3)]), k=2, cap=4)
    recovery = recovered(Lane.claim(tmp_path, "r"), task(4), panel(AheadByK(2), 4))
    assert recovery.ledger.totals.samples == 3 * 2 + 4
    assert len(recovery._open["s0"].samples) == 4


def test_cancelling_a_run_keeps_what_has_come_in(tmp_path: Path) -> None:
    class Slow(Scripted):
        async def draw(self, request: Request) -> AsyncIterator[Sample]:
            yield sample(request.seats[0], "a")
            await asyncio.sleep(60)

    async def cancelled() -> None:
        chain = Chain(task(), panel(), Segment("s0", []))
        lane = Lane.claim(tmp_path, "r")
        lane.turn(Ledger().page([]))
        engine = Engine({"m": Slow(lambda r, s: "a")}, lane)
        under_way = asyncio.create_task(engine.run(chain, chain.start()))
        await asyncio.sleep(0.05)
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)
        lane.close()

    asyncio.run(cancelled())
    assert len(list(history.read(tmp_path, ("sample",)))) == 1
