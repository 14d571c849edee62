"""The limit of a model over all workers: found, followed, shared out, never overdrawn; in virtual time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.concurrency import DEEPEST, START, Controller
from maker.control import Settings
from maker.leases import Traffic
from maker.limits import KEPT, Limits, divide
from maker.throttle import REFUSED
from tests.overload import MODEL, Endpoint, Overload

SHOWN = 8


def overload(
    capacity: int = 20, latency: float = 0.2, lanes: int = 4, demand: int = 15, seed: int = 0, **more: float
) -> Overload:
    return Overload(Endpoint(capacity, latency, **more), lanes, demand, Random(seed))


def limit(world: Overload) -> int:
    return world.limits.figures(0)[MODEL].limit


def any_world(seed: int) -> Overload:
    """Capacity, latency, number of workers, demand and delays by lot."""
    lot = Random(seed)
    capacity, lanes = lot.randint(3, 40), lot.randint(1, 8)
    endpoint = Endpoint(capacity, lot.uniform(0.2, 2.0), lot.choice((0.0, 0.0, 0.5, 2.0)))
    return Overload(endpoint, lanes, 3 * capacity // lanes + 3, lot, lot.uniform(0.001, 0.01))


def used(world: Overload) -> float:
    """Share of the capacity in the second minute, as far as the way there and back lets it be used."""
    served = world.endpoint.latency / (world.endpoint.latency + 2 * world.delay)
    return world.endpoint.use(60, 120) / (served * world.endpoint.capacity)


@pytest.mark.parametrize("seed", range(SHOWN))
def test_any_capacity_is_found_and_used_with_few_refusals(seed: int) -> None:
    world = any_world(seed)
    world.run(120)
    assert used(world) >= 0.8
    assert world.endpoint.share_refused(60, 120) < 0.03


@pytest.mark.slow
def test_of_three_hundred_capacities_nearly_all_are_used_to_four_fifths_and_none_is_hammered() -> None:
    worlds = [any_world(seed) for seed in range(300)]
    for world in worlds:
        world.run(120)
    assert max(world.endpoint.share_refused(60, 120) for world in worlds) < 0.03
    assert min(used(world) for world in worlds) > 0.5
    assert sum(used(world) < 0.8 for world in worlds) <= 10


@pytest.mark.parametrize("seed", range(SHOWN))
def test_no_lease_is_raised_beyond_what_the_limit_has_left(seed: int) -> None:
    world = any_world(seed)
    world.run(40)
    before = 0
    for _, permits, leased in world.sums:
        assert leased <= max(permits, before)
        before = leased
    assert any(permits == leased for _, permits, leased in world.sums)


def test_twenty_at_once_are_used_to_four_fifths_with_under_three_refusals_in_a_hundred() -> None:
    world = overload()
    world.run(90)
    assert 0.8 <= world.endpoint.use(30, 90) / 20 <= 1.0
    assert world.endpoint.share_refused(30, 90) < 0.01


def test_a_doubled_capacity_is_found_within_thirty_seconds() -> None:
    async def double(world: Overload) -> None:
        await asyncio.sleep(60)
        world.endpoint.capacity = 40

    world = overload()
    world.run(100, double)
    assert world.endpoint.use(90, 95) >= 0.8 * 40
    assert world.endpoint.share_refused(60, 100) < 0.03


def test_a_halved_capacity_is_followed_within_seconds() -> None:
    async def halve(world: Overload) -> None:
        await asyncio.sleep(60)
        world.endpoint.capacity = 10

    world = overload()
    world.run(100, halve)
    assert world.endpoint.share_refused(62, 100) < 0.03
    assert world.endpoint.use(80, 100) >= 0.8 * 10


def test_a_limit_that_is_not_used_does_not_drift_up() -> None:
    world = overload(capacity=100, demand=3)
    world.run(60)
    assert limit(world) == START


def test_a_server_that_fails_stops_growth_and_cuts_nothing() -> None:
    async def break_down(world: Overload) -> None:
        await asyncio.sleep(3)
        world.endpoint.broken = True
        await asyncio.sleep(1)
        grown.append(limit(world))
        await asyncio.sleep(20)
        grown.append(limit(world))

    grown: list[int] = []
    world = overload(capacity=100, demand=30)
    world.run(40, break_down)
    assert START < grown[0] == grown[1] == limit(world)


def test_no_worker_asks_before_a_retry_after_is_over_once_it_is_told() -> None:
    async def refuse_all(world: Overload) -> None:
        await asyncio.sleep(5)
        world.endpoint.capacity = 0
        await asyncio.sleep(2)
        world.endpoint.capacity = 20

    world = overload(retry_after=10.0)
    world.run(30, refuse_all)
    times = [when for when, _, _ in world.endpoint.log]
    first = next(when for when, outcome, _ in world.endpoint.log if outcome == REFUSED)
    assert not [when for when in times if first + 2.0 < when < first + 9.9]
    assert [when for when in times if when > first + 10]


def test_people_may_pause_a_run_and_change_its_ceiling() -> None:
    async def control(world: Overload) -> None:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(10)
        world.limits.settle(Settings(most=6), now())
        await asyncio.sleep(10)
        world.limits.settle(Settings(paused=True, most=6), now())
        await asyncio.sleep(10)
        world.limits.settle(Settings(most=50), now())

    world = overload()
    world.run(60, control)
    log = world.endpoint.log
    assert max(busy for when, _, busy in log if 12.2 < when < 20) <= 6
    assert not [when for when, _, _ in log if 22 < when < 30]
    assert world.endpoint.use(50, 60) > 12
    causes = [change.cause for change in world.limits.changes]
    assert [cause for cause in causes if cause in ("person", "paused", "resumed")] == [
        "person",
        "paused",
        "resumed",
        "person",
    ]


def test_one_overload_is_cut_once_however_late_it_is_told() -> None:
    controller = Controller()
    storm = Traffic(refused=20, fresh=20, round=0)
    controller.note(1.0, storm)
    assert controller.step(1.0, 20, 15)
    cut = controller.limit
    for late in range(2, 30):
        controller.note(late, storm)
        assert not controller.step(late, 0, 12)
    assert controller.limit == cut >= 0.8 * DEEPEST * START


def test_more_refusals_after_a_cut_cut_again_only_when_it_has_settled() -> None:
    controller, cuts = Controller(), []
    for tenth in range(100):
        controller.note(tenth / 10, Traffic(refused=1, fresh=1, round=controller.round))
        if controller.step(tenth / 10, 20, 1):
            cuts.append(tenth / 10)
    assert cuts[0] == 0.0 and 3 <= len(cuts) <= 4
    assert controller.limit >= 1


def test_the_lease_of_a_lost_worker_counts_until_its_lane_is_read_again() -> None:
    limits = Limits(Settings(most=10))
    greedy = Traffic(in_use=0, waiting=50)
    limits.note("a", {MODEL: greedy}, 0.0)
    assert limits.grant("a", 0.0).models[MODEL].permits == 10
    limits.note("b", {MODEL: greedy}, 0.1)
    assert limits.grant("b", 0.1).models[MODEL].permits == 0
    limits.note("b", {MODEL: greedy}, 1.1)
    assert limits.grant("b", 1.1).models[MODEL].permits == 0
    limits.note("a", {}, 1.2)
    assert limits.grant("b", 1.2).models[MODEL].permits == 10


def test_history_is_bounded() -> None:
    limits = Limits()
    for second in range(20 * KEPT):
        limits.settle(Settings(paused=second % 2 == 0), second)
    assert len(limits.changes) == KEPT


@given(
    st.integers(0, 200),
    st.dictionaries(st.text(max_size=3), st.integers(0, 99), min_size=1),
    st.integers(0, 9),
)
def test_permits_are_shared_out_whole_and_nobody_gets_less_than_an_even_part_that_it_wishes(
    permits: int, wishes: dict[str, int], turn: int
) -> None:
    shares = divide(permits, wishes, turn)
    assert sum(shares.values()) == permits
    even = permits // len(wishes)
    assert all(share >= min(wishes[name], even) for name, share in shares.items())


def test_with_fewer_permits_than_workers_each_gets_its_turn() -> None:
    wishes = dict.fromkeys("abcd", 9)
    served = {name for turn in range(4) for name, share in divide(1, wishes, turn).items() if share}
    assert served == set("abcd")
