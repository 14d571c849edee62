"""One limit for each model over all workers of a run, leased to them in parts: it is in no call's way.

A worker reports its traffic and is told its lease with every exchange. A raised lease counts when it is told,
a lowered one when the worker reports it, a lost worker's until its lane is read again. Each worker gets what
it has use for, evenly, and what is left is spread over all.

Nothing here acts, waits or has a clock. Invariant: no lease is raised by more than the limit has left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from maker.concurrency import Controller
from maker.control import Settings
from maker.leases import Lease, Leases, Traffic
from maker.nouns import Json

STEP = 1.0
"""Seconds between two steps of a limit that is not cut."""
TURN = 5.0
"""Seconds after which workers that had none get theirs, where there are fewer permits than workers."""
KEPT = 500
"""Changes that are remembered: the newest."""
NOTABLE, SELDOM = 1.1, 10.0
"""Growth is remembered when it is by so much, or after so many seconds."""

Cause = Literal["start", "cut", "growth", "wait", "person", "paused", "resumed"]


@dataclass(frozen=True, slots=True)
class Change:
    """Of a limit, or of all of them."""

    at: float
    """Seconds since the command began."""
    model: str | None
    cause: Cause
    limit: int | None
    """From then on."""


@dataclass(slots=True)
class Figures:
    """Of a model, as its workers last reported."""

    limit: int
    most: int
    used: float
    """Requests under way, on average of the last second."""
    waiting: int
    answered: int
    """Since the command began, as the next two."""
    refused: int
    faults: int
    wait: float
    """Seconds that the endpoint wants to be left alone from now on."""


@dataclass(slots=True)
class _Model:
    controller: Controller
    lanes: dict[str, Traffic] = field(default_factory=dict)
    """What each lane last reported."""
    told: dict[str, int] = field(default_factory=dict)
    """Permits that a lane was told since then."""
    stepped: float = 0.0
    recorded: tuple[float, int] = (0.0, 0)
    """When the limit was last remembered, and what it was."""
    answered: int = 0
    refused: int = 0
    faults: int = 0

    def committed(self, lane: str) -> int:
        return max(self.lanes.get(lane, Traffic()).committed, self.told.get(lane, 0))

    @property
    def free(self) -> int:
        lanes = self.lanes.keys() | self.told.keys()
        return self.controller.permits - sum(map(self.committed, lanes))

    @property
    def used(self) -> float:
        return sum(traffic.used for traffic in self.lanes.values())


class Limits:
    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._models: dict[str, _Model] = {}
        self.changes: deque[Change] = deque(maxlen=KEPT)
        """The oldest first."""
        if self.paused:
            self.changes.append(Change(0.0, None, "paused", None))

    @property
    def paused(self) -> bool:
        return self._settings.paused

    def settle(self, settings: Settings, now: float) -> None:
        """A person's word; `now` is in seconds since the command began, here and below."""
        if settings == self._settings:
            return
        if settings.paused != self.paused:
            self._remember(now, None, "paused" if settings.paused else "resumed", None)
        self._settings = settings
        for name, model in self._models.items():
            if settings.of(name) != model.controller.most:
                model.controller.allow(settings.of(name))
                self._record(now, name, model, "person")

    def note(self, lane: str, traffic: Mapping[str, Traffic], now: float) -> None:
        """What the worker of a lane reports; of a new one, what it has not named it does not have."""
        for name in traffic.keys() - self._models.keys():
            self._models[name] = _Model(Controller(self._settings.of(name)), stepped=now)
        for name, model in self._models.items():
            self._note(name, model, lane, traffic.get(name, Traffic()), now)

    def _note(self, name: str, model: _Model, lane: str, traffic: Traffic, now: float) -> None:
        model.lanes[lane] = traffic
        model.told.pop(lane, None)
        model.answered += traffic.answered
        model.refused += traffic.refused
        model.faults += traffic.faults
        until = model.controller.until
        model.controller.note(now, traffic)
        if model.controller.until > max(until, now) + STEP:
            self._remember(now, name, "wait", model.controller.permits)
        if traffic.fresh or now - model.stepped >= STEP:
            self._step(name, model, now)

    def _step(self, name: str, model: _Model, now: float) -> None:
        model.stepped = now
        taken = sum(max(traffic.share, traffic.in_use) for traffic in model.lanes.values())
        cut = not self.paused and model.controller.step(now, model.used, taken)
        at, limit = model.recorded
        permits = model.controller.permits
        if cut or permits > NOTABLE * limit or (permits > limit and now - at >= SELDOM):
            self._record(now, name, model, "cut" if cut else "growth" if limit else "start")

    def _record(self, now: float, name: str, model: _Model, cause: Cause) -> None:
        model.recorded = (now, model.controller.permits)
        self._remember(now, name, cause, model.controller.permits)

    def _remember(self, now: float, model: str | None, cause: Cause, limit: int | None) -> None:
        self.changes.append(Change(round(now, 3), model, cause, limit))

    def forget(self, lane: str) -> None:
        """Its worker has ended in order."""
        for model in self._models.values():
            model.lanes.pop(lane, None)
            model.told.pop(lane, None)

    def grant(self, lane: str, now: float) -> Leases:
        """What a lane may have from now on; until its next report the higher one counts."""
        leases = {name: self._lease(model, lane, now) for name, model in self._models.items()}
        return Leases(self.paused, leases)

    def _lease(self, model: _Model, lane: str, now: float) -> Lease:
        controller, mine = model.controller, model.committed(lane)
        wishes = {each: traffic.wish for each, traffic in model.lanes.items()} | (
            {} if lane in model.lanes else {lane: 0}
        )
        wanted = divide(controller.permits, wishes, int(now / TURN))[lane]
        permits = 0 if self.paused else min(wanted, mine + max(0, model.free))
        model.told[lane] = max(mine, permits)
        return Lease(permits, controller.round, max(0.0, controller.until - now))

    def figures(self, now: float) -> dict[str, Figures]:
        return {name: _figures(model, now) for name, model in self._models.items()}

    def to_json(self, now: float) -> dict[str, Json]:
        models = {name: asdict(each) for name, each in self.figures(now).items()}
        return {"paused": self.paused, "models": models, "changes": [asdict(each) for each in self.changes]}


def _figures(model: _Model, now: float) -> Figures:
    controller = model.controller
    return Figures(
        controller.permits,
        controller.most,
        round(model.used, 1),
        sum(traffic.waiting for traffic in model.lanes.values()),
        model.answered,
        model.refused,
        model.faults,
        round(max(0.0, controller.until - now), 1),
    )


def divide(permits: int, wishes: Mapping[str, int], turn: int = 0) -> dict[str, int]:
    """Whole permits by who wishes how many: the small wishes first, the rest evenly, what is left to all.

    Where there are fewer permits than who wish, `turn` says who comes first.
    """
    many = permits // max(len(wishes), 1) + 1
    names = sorted(wishes)
    first = 0 if many > 1 else turn
    place = {name: (index + first) % len(names) for index, name in enumerate(names)}
    order = sorted(names, key=lambda name: (min(wishes[name], many), place[name]))
    shares = dict.fromkeys(order, 0)
    for most in (wishes, dict.fromkeys(order, permits)):
        permits = _pour(permits, order, most, shares)
    return shares


def _pour(permits: int, order: Sequence[str], most: Mapping[str, int], shares: dict[str, int]) -> int:
    """Deal out evenly, to each up to its `most`, to those first that take less; how many are left."""
    for taken, name in enumerate(order):
        more = min(most[name], permits // (len(order) - taken))
        shares[name] += more
        permits -= more
    return permits
