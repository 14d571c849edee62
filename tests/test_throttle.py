"""Permits in one worker: never more than leased, nobody forgotten; what an endpoint says counts at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from maker.leases import Lease, Traffic
from maker.throttle import LONGEST_WAIT, REFUSED, Throttle, Throttles
from tests.simulation.world import Loop


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """In virtual time."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(scene())


def now() -> float:
    return asyncio.get_running_loop().time()


class Caller:
    """Requests of a second each, one task a request."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle, self.busy, self.peak = throttle, 0, 0
        self.began: list[tuple[float, str]] = []
        self.faults: list[str] = []

    def ask(
        self, name: str = "", fault: str = "", wait: float = 0.0, again: bool = False
    ) -> asyncio.Task[None]:
        return asyncio.create_task(self._ask(name, fault, wait, again))

    async def _ask(self, name: str, fault: str, wait: float, again: bool) -> None:
        async with self.throttle.permit(self.faults.append, again) as permit:
            self.began.append((now(), name))
            self.busy += 1
            self.peak = max(self.peak, self.busy)
            try:
                await asyncio.sleep(1.0 if not fault else 0.01)
            finally:
                self.busy -= 1
            if fault:
                permit.fault(fault, wait)


def test_no_more_requests_run_than_are_leased_and_all_are_served_in_order() -> None:
    async def scene() -> None:
        caller = Caller(Throttle(3))
        await asyncio.gather(*(caller.ask(str(number)) for number in range(10)))
        assert caller.peak == 3
        assert [name for _, name in caller.began] == [str(number) for number in range(10)]
        assert now() == pytest.approx(4.0)

    play(scene)


def test_a_request_that_is_tried_again_goes_before_others() -> None:
    async def scene() -> None:
        caller = Caller(Throttle(1))
        tasks = [caller.ask("first"), caller.ask("second")]
        await asyncio.sleep(0.1)
        tasks.append(caller.ask("retry", again=True))
        await asyncio.gather(*tasks)
        assert [name for _, name in caller.began] == ["first", "retry", "second"]

    play(scene)


def test_a_smaller_lease_lets_end_what_runs_and_begins_nothing_until_there_is_room() -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(4))
        tasks = [caller.ask() for _ in range(8)]
        await asyncio.sleep(0.5)
        throttle.take(Lease(2, round=1))
        await asyncio.gather(*tasks)
        assert [when for when, _ in caller.began] == pytest.approx([0, 0, 0, 0, 1, 1, 2, 2])

    play(scene)


def test_a_larger_lease_counts_at_once() -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(1))
        tasks = [caller.ask() for _ in range(4)]
        await asyncio.sleep(0.5)
        throttle.take(Lease(4))
        await asyncio.gather(*tasks)
        assert [when for when, _ in caller.began] == pytest.approx([0, 0.5, 0.5, 0.5])

    play(scene)


@pytest.mark.parametrize("granted", [False, True])
def test_who_is_cancelled_while_waiting_takes_no_permit_along(granted: bool) -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(1))
        first, second, third = (caller.ask(name) for name in "abc")
        await asyncio.sleep(0.5)
        if granted:  # a permit has been given, and its task has not heard of it yet
            throttle.take(Lease(2))
            throttle.take(Lease(1))
        second.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert [name for _, name in caller.began] == ["a", "c"]
        traffic = throttle.report()
        assert (traffic.in_use, traffic.waiting, traffic.answered) == (0, 0, 2)

    play(scene)


def test_a_refusal_takes_a_permit_away_until_the_next_round_is_told() -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(4))
        await asyncio.gather(caller.ask(fault=REFUSED), caller.ask(fault=REFUSED))
        assert throttle.share == 2
        throttle.take(Lease(4))
        assert throttle.share == 2
        throttle.take(Lease(3, round=1))
        assert throttle.share == 3
        assert caller.faults == [REFUSED, REFUSED]

    play(scene)


def test_a_refusal_of_a_request_of_an_older_round_takes_nothing() -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(4))
        late = caller.ask(fault=REFUSED)
        await asyncio.sleep(0)
        throttle.take(Lease(3, round=1))
        await late
        assert throttle.share == 3
        traffic = throttle.report()
        assert (traffic.refused, traffic.fresh, traffic.round) == (1, 0, 1)

    play(scene)


def test_another_fault_takes_nothing_and_is_counted_apart() -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(4))
        await caller.ask(fault="http-503")
        assert throttle.share == 4
        assert throttle.report().faults == 1

    play(scene)


def test_refusals_of_the_only_permit_leave_longer_and_longer_pauses() -> None:
    async def scene() -> None:
        caller = Caller(Throttle(1))
        await asyncio.gather(*(caller.ask(fault=REFUSED) for _ in range(6)))
        times = [when for when, _ in caller.began]
        pauses = [after - before for before, after in pairwise(times)]
        assert all(0.05 <= pause / 2**place <= 0.12 for place, pause in enumerate(pauses))

    play(scene)


@pytest.mark.parametrize(
    ("asked", "least"), [(5.0, 5.0), (1e9, LONGEST_WAIT), (-1.0, 0.0), (float("nan"), 0.0)]
)
def test_nothing_begins_before_a_retry_after_is_over(asked: float, least: float) -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(4))
        await caller.ask(fault="http-503", wait=asked)
        wait = throttle.report().wait
        assert wait == pytest.approx(least)
        assert throttle.report().wait == 0.0  # it is told once
        throttle.take(Lease(4))
        await asyncio.gather(*(caller.ask() for _ in range(3)))
        assert [when for when, _ in caller.began[1:]] == pytest.approx([0.01 + least] * 3, abs=0.02)

    play(scene)


def test_what_another_worker_was_told_holds_here_too() -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(2))
        throttle.take(Lease(2, wait=3.0))
        await caller.ask()
        assert caller.began[0][0] == pytest.approx(3.0)
        assert throttle.report().wait == 0.0  # nor is it told back

    play(scene)


def test_traffic_says_how_much_was_used_on_average() -> None:
    async def scene() -> None:
        caller = Caller(throttle := Throttle(2))
        tasks = [caller.ask() for _ in range(3)]
        await asyncio.sleep(1.5)
        traffic = throttle.report()
        assert (traffic.in_use, traffic.answered, traffic.permits) == (1, 2, 2)
        assert traffic.used == pytest.approx((2 * 1.0 + 0.5) / 1.5)
        await asyncio.gather(*tasks)
        assert throttle.report().used == pytest.approx(1.0)

    play(scene)


def test_a_model_that_asks_for_no_permit_is_not_reported() -> None:
    async def scene() -> None:
        throttles = Throttles()
        throttles.of("embedded")
        assert throttles.report() == {}
        throttles.take({"elsewhere": Lease(3)})
        assert throttles.report().keys() == {"elsewhere"}

    play(scene)


def test_a_worker_with_nothing_to_do_gives_its_lease_back_and_asks_for_one_when_it_needs_it() -> None:
    async def scene() -> None:
        news: list[float] = []
        throttles = Throttles(lambda: news.append(now()))
        caller = Caller(throttles.of("m"))
        asked = caller.ask()
        await asyncio.sleep(1.0)
        assert (news, caller.began) == ([0.0], [])
        throttles.take({"m": Lease(5)})
        await asked
        assert throttles.report()["m"] == Traffic(answered=1, used=pytest.approx(0.5), wait=0.0)
        assert throttles.of("m").share == 0

    play(scene)
