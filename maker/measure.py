"""What the draws of sampled steps tell of a model: shares and means with 95 % intervals, as plain data.

Pure: it is given how each draw came out, and knows neither runs nor tasks. Which steps were drawn, and what
is right there: `calibrator.py`. Invariant: the figures do not hang on the order of the steps.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from maker.calibration import Figures, Kind, Length, Mean, Share, Votes
from maker.theory.clusters import Average, average, correlation, share, wrong_again


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample and what became of it."""

    answer: int | None
    """0: the right answer; 1 and above: wrong ones, each its number at its step; None: flagged."""
    flag: str
    """The reason; empty where it is valid."""
    tokens_in: int
    tokens_out: int
    latency: float
    """Seconds."""


StepDraws = Sequence[Draw]
"""Of one step, in drawing order."""


BINS = 20
"""Of lengths, at most."""


def figures(steps: Sequence[StepDraws]) -> Figures:
    """Of all steps."""
    tallies = _tallies(steps)
    votes = [(t.right, t.wrong) for t in tallies]
    voted = [t for t in tallies if t.right + t.wrong]
    draws = [draw for each in steps for draw in each]
    return Figures(
        steps=len(steps),
        votes=_patterns(tallies),
        valid=_valid(tallies),
        error=_error(tallies),
        rho=_mean(correlation(votes)),
        again=_share(wrong_again(votes)),
        same=_share((t.top, t.wrong) for t in tallies),
        contested=_of_steps(t.top > 0 and (t.right > 0 or t.wrong > t.top) for t in voted),
        majority_wrong=_majority_wrong(tallies),
        collisions=_of_steps(_collisions([d for d in each if d.answer is not None] for each in steps)),
        collisions_unflagged=_of_steps(_collisions(steps)),
        flags=dict(sorted(Counter(draw.flag for draw in draws if draw.flag).items())),
        lengths=_lengths(draws),
        tokens_in=_mean(average([[draw.tokens_in for draw in each] for each in steps])),
        tokens_out=_mean(average([[draw.tokens_out for draw in each] for each in steps])),
        latency=_mean(average([[draw.latency for draw in each] for each in steps])),
        latency_sigma=_sigma([draw.latency for draw in draws if draw.latency > 0]),
    )


def kind(name: str, evenly: int, steps: Sequence[StepDraws]) -> Kind:
    """Of the steps of one kind, so many of them chosen evenly."""
    tallies = _tallies(steps)
    return Kind(
        name=name,
        evenly=evenly,
        steps=len(steps),
        valid=_valid(tallies),
        error=_error(tallies),
        majority_wrong=_majority_wrong(tallies),
    )


@dataclass(frozen=True, slots=True)
class _Tally:
    """As `Votes`, of one step."""

    right: int
    wrong: int
    top: int
    flagged: int


@lru_cache
def _tally(said: tuple[int | None, ...]) -> _Tally:
    answers = Counter(said)
    flagged, right = answers.pop(None, 0), answers.pop(0, 0)
    return _Tally(right, answers.total(), max(answers.values(), default=0), flagged)


def _tallies(steps: Sequence[StepDraws]) -> list[_Tally]:
    return [_tally(tuple([draw.answer for draw in draws])) for draws in steps]


def _valid(tallies: Iterable[_Tally]) -> Share:
    return _share((t.right + t.wrong, t.right + t.wrong + t.flagged) for t in tallies)


def _error(tallies: Iterable[_Tally]) -> Share:
    return _share((t.wrong, t.right + t.wrong) for t in tallies)


def _majority_wrong(tallies: Iterable[_Tally]) -> Share:
    return _of_steps(t.top >= t.right for t in tallies if t.right + t.wrong)


def _patterns(tallies: Iterable[_Tally]) -> list[Votes]:
    counted = Counter(tallies)
    order = sorted(counted, key=lambda t: (-counted[t], -t.right, t.wrong, t.top))
    return [
        Votes(right=t.right, wrong=t.wrong, top=t.top, flagged=t.flagged, steps=counted[t]) for t in order
    ]


def _share(clusters: Iterable[tuple[int, int]]) -> Share:
    clusters = [each for each in clusters if each[1]]
    count, of = sum(hits for hits, _ in clusters), sum(trials for _, trials in clusters)
    interval = share(clusters)
    return Share(count=count, of=of, value=count / of if of else 0.0, low=interval.low, high=interval.high)


def _of_steps(hits: Iterable[bool]) -> Share:
    return _share((int(hit), 1) for hit in hits)


def _collisions(steps: Iterable[StepDraws]) -> Iterable[bool]:
    """Of the steps with two draws or more, whether the first two are wrong."""
    return (all(draw.answer != 0 for draw in draws[:2]) for draws in steps if len(draws) > 1)


def _mean(found: Average) -> Mean:
    return Mean(value=found.value, low=found.low, high=found.high)


def _sigma(latencies: Sequence[float]) -> float:
    if len(latencies) < 2:
        return 0.0
    logs = [math.log(each) for each in latencies]
    mean = math.fsum(logs) / len(logs)
    return math.sqrt(math.fsum((each - mean) ** 2 for each in logs) / (len(logs) - 1))


def _lengths(draws: Iterable[Draw]) -> list[Length]:
    """Valid draws by length, in bins of equal and round width; empty ones are left out."""
    valid = [draw for draw in draws if draw.answer is not None]
    width = _round_width(max((draw.tokens_out for draw in valid), default=0) / BINS)
    found: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for draw in valid:
        one = found[max(1, -(-draw.tokens_out // width)) * width]
        one[0] += 1
        one[1] += draw.answer != 0
    return [Length(tokens=end, valid=found[end][0], wrong=found[end][1]) for end in sorted(found)]


def _round_width(least: float) -> int:
    """1, 2 or 5 times a power of ten, at least so much."""
    power = 1
    while power * 5 < least:
        power *= 10
    return next(power * factor for factor in (1, 2, 5) if power * factor >= least)
