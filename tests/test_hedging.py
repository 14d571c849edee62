"""A draw that is late is sent once more: the same samples, sooner; what it costs is counted."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import api, history, journal, records, summary
from maker.budget import NO_CAP, Allowance, Spend, Terms
from maker.chain import Chain, Park
from maker.drawing import Means
from maker.engine import Ended, Engine
from maker.errors import BlockedError, UsageError
from maker.fresh_draws import PROMPT
from maker.hedging import ENOUGH, LATE, MEMORY, PAUSE, Hedge, Race, Twice
from maker.journal import Lane
from maker.leases import Lease
from maker.ledger import Ledger
from maker.model import Request
from maker.nouns import Json, Sample, Seat, Segment, Step
from maker.operation import Operation
from maker.result import RunResult
from maker.run_directory import RunDirectory
from maker.throttle import NoSpareError, Throttles
from maker.voters import AheadByK
from tests.faultd import Act, Call, Faultd, silent
from tests.hanoi_endpoint import Erring
from tests.simulation.world import Loop
from tests.support import panel, sample, task

Fate = float | Exception
"""Of one try: seconds, or what it raises after one; at once, where it had no permit."""


@dataclass
class Fated:
    """A model whose tries at a seat, by their number, take so long or fail; it says which try answered."""

    fate: Callable[[Step, int, int], Fate]
    """Of (step, draw, try from 0)."""
    tries: list[tuple[float, Step, int]] = field(default_factory=list)
    """(when, step, draw) of each that began."""
    cancelled: int = 0
    text: str | None = None
    """What it says instead."""
    name: str = "m"
    temperatures: tuple[None, None] = (None, None)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        began, numbers = loop().time(), {}
        for seat in request.seats:
            place = (request.step, seat.draw)
            numbers[seat] = sum(each[1:] == place for each in self.tries)
            self.tries.append((began, *place))
        fates = {seat: self.fate(request.step, seat.draw, number) for seat, number in numbers.items()}
        async with request.permit():
            for seat, fate in sorted(fates.items(), key=lambda each: _seconds(each[1])):
                try:
                    await asyncio.sleep(began + _seconds(fate) - loop().time())
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
                if isinstance(fate, Exception):
                    raise fate
                yield sample(seat, self.text or f"try{numbers[seat]}")

    async def aclose(self) -> None:
        pass


def _seconds(fate: Fate) -> float:
    return 0.0 if isinstance(fate, NoSpareError) else 1.0 if isinstance(fate, Exception) else fate


@dataclass
class Played:
    ended: Ended
    seconds: float
    """Of virtual time."""
    ledger: Ledger
    lines: list[records.Record]

    def texts(self) -> list[str]:
        return [line["text"] for line in self.lines if line["kind"] == "sample"]

    def hedges(self) -> list[list[int]]:
        return [line["draws"] for line in self.lines if line.get("event") == "hedge"]


def play(
    folder: Path,
    model: Fated,
    hedge: float | None = 1.0,
    length: int = 1,
    k: int = 1,
    permits: float = math.inf,
    calls: int = NO_CAP,
) -> Played:
    async def scene() -> Played:
        lane, ledger, throttles = Lane.claim(folder, "r"), Ledger(), Throttles()
        lane.turn(ledger.page([]))
        throttles.take({"m": Lease(permits)})
        engine = Engine({"m": model}, lane, ledger, means=Means(throttles=throttles, hedge=Hedge(hedge)))
        if calls != NO_CAP:
            limit = Spend(calls, NO_CAP, NO_CAP)
            engine.means.allowance = Allowance(Terms(limit), ledger.totals, lambda: None)
            engine.means.allowance.limit_to(limit)
        chain = Chain(task(length), panel(AheadByK(k)), Segment("s0", []))
        ended = await engine.run(chain, chain.start())
        if engine.means.allowance:
            assert engine.means.allowance.account().held.calls == 0, "of what has ended nothing is held"
        lane.close()
        return Played(ended, loop().time(), ledger, list(history.read(folder)))

    return virtual(scene)


def virtual(scene: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(scene())


def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_a_late_draw_is_sent_once_more_and_its_first_reply_is_the_sample(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: (60.0, 0.5)[number])
    played = play(tmp_path, model)
    assert [when for when, *_ in model.tries] == [0.0, 1.0]
    assert (played.texts(), played.seconds, model.cancelled) == (["try1"], 1.5, 1)
    assert played.hedges() == [[0]]


def test_the_first_try_counts_where_it_is_the_quicker_after_all(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: (1.2, 60.0)[number])
    played = play(tmp_path, model)
    assert (played.texts(), played.seconds, played.hedges(), model.cancelled) == (["try0"], 1.2, [[0]], 1)


def test_both_may_be_sent_at_once(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: (60.0, 0.5)[number])
    assert play(tmp_path, model, hedge=0.0, length=3).seconds == pytest.approx(1.5, abs=0.01)
    assert len(model.tries) == 6


def test_a_draw_is_never_sent_a_third_time(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: 60.0)
    assert play(tmp_path, model).seconds == 60.0
    assert len(model.tries) == 2


def test_what_is_not_late_is_sent_once_and_costs_no_more(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: 0.9, text="a")
    played = play(tmp_path, model, length=4, k=3)
    assert (len(model.tries), played.hedges(), played.ledger.totals.hedged) == (12, [], 0)


def test_of_a_request_for_several_seats_only_those_without_a_reply_are_sent_again(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: 60.0 if (draw, number) == (1, 0) else 0.1, text="a")
    played = play(tmp_path, model, k=3)
    assert [(draw, when) for when, _, draw in model.tries] == [(0, 0.0), (1, 0.0), (2, 0.0), (1, 1.0)]
    assert (played.seconds, played.hedges(), played.ledger.totals.samples) == (1.1, [[1]], 3)


def test_what_was_paid_twice_is_told_though_the_race_is_given_up() -> None:
    async def scene() -> list[Twice]:
        model = Fated(lambda step, draw, number: 2.0 if draw == 0 else 60.0)
        request = Request(Step("s0", 0, []), PROMPT, tuple(Seat(draw, "m", 1.0, draw) for draw in range(2)))
        told: list[Twice] = []
        ask = partial(replace, request)
        race = Race(Hedge(1.0), model, request, lambda seats: ask(seats=seats), print, print, told.append)
        going = asyncio.create_task(race.run())
        await asyncio.sleep(3)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        return told

    assert [[seat.draw for seat in twice.seats] for twice in virtual(scene)] == [[0]]


@dataclass
class Raced:
    texts: list[str] = field(default_factory=list)
    told: list[list[int]] = field(default_factory=list)
    """Draws that were paid twice."""
    dropped: list[list[int]] = field(default_factory=list)
    """Draws whose copy came to nothing that was paid."""
    seconds: float = 0.0


def race(model: Fated, after: float = 1.0) -> Raced:
    """A request for one draw, sent again after so many seconds."""
    found = Raced()

    def drawn(seats: tuple[Seat, ...]) -> list[int]:
        return [seat.draw for seat in seats]

    async def scene() -> Raced:
        request = Request(Step("s0", 0, []), PROMPT, (Seat(0, "m", 1.0, 0),))
        await Race(
            Hedge(after),
            model,
            request,
            lambda seats: replace(request, seats=seats),
            lambda seats: found.dropped.append(drawn(seats)),
            lambda each: found.texts.append(each.text),
            lambda twice: found.told.append(drawn(twice.seats)),
        ).run()
        found.seconds = loop().time()
        return found

    return virtual(scene)  # type: ignore[no-any-return]


def test_a_copy_that_has_lost_was_paid_and_is_told_so_once() -> None:
    assert race(Fated(lambda step, draw, number: (2.0, 60.0)[number])) == Raced(["try0"], [[0]], [], 2.0)


def test_a_copy_is_not_sent_and_not_told_where_the_reply_comes_as_it_is_to_begin() -> None:
    model = Fated(lambda step, draw, number: 1.0)
    assert race(model, after=1.0) == Raced(["try0"], [], [[0]], 1.0)
    assert len(model.tries) == 1


def test_a_copy_that_failed_gives_back_what_was_held_for_it() -> None:
    fates: tuple[Fate, Fate] = (3.0, RuntimeError("refused"))
    assert race(Fated(lambda step, draw, number: fates[number])) == Raced(["try0"], [], [[0], [0]], 3.0)


def test_a_copy_whose_first_try_failed_is_paid_once() -> None:
    fates: tuple[Fate, Fate] = (RuntimeError("refused"), 1.0)
    found = race(Fated(lambda step, draw, number: fates[number]), after=0.5)
    assert found == Raced(["try1"], [], [[0]], 1.5)


def test_a_copy_that_others_were_quicker_than_is_sent_somewhat_later() -> None:
    fates: tuple[Fate, ...] = (60.0, NoSpareError(), NoSpareError(), 0.25)
    model = Fated(lambda step, draw, number: fates[number])
    found = race(model)
    assert [when for when, *_ in model.tries] == pytest.approx([0.0, 1.0, 1.0 + PAUSE, 1.0 + 2 * PAUSE])
    assert (found.texts, found.told) == (["try3"], [[0]])


def test_a_sample_that_no_journal_could_hold_is_an_error_of_its_try() -> None:
    class Endless(Fated):
        async def draw(self, request: Request) -> AsyncIterator[Sample]:
            yield replace(sample(request.seats[0], "x"), latency=math.inf)

    with pytest.raises(TypeError, match="finite latency"):
        race(Endless(lambda step, draw, number: 0.0))


class Clinging(Fated):
    """Takes its time to let go of a connection."""

    gone = 0

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        try:
            async for each in super().draw(request):
                yield each
        finally:
            await asyncio.sleep(0.5)
            self.gone += 1


def test_a_race_is_over_when_the_try_that_lost_has_let_go() -> None:
    async def scene() -> tuple[int, float]:
        model = Clinging(lambda step, draw, number: (60.0, 1.0)[number])
        request = Request(Step("s0", 0, []), PROMPT, (Seat(0, "m", 1.0, 0),))
        ask = partial(replace, request)
        race = Race(Hedge(1.0), model, request, lambda seats: ask(seats=seats), print, print, print)
        await race.run()
        return model.gone, loop().time()

    assert virtual(scene) == (2, 3.0)


def test_a_try_that_fails_alone_is_no_failure_and_no_cost(tmp_path: Path) -> None:
    for failing in (0, 1):
        fates: list[Fate] = [3.0, 3.0]
        fates[failing] = BlockedError("gone")
        model = Fated(lambda step, draw, number, fates=fates: fates[number])  # type: ignore[misc]
        played = play(tmp_path / str(failing), model, hedge=0.5)
        assert (played.texts(), played.hedges()) == ([f"try{1 - failing}"], [])


def test_a_draw_fails_when_both_tries_have_and_says_what_the_first_did(tmp_path: Path) -> None:
    fates = (RuntimeError("the first"), RuntimeError("the second"))
    played = play(tmp_path, Fated(lambda step, draw, number: fates[number]), hedge=0.5)
    assert isinstance(played.ended, Park)
    assert "the first" in played.ended.parked.reason
    with pytest.raises(BlockedError, match="the first"):
        both = (BlockedError("the first"), BlockedError("the second"))
        play(tmp_path / "blocked", Fated(lambda step, draw, number: both[number]), hedge=0.5)


def test_a_copy_takes_no_permit_that_a_first_try_waits_for(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: 5.0 if number == 0 else 0.1)
    played = play(tmp_path, model, permits=1)
    assert (len(model.tries), played.seconds) == (1, pytest.approx(5.0))
    model = Fated(lambda step, draw, number: 5.0 if number == 0 else 0.1)
    assert play(tmp_path / "two", model, permits=2).seconds == pytest.approx(1.1)


def test_nothing_is_sent_again_while_a_run_is_paused(tmp_path: Path) -> None:
    model = Fated(lambda step, draw, number: (3.0, 0.1)[number])

    async def scene() -> float:
        lane, ledger = Lane.claim(tmp_path, "r"), Ledger()
        lane.turn(ledger.page([]))
        engine = Engine({"m": model}, lane, ledger, means=Means(hedge=Hedge(1.0)))
        chain = Chain(task(), panel(AheadByK(1)), Segment("s0", []))
        going = asyncio.create_task(engine.run(chain, chain.start()))
        await asyncio.sleep(0.5)
        engine.means.gate.turn(True)
        await going
        lane.close()
        return loop().time()

    assert (virtual(scene), len(model.tries)) == (3.0, 1)


def test_a_copy_that_had_no_leave_is_sent_when_there_is_room(tmp_path: Path) -> None:
    """Two segments with a permit for each: when one has ended, its permit is for the other's copy."""
    fates = {"s0": (2.5, 2.5), "s1": (60.0, 0.1)}
    model = Fated(lambda step, draw, number: fates[step.segment][number])

    async def scene() -> float:
        lane, ledger, throttles = Lane.claim(tmp_path, "r"), Ledger(), Throttles()
        lane.turn(ledger.page([]))
        throttles.take({"m": Lease(2)})
        engine = Engine({"m": model}, lane, ledger, means=Means(throttles=throttles, hedge=Hedge(1.0)))
        chains = [Chain(task(), panel(AheadByK(1)), Segment(name, [])) for name in fates]
        await asyncio.gather(*(engine.run(chain, chain.start()) for chain in chains))
        lane.close()
        return loop().time()

    assert virtual(scene) == pytest.approx(2.6, abs=PAUSE)


