"""What monitoring is told of a run: which counters and gauges there are, and how they have changed.

Pure: `cluster/metrics.py` hands the changes to Ray. A counter says what this command has added to the run, so
a run that goes on counts nothing twice, and the commands of a run add up to it. Invariant: a counter never
falls, also where a lost worker took with it what it had not written; no label has many values.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, Protocol, TypeAlias

from maker.latency import BOUNDS, Histogram
from maker.limits import Figures
from maker.totals import Totals

SECONDS = 1.0
"""Between two readings."""
MOST = 20
"""Values of a label in one run; further ones are counted together."""
OTHER = "other"
"""Their name."""
LONGEST = 80
"""Characters of a label's value."""
_STRANGE = re.compile(r"[^A-Za-z0-9._:/@+=,-]")


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    labels: tuple[str, ...] = ()
    """Beside `run`."""


STEPS = Metric("maker_steps", "counter", "Decided steps")
VOTES = Metric("maker_votes", "counter", "Votes on the ballots of decided steps")
SAMPLES = Metric("maker_samples", "counter", "Raw responses of models")
CONTESTED = Metric("maker_contested_steps", "counter", "Decided steps with votes for more than one answer")
FLAGS = Metric("maker_flags", "counter", "Samples discarded by a red flag at decided steps", ("reason",))
FAULTS = Metric("maker_transport_faults", "counter", "Requests that failed and were tried again", ("kind",))
TOKENS = Metric(
    "maker_tokens", "counter", "Tokens of prompts (in) and responses (out)", ("model", "direction")
)
LATENCY = Metric(
    "maker_latency_seconds_bucket", "counter", "Samples that took so many seconds or fewer", ("model", "le")
)
LATENCY_SUM = Metric("maker_latency_seconds_sum", "counter", "Seconds that samples took", ("model",))
LOST = Metric("maker_lost_workers", "counter", "Actors that died or did not answer")
SEGMENTS = Metric("maker_segments", "gauge", "Segments that are going, finished or parked", ("state",))
LIMIT = Metric("maker_request_limit", "gauge", "Requests that may be under way at a time", ("model",))
REQUESTS = Metric("maker_requests", "gauge", "Requests under way on average, or waiting", ("model", "state"))

METRICS = (
    STEPS,
    VOTES,
    SAMPLES,
    CONTESTED,
    FLAGS,
    FAULTS,
    TOKENS,
    LATENCY,
    LATENCY_SUM,
    LOST,
    SEGMENTS,
    LIMIT,
    REQUESTS,
)

Values: TypeAlias = tuple[str, ...]
"""Of a metric's labels, in their order."""
Reading: TypeAlias = tuple[Metric, Values, float]


class State(Protocol):
    """What a coordinator reports, as far as it is told on."""

    @property
    def totals(self) -> Totals: ...
    @property
    def going(self) -> int: ...
    @property
    def finished(self) -> int: ...
    @property
    def parked(self) -> int: ...
    @property
    def lost_workers(self) -> int: ...
    @property
    def requests(self) -> Mapping[str, Figures]: ...
    @property
    def latencies(self) -> Mapping[str, Histogram]: ...


@dataclass(frozen=True, slots=True)
class Change:
    metric: Metric
    labels: dict[str, str]
    value: float
    """By how much a counter has grown, more than 0; what a gauge is."""


@dataclass
class Meter:
    """Of one command on a run; called with each report of its coordinator."""

    run: str
    """Its name."""
    before: Totals = field(default_factory=Totals)
    """What the run held when the command began."""
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.run = clean(self.run)
        self._known: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """By a label: its values, and as what they go."""
        self._told = self._added_up(_of_totals(self.before))
        self._read = -math.inf

    def __call__(self, state: State) -> list[Change]:
        """What has changed, if a second is over."""
        now = self.clock()
        if now - self._read < SECONDS:
            return []
        self._read = now
        return self.read(state)

    def read(self, state: State) -> list[Change]:
        """By how much counters have grown since they were told last, and all gauges: Ray forgets one that is
        not told again."""
        changes = []
        for (metric, values), value in self._added_up(_of(state)).items():
            labels = {"run": self.run, **dict(zip(metric.labels, values, strict=True))}
            told = self._told.get((metric, values), 0.0)
            if metric.kind == "gauge":
                changes.append(Change(metric, labels, value))
            elif value > told:
                self._told[metric, values] = value
                changes.append(Change(metric, labels, value - told))
        return changes

    def _added_up(self, readings: Iterable[Reading]) -> dict[tuple[Metric, Values], float]:
        """By labels as they go: several values may go as one."""
        found: dict[tuple[Metric, Values], float] = defaultdict(float)
        for metric, values, value in readings:
            found[metric, tuple(map(self._label, metric.labels, values))] += value
        return dict(found)

    def _label(self, label: str, value: str) -> str:
        known = self._known[label]
        if value not in known:
            if label != "le" and len(known) == MOST:
                return OTHER
            known[value] = clean(value)
        return known[value]


def clean(text: str) -> str:
    """A label's value without what is strange in one, and not too long."""
    return _STRANGE.sub("_", text[:LONGEST]) or "_"


def _of(state: State) -> Iterator[Reading]:
    yield from _of_totals(state.totals)
    yield LOST, (), state.lost_workers
    for name, histogram in state.latencies.items():
        for bound, count in zip((*BOUNDS, "+Inf"), accumulate(histogram.counts), strict=True):
            yield LATENCY, (name, str(bound)), count
        yield LATENCY_SUM, (name,), histogram.seconds
    for each, many in (("going", state.going), ("finished", state.finished), ("parked", state.parked)):
        yield SEGMENTS, (each,), many
    for name, figures in state.requests.items():
        yield LIMIT, (name,), figures.limit
        yield REQUESTS, (name, "under_way"), figures.used
        yield REQUESTS, (name, "waiting"), figures.waiting


def _of_totals(totals: Totals) -> Iterator[Reading]:
    yield STEPS, (), totals.steps
    yield VOTES, (), totals.votes
    yield SAMPLES, (), totals.samples
    yield CONTESTED, (), totals.contested
    for reason, many in totals.reasons.items():
        yield FLAGS, (reason,), many
    for kind, many in totals.faults.items():
        yield FAULTS, (kind,), many
    for model, (tokens_in, tokens_out, _) in totals.by_model.items():
        yield TOKENS, (model, "in"), tokens_in
        yield TOKENS, (model, "out"), tokens_out
