"""Segments are placed once each, lanes run at most `workers` at a time, lost ones come back."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from maker.nouns import Segment
from maker.schedule import Assign, Launch, Retire, Schedule


class World:
    """Workers as the schedule's shell would see them, acting in a random order."""

    def __init__(
        self, segments: int, workers: int, breadth: int, lanes: dict[str, set[str]], seed: int
    ) -> None:
        self.random = Random(seed)
        self.schedule = Schedule(lanes, workers, breadth)
        self.workers, self.breadth = workers, breadth
        self.fresh = [Segment(f"new{number}", None) for number in range(segments)]
        self.total = segments + sum(map(len, lanes.values()))
        self.journal = {lane: set(names) for lane, names in lanes.items()}
        """What is written in a lane and has not ended."""
        self.orders: dict[str, list[str]] = {}
        self.alive: dict[str, bool] = {}
        """Running lanes, and whether their worker has read its lane."""
        self.leaving: set[str] = set()
        self.ended: list[str] = []
        self.waiting: dict[str, set[str]] = {}
        """Segments by lane that wait for their children, as far as their workers have said so."""
        self.told: set[str] = set()
        """Of them, those that have been told to go on."""

    def shell(self) -> None:
        for lane, names in sorted(self.waiting.items()):
            for name in sorted(names - self.told):
                if self.random.random() < 0.5 and self.schedule.join(lane, name):
                    self.told.add(name)
                    self.orders[lane].append(name)
        self.schedule.hold(lane for lane, names in self.waiting.items() if names - self.told)
        if not self.schedule.reading:
            room = self.schedule.room
            self.schedule.offer(self.fresh[:room])
            del self.fresh[:room]
        for wish in self.schedule.wishes():
            match wish:
                case Launch(lane):
                    assert lane not in self.alive
                    self.alive[lane], self.orders[lane] = False, []
                    assert len(self.alive) <= self.workers
                case Assign(lane, segments):
                    assert self.alive[lane]
                    self.orders[lane] += [segment.id for segment in segments]
                case Retire(lane):
                    assert not self.journal[lane] - self.waiting.get(lane, set())
                    assert not self.orders[lane]
                    self.leaving.add(lane)

    def act(self, chance_of_loss: float) -> None:
        lane = self.random.choice(sorted(self.alive))
        if self.random.random() < 0.1:
            self.schedule.late(lane)
        if lane in self.leaving:
            self.leaving.discard(lane)
            del self.alive[lane]
            self.schedule.left(lane)
        elif self.random.random() < chance_of_loss:
            self.lose(lane)
        else:
            self.report(lane)
        self.shell()

    def lose(self, lane: str) -> None:
        if self.alive[lane] and self.orders[lane] and self.random.random() < 0.5:
            self._take(lane, self.orders[lane].pop())
        self.told -= self.waiting.get(lane, set())
        del self.alive[lane]
        self.schedule.lost(lane)

    def report(self, lane: str) -> None:
        written = self.journal.setdefault(lane, set())
        if self.alive[lane] and self.random.random() < 0.7:  # else they came after the report was made
            for name in self.orders[lane]:
                self._take(lane, name)
            self.orders[lane].clear()
        waiting = self.waiting.setdefault(lane, set())
        first, going = not self.alive[lane], sorted(written - waiting)
        ended = [name for name in going if not first and self.random.random() < 0.5]
        waits = [name for name in going if name not in ended and not first and self.random.random() < 0.3]
        self.alive[lane] = True
        written.difference_update(ended)
        self.ended += ended
        waiting.update(waits)
        said = waiting if first else waits
        self.schedule.reported(lane, written - waiting, [*ended, *said])
        assert len(written - waiting) <= self.breadth + len(self.told) or not self.orders[lane]

    def _take(self, lane: str, name: str) -> None:
        """A worker begins a segment, or goes on with one whose children have ended."""
        self.journal[lane].add(name)
        self.waiting.get(lane, set()).discard(name)
        self.told.discard(name)