@pytest.mark.parametrize(("calls", "sent"), [(5, 5), (6, 6)])
def test_a_copy_counts_as_a_call_and_is_not_sent_where_the_budget_has_none_left(
    tmp_path: Path, calls: int, sent: int
) -> None:
    """Three steps of a draw each, all of them late: 3 calls and up to 3 copies."""
    model = Fated(lambda step, draw, number: 5.0 if number == 0 else 0.5)
    played = play(tmp_path, model, length=3, calls=calls)
    totals = played.ledger.totals
    assert (len(model.tries), totals.samples, totals.hedged) == (sent, 3, sent - 3)
    assert Terms().spent(totals).calls == sent
    assert totals.tokens_in == sent, "the other reply is taken to cost as much"


@settings(max_examples=60, deadline=None)
@given(
    after=st.sampled_from((0.0, 0.2, 1.0, None)),
    fates=st.lists(st.sampled_from((0.0, 0.1, 0.2, 1.0, 3.0, 20.0)), min_size=1, max_size=40),
    k=st.integers(1, 3),
    permits=st.sampled_from((1, 2, 50)),
    window=st.sampled_from((1, 4)),
)
def test_with_and_without_hedging_a_run_is_the_same_draw_for_draw(
    tmp_path_factory: pytest.TempPathFactory,
    after: float | None,
    fates: list[float],
    k: int,
    permits: int,
    window: int,
) -> None:
    def told(hedge: Hedge | None) -> list[Json]:
        folder = tmp_path_factory.mktemp("lane")

        def fate(step: Step, draw: int, number: int) -> float:
            return fates[(step.index * 7 + draw * 3 + number) % len(fates)]

        class Steady(Fated):
            async def draw(self, request: Request) -> AsyncIterator[Sample]:
                async for each in super().draw(request):
                    yield sample(each.seat, "ab"[(request.step.index + each.seat.draw) % 5 == 0])

        async def scene() -> None:
            lane, ledger, throttles = Lane.claim(folder, "r"), Ledger(), Throttles()
            lane.turn(ledger.page([]))
            throttles.take({"m": Lease(permits)})
            engine = Engine({"m": Steady(fate)}, lane, ledger, means=Means(throttles=throttles, hedge=hedge))
            chain = Chain(task(5), panel(AheadByK(k)), Segment("s0", []), window=window)
            await engine.run(chain, chain.start())
            lane.close()

        virtual(scene)
        return [line for line in history.read(folder) if line["kind"] == "decision"]

    assert told(Hedge(after)) == told(None)


