"""Which worker owns which lane and which segments go there: a pure machine, events in, wishes out.

A worker that is launched first reads its lane back and reports what is there. No new segment is placed
before every lane that exists has been read, so none is run twice. Invariant: at most `workers` lanes run.
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
        self._reading: set[str] = set()
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
        return bool(self._unread or self._reading)

    @property
    def room(self) -> int:
        """How many more waiting segments could be placed at once."""
        return max(0, self.workers * self.breadth - len(self.waiting) - self._open_segments())

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not (self.reading or self._open or self._leaving or self.waiting)

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
        if lane in self._reading:
            self._reading.discard(lane)
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
        if lane not in self._reading and lane not in self._unread:
            self._unread.append(lane)
        return False

    def lost(self, lane: str) -> None:
        """A worker died: its lane must be read again, before any other, for it may hold allowance."""
        self.left(lane)
        self._open.pop(lane, None)
        self._reading.discard(lane)
        self._unread.appendleft(lane)

    def left(self, lane: str) -> None:
        """A retired worker has let go of its lane."""
        self._leaving.discard(lane)

    # -- wishes out --------------------------------------------------------------------------------

    def wishes(self) -> list[Wish]:
        wishes: list[Wish] = [Launch(lane) for lane in iter(self._next_unread, None)]
        if not self.reading:
            wishes += [Launch(lane) for lane in iter(self._next_free, None)]
        if not self.reading:
            wishes += self._assignments()
        return wishes + [Retire(lane) for lane in self._spent()]

    def _next_unread(self) -> str | None:
        if not self._unread or self._running() >= self.workers or self._unread[0] in self._leaving:
            return None
        lane = self._unread.popleft()
        self._reading.add(lane)
        return lane

    def _next_free(self) -> str | None:
        """A lane for a worker more, if there are segments that the running ones would have to share."""
        useful = min(self.workers, self._open_segments() + len(self.waiting))
        if not self.waiting or self._running() >= useful:
            return None
        busy = self._open.keys() | self._reading | self._leaving
        lane = next(name for name in map("{:04d}".format, count()) if name not in busy)
        self._reading.add(lane)
        return lane

    def _assignments(self) -> list[Wish]:
        """Deal the waiting segments out, always to the lane with the fewest open ones."""
        dealt: dict[str, list[Segment]] = {}
        while self.waiting and self._open:
            lane = min(self._open, key=lambda name: (len(self._open[name]), name))
            if len(self._open[lane]) >= self.breadth:
                break
            segment = self.waiting.popleft()
            self._open[lane].add(segment.id)
            self._assigned[lane][segment.id] = segment
            dealt.setdefault(lane, []).append(segment)
        return [Assign(lane, tuple(segments)) for lane, segments in dealt.items()]

    def _spent(self) -> list[str]:
        """Lanes with nothing open, when nothing waits for them or another lane waits for their place."""
        if self.waiting and not self._unread:
            return []
        busy = not self._unread and (bool(self._reading) or any(self._open.values()))
        kept = self._held if busy else ()
        spent = [lane for lane, segments in self._open.items() if not segments and lane not in kept]
        for lane in spent:
            del self._open[lane]
            self._leaving.add(lane)
        return spent

    def _running(self) -> int:
        return len(self._open) + len(self._reading) + len(self._leaving)

    def _open_segments(self) -> int:
        return sum(map(len, self._open.values()))
