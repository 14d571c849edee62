"""Which worker owns which lane and which segments go there: a pure machine, events in, wishes out.

A worker that is launched first reads its lane back and reports what is there. No new segment is placed
before every lane that existed at the start has been read, so none is run twice. Segments are spread over as
many lanes as may run before any lane gets a second one; a worker that starts has its share kept for it,
unless it takes too long. Invariant: at most `workers` lanes run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from maker.nouns import Segment


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a worker on this lane."""

    lane: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Give the worker of this lane new segments."""

    lane: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    """The worker of this lane has nothing left to do."""

    lane: str


Wish: TypeAlias = Launch | Assign | Retire


class Schedule:
    """lanes: those that exist. workers: how many may run. breadth: open segments a lane may have."""

    def __init__(self, lanes: Iterable[str], workers: int, breadth: int) -> None:
        self.workers, self.breadth = workers, breadth
        self.waiting: deque[Segment] = deque()
        self._unread = deque(lanes)
        """Lanes for the next workers."""
        self._unknown = set(self._unread)
        """Lanes of which nobody has said yet what is in them."""
        self._starting: dict[str, int] = {}
        """Lanes whose worker has not read them yet, with the number of segments that were open there."""
        self._late: set[str] = set()
        """Those of them that nobody waits for."""
        self._lost: dict[str, int] = {}
        """Lanes without a worker since theirs was lost, with that number."""
        self._leaving: set[str] = set()
        self._open: dict[str, set[str]] = {}
        """Running lanes that have been read, with their open segments."""
        self._assigned: dict[str, dict[str, Segment]] = {}
        """Segments given to a lane that its worker has not reported yet."""
        self._joining: dict[str, set[str]] = {}
        """Segments that waited for their children and have just been told to go on."""
        self._held: set[str] = set()
        """Lanes in which segments wait for their children."""

    @property
    def reading(self) -> bool:
        """Lanes are left whose segments are not known."""
        return bool(self._unknown)

    @property
    def room(self) -> int:
        """How many more waiting segments could be placed at once."""
        return max(0, self.workers * self.breadth - len(self.waiting) - self._open_segments())

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not (self._unread or self._starting or self._open or self._leaving or self.waiting)

    # -- events in ---------------------------------------------------------------------------------

    def offer(self, segments: Iterable[Segment]) -> None:
        """New segments that no lane has."""
        self.waiting.extend(segments)

    def reported(self, lane: str, going: Iterable[str], ended: Iterable[str]) -> None:
        """A worker says which segments of its lane are under way, and which have ended, or begun to wait for
        their children, since its last report.

        A worker's first report is of all that is in the lane: what is not in it was never begun.
        """
        going, ended = set(going), set(ended)
        assigned, joining = self._assigned.setdefault(lane, {}), self._joining.setdefault(lane, set())
        for segment in (*going, *ended):
            assigned.pop(segment, None)
            joining.discard(segment)
        if lane in self._starting:
            del self._starting[lane]
            self._late.discard(lane)
            self._unknown.discard(lane)
            self.waiting.extendleft(assigned.values())
            assigned.clear()
        self._open[lane] = going | assigned.keys() | joining

    def hold(self, lanes: Iterable[str]) -> None:
        """Keep the workers of these lanes, in which segments wait, while there is work elsewhere."""
        self._held = set(lanes)

    def join(self, lane: str, segment: str) -> bool:
        """A segment's children have ended: whether its lane has a worker to be told.

        If not, the lane is read again when there is room for it.
        """
        if lane in self._open:
            self._joining[lane].add(segment)
            self._open[lane].add(segment)
            return True
        if lane not in self._starting and lane not in self._unread:
            self._unread.append(lane)
        return False

    def late(self, lane: str) -> None:
        """A worker takes long to start, perhaps because there is no room: the others do not wait for it."""
        if lane in self._starting:
            self._late.add(lane)

    def lost(self, lane: str) -> None:
        """A worker died: its lane must be read again, before any other, for it may hold allowance."""
        self.left(lane)
        self._lost[lane] = self._starting.pop(lane, 0) or len(self._open.pop(lane, ()))
        self._late.discard(lane)
        self._unread.appendleft(lane)

    def left(self, lane: str) -> None:
        """A retired worker has let go of its lane."""
        self._leaving.discard(lane)

    # -- wishes out --------------------------------------------------------------------------------

    def wishes(self) -> list[Wish]:
        wishes: list[Wish] = [Launch(lane) for lane in iter(self._next_unread, None)]
        if not self.reading:
            wishes += [Launch(lane) for lane in iter(self._next_free, None)]
            wishes += self._assignments()
        return wishes + [Retire(lane) for lane in self._spent()]

    def _next_unread(self) -> str | None:
        if not self._unread or self._running() >= self.workers or self._unread[0] in self._leaving:
            return None
        lane = self._unread.popleft()
        self._starting[lane] = self._lost.pop(lane, 0)
        return lane

    def _next_free(self) -> str | None:
        """A lane for a worker more, if there are segments that the running ones would have to share."""
        useful = min(self.workers, self._open_segments() + len(self.waiting))
        if not self.waiting or self._running() >= useful:
            return None
        busy = self._open.keys() | self._starting.keys() | self._leaving | set(self._unread)
        lane = next(name for name in map("{:04d}".format, count()) if name not in busy)
        self._starting[lane] = 0
        return lane

    def _assignments(self) -> list[Wish]:
        """Deal the waiting segments out, each to the lane with the fewest; what a starting one gets waits."""
        counts = {name: count for name, count in self._starting.items() if name not in self._late}
        counts |= {name: len(segments) for name, segments in self._open.items()}
        dealt: dict[str, list[Segment]] = {}
        kept: list[Segment] = []
        while self.waiting and counts:
            lane = min(counts, key=lambda name: (counts[name], name in self._starting, name))
            if counts[lane] >= self.breadth:
                break
            counts[lane] += 1
            (kept if lane in self._starting else dealt.setdefault(lane, [])).append(self.waiting.popleft())
        self.waiting.extendleft(reversed(kept))
        return [self._assign(lane, segments) for lane, segments in dealt.items()]

    def _assign(self, lane: str, segments: list[Segment]) -> Assign:
        given = {segment.id: segment for segment in segments}
        self._open[lane].update(given)
        self._assigned[lane].update(given)
        return Assign(lane, tuple(segments))

    def _spent(self) -> list[str]:
        """Lanes with nothing open, when nothing waits for them or another lane waits for their place."""
        short = bool(self._unread or self._late)
        if self.waiting and not short:
            return []
        busy = not short and (bool(self._starting) or any(self._open.values()))
        kept = self._held if busy else ()
        spent = [lane for lane, segments in self._open.items() if not segments and lane not in kept]
        for lane in spent:
            del self._open[lane]
            self._leaving.add(lane)
        return spent

    def _running(self) -> int:
        return len(self._open) + len(self._starting) + len(self._leaving)

    def _open_segments(self) -> int:
        return sum(map(len, self._open.values())) + sum(self._starting.values())