def test_auto_waits_as_long_as_95_of_100_draws_take_once_it_has_seen_some() -> None:
    hedge = Hedge(None)
    for number in range(ENOUGH):
        assert hedge.patience("m") is None
        hedge.note("m", float(number))
    assert hedge.patience("m") == ENOUGH * LATE
    for number in range(MEMORY):
        hedge.note("m", 100.0 + number)
    assert hedge.patience("m") == 100.0 + MEMORY * LATE
    assert hedge.patience("another") is None


@pytest.mark.parametrize("wrong", ["soon", "-1s", "inf", "nan"])
def test_a_time_that_cannot_be_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=f"hedge='{wrong}'"):
        Operation(hedge=wrong)


def simulated(folder: Path, **more: Any) -> RunResult:
    model = "sim:error=0.05,flags=0.05,latency=2ms,sigma=1.0"
    return api.run("hanoi", params={"disks": 6}, model=model, engine="inline", run_dir=folder, seed=5, **more)


def test_with_the_simulated_model_a_hedged_run_is_the_same_and_its_cap_on_calls_holds(tmp_path: Path) -> None:
    plain = simulated(tmp_path / "plain")
    for name, hedge in (("auto", "auto"), ("soon", "1ms")):
        hedged = simulated(tmp_path / name, hedge=hedge)
        assert (hedged.steps, hedged.votes, hedged.samples) == (plain.steps, plain.votes, plain.samples)
        assert hedged.hedged > 0
        assert decided(tmp_path / name) == decided(tmp_path / "plain")
    capped = simulated(tmp_path / "capped", hedge="1ms", max_calls=plain.samples + 7)
    assert capped.status == "budget"
    assert plain.samples < capped.samples + capped.hedged <= plain.samples + 7


