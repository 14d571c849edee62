"""Judges a run that was killed, from its files and the endpoint's own log: what was lost, what paid twice.

It reads the journal by the simulation's auditor, which shares no code with Maker. An undisturbed run of the
same seed says which seats there are: a request carries its seat's seed, by which the two logs are joined.
Invariant: a request that was made twice is laid to the one kill that hit it, or is a violation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from tests.faultd import Call
from tests.simulation.auditor import lane_lines

Seat: TypeAlias = tuple[str, int, str, int]
"""(segment, step, digest of its state, draw)"""


@dataclass(frozen=True, slots=True)
class Kill:
    """A SIGKILL; times are of `time.monotonic`, in seconds."""

    victim: str
    """`command` or `actor`."""
    sent: float
    gone: float
    """When nothing of what it hit ran any more: Ray's actors outlive their command a little."""
    open: int = 0
    """Requests that ran at the endpoint when it was sent."""


@dataclass(slots=True)
class Written:
    """What a run's files hold."""

    decisions: dict[tuple[str, int], Any] = field(default_factory=dict)
    """(segment, step) to (answer, votes, flags)."""
    samples: dict[Seat, tuple[int, str]] = field(default_factory=dict)
    """Seat to its seed and the text."""
    lanes: dict[str, str] = field(default_factory=dict)
    """Segment to its lane."""
    twice: list[str] = field(default_factory=list)
    """A sentence for each step decided and each seat written more than once, or out of order."""


def written(run: Path) -> Written:
    found = Written()
    for lane in sorted((run / "lanes").iterdir()):
        for line in lane_lines(lane):
            _note(found, lane.name, line)
    return found


def _note(found: Written, lane: str, line: dict[str, Any]) -> None:
    if line["kind"] == "sample":
        seat = (line["segment"], line["step"], line["state"], line["draw"])
        if seat in found.samples:
            found.twice.append(f"{seat} is in the journal twice")
        found.samples[seat] = (line["seed"], line["text"])
    elif line["kind"] == "decision":
        step = (line["segment"], line["step"])
        if step in found.decisions or (step[1] and (step[0], step[1] - 1) not in found.decisions):
            found.twice.append(f"{step} is decided twice or before the step before it")
        found.decisions[step] = (line["answer"], line["votes"], line["flags"])
        found.lanes[step[0]] = lane


def same(run: Written, straight: Written, guessed: bool = False) -> Iterator[str]:
    """A sentence for each way in which two runs of one seed differ; guessed: one may have more samples."""
    for what in ("decisions", "samples"):
        here, there = getattr(run, what), getattr(straight, what)
        more = here.keys() - there.keys() if guessed and what == "samples" else set()
        odd = [key for key in (here.keys() | there.keys()) - more if here.get(key) != there.get(key)]
        if odd:
            yield f"{len(odd)} {what} are not the undisturbed run's; the first is {min(odd)}"


@dataclass(frozen=True, slots=True)
class Paid:
    """What the endpoint was asked for."""

    calls: int
    answered: int
    """As the endpoint sees it: it has sent all of the reply."""
    lost: int
    """Calls in flight at a kill, sent again later: cut short, or answered and not written yet."""
    redrawn: int
    """Answered more than once."""
    most_lost: int
    """At one kill."""


def paid(
    run: Written, calls: Sequence[Call], kills: Sequence[Kill], k: int | None, window: int = 1
) -> tuple[Paid, list[str]]:
    """What was drawn and what of it was lost, and a sentence for each call that was made without need.

    k: what a kill may cost each open segment; None where it may cost what was not sealed yet, too.
    """
    asked, odd = _by_seat(run, calls)
    wrong = odd if window == 1 else []  # a guess may be under way when the run ends
    lost: list[Counter[tuple[str, int]]] = [Counter() for _ in kills]
    for seat, times in asked.items():
        for first, again in pairwise(times):
            hit = _hit(first, again, kills)
            if hit is None:
                wrong.append(f"{seat} was asked twice, and no kill was in between")
            else:
                lost[hit][seat[:2]] += 1
    for kill, steps in zip(kills, lost, strict=True):
        wrong += _bound(run, kill, steps, k, window) if k is not None else ()
    answered = sum(call.verdict == "answered" for call in calls)
    counts = [steps.total() for steps in lost]
    return Paid(len(calls), answered, sum(counts), answered - len(asked), max(counts, default=0)), wrong


def _by_seat(run: Written, calls: Iterable[Call]) -> tuple[dict[Seat, list[Call]], list[str]]:
    seats = {seed: seat for seat, (seed, _) in run.samples.items()}
    asked: defaultdict[Seat, list[Call]] = defaultdict(list)
    wrong = []
    for call in calls:
        if (seat := seats.get(call.body["seed"])) is None:
            wrong.append(f"the seed {call.body['seed']} was asked, which no sample has")
        else:
            asked[seat].append(call)
    return asked, wrong


def _hit(first: Call, again: Call, kills: Iterable[Kill]) -> int | None:
    """Which kill a call was lost to."""
    fits = (n for n, kill in enumerate(kills) if first.started <= kill.gone and kill.sent <= again.started)
    return next(fits, None)


def _bound(run: Written, kill: Kill, lost: Counter[tuple[str, int]], k: int, window: int) -> Iterator[str]:
    """At a kill each open segment loses at most the k calls of its open steps; an actor has one lane."""
    segments = Counter(segment for segment, _ in lost)
    for (segment, step), count in lost.items():
        if count > (k if window == 1 else k * window) or segments[segment] > window:
            most = f"at most {k} of {window} step{'s' * (window > 1)} were in flight"
            yield f"a kill lost {count} calls of {segment}:{step}, {most}"
    if kill.victim == "actor" and len({run.lanes[segment] for segment in segments}) > 1:
        yield "the kill of an actor lost calls of two lanes"