@settings(max_examples=300, deadline=None)
@given(
    segments=st.integers(0, 20),
    workers=st.integers(1, 4),
    breadth=st.integers(1, 5),
    lanes=st.dictionaries(st.integers(0, 6), st.integers(0, 4), max_size=5),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 2**32),
)
def test_every_segment_ends_once_whatever_dies(
    segments: int, workers: int, breadth: int, lanes: dict[int, int], loss: float, seed: int
) -> None:
    before = {f"{lane:04d}": {f"old{lane}-{n}" for n in range(count)} for lane, count in lanes.items()}
    world = World(segments, workers, breadth, before, seed)
    world.shell()
    for _ in range(2000):
        if not world.alive and not any(world.waiting.values()):
            break
        world.act(loss) if world.alive else world.shell()
    assert world.schedule.idle
    assert len(world.ended) == len(set(world.ended)) == world.total


def test_one_segment_takes_one_worker() -> None:
    schedule = Schedule([], workers=4, breadth=8)
    schedule.offer([Segment("only", None)])
    assert schedule.wishes() == [Launch("0000")]


def test_a_lost_lane_is_read_before_any_other() -> None:
    schedule = Schedule(["0000", "0001", "0002"], workers=1, breadth=8)
    assert schedule.wishes() == [Launch("0000")]
    schedule.lost("0000")
    assert schedule.wishes() == [Launch("0000")]


def test_segments_are_dealt_evenly() -> None:
    schedule = Schedule([], workers=2, breadth=8)
    schedule.offer(Segment(str(number), None) for number in range(6))
    assert schedule.wishes() == [Launch("0000"), Launch("0001")]
    schedule.reported("0000", [], [])
    assert assigned(schedule) == {"0000": ["0", "2", "4"]}
    schedule.reported("0001", [], [])
    assert assigned(schedule) == {"0001": ["1", "3", "5"]}


def assigned(schedule: Schedule) -> dict[str, list[str]]:
    wishes = [wish for wish in schedule.wishes() if isinstance(wish, Assign)]
    return {wish.lane: [segment.id for segment in wish.segments] for wish in wishes}


def test_segments_do_not_wait_for_a_worker_that_there_is_no_room_for() -> None:
    schedule = Schedule([], workers=3, breadth=8)
    schedule.offer(Segment(str(number), None) for number in range(6))
    assert schedule.wishes() == [Launch("0000"), Launch("0001"), Launch("0002")]
    schedule.reported("0000", [], [])
    assert assigned(schedule) == {"0000": ["0", "3"]}
    schedule.late("0001")
    assert assigned(schedule) == {"0000": ["4"]}
    schedule.late("0002")
    assert assigned(schedule) == {"0000": ["1", "2", "5"]}


def test_new_segments_do_not_wait_until_a_lost_lane_has_been_read_again() -> None:
    schedule = Schedule([], workers=2, breadth=2)
    schedule.offer(Segment(str(number), None) for number in range(4))
    schedule.wishes()
    for lane in ("0000", "0001"):
        schedule.reported(lane, [], [])
    schedule.wishes()
    schedule.reported("0000", ["0", "2"], [])
    schedule.reported("0001", ["1", "3"], [])
    schedule.lost("0001")
    assert schedule.wishes() == [Launch("0001")]
    schedule.reported("0000", ["0"], ["2"])
    schedule.offer([Segment("4", None)])
    assert assigned(schedule) == {"0000": ["4"]}


def test_a_lane_with_nothing_to_do_makes_room_for_one_that_there_is_no_room_for() -> None:
    schedule = Schedule([], workers=2, breadth=8)
    schedule.offer([Segment("0", None), Segment("1", None)])
    schedule.wishes()
    schedule.reported("0000", [], [])
    schedule.late("0001")
    schedule.wishes()
    schedule.reported("0000", [], ["0", "1"])
    schedule.hold({"0000"})
    assert schedule.wishes() == [Retire("0000")]


def test_a_lane_that_runs_is_not_launched_again_though_the_first_one_is_missing() -> None:
    schedule = Schedule(["0001"], workers=2, breadth=8)
    schedule.offer([Segment("a", None), Segment("b", None)])
    assert schedule.wishes() == [Launch("0001")]
    schedule.reported("0001", [], [])
    assert schedule.wishes()[0] == Launch("0000")