def decided(run: Path) -> list[Json]:
    return list(history.read(run / "lanes" / "0000", ("decision",)))


def stalling(call: Call) -> Act | None:
    """One request in twenty is never answered, once so many were that a usual time is known."""
    return silent() if call.ordinal > ENOUGH and call.ordinal % 20 == 19 else None


@pytest.mark.parametrize(("client", "hedge"), [("aiohttp", "auto"), ("openai", "300ms")])
def test_an_endpoint_that_never_answers_one_request_in_twenty_holds_nothing_up(
    tmp_path: Path, client: str, hedge: str
) -> None:
    model = f"openai:tiny,send_seed=true,client={client}"

    def run(name: str, server: Faultd, **more: Any) -> RunResult:
        more = {**more, "base_url": server.url, "engine": "inline", "run_dir": tmp_path / name}
        return api.run("hanoi", params={"disks": 5}, model=model, **more)

    with Faultd(answer=Erring()) as server:
        plain = run("plain", server)
    with Faultd(answer=Erring(), script=stalling, latency=0.01) as server:
        done = run("hedged", server, hedge=hedge)
    stalled = sum(stalling(call) is not None for call in server.calls)
    assert done.verified, done.reason
    assert (done.transport_faults, done.samples) == (0, plain.samples)
    assert done.samples + done.hedged == len(server.calls), "a call was made that nobody counted"
    assert done.hedged >= stalled >= 3
    assert decided(tmp_path / "hedged") == decided(tmp_path / "plain")
    assert summary.summarise(RunDirectory(tmp_path / "hedged")).totals.hedged == done.hedged


def test_what_was_sent_twice_is_counted_on_when_a_run_goes_on(tmp_path: Path) -> None:
    """By a header, where the lines themselves are in an older chunk."""
    whole = simulated(tmp_path / "whole", hedge="1ms", max_samples=100)
    bytes_, journal.CHUNK_BYTES = journal.CHUNK_BYTES, 4000
    try:
        folder = tmp_path / "parts"
        first = simulated(folder, hedge="1ms", max_calls=whole.samples // 2)
        assert first.status == "budget"
        assert 0 < first.samples + first.hedged <= whole.samples // 2
        again = simulated(folder, hedge="1ms", max_calls="none")
    finally:
        journal.CHUNK_BYTES = bytes_
    written = [line for line in history.read(folder / "lanes" / "0000") if line.get("event") == "hedge"]
    assert again.hedged == sum(len(line["draws"]) for line in written) >= first.hedged > 0
    assert again.samples == whole.samples
