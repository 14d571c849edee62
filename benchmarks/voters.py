"""How often each voter is wrong, and what it costs, beside ahead-by-k: python -m benchmarks.voters

No model is asked and nothing is drawn by chance: a step's ballot is a walk over counts of votes, each vote
right or wrong by known shares, and every state of it is put to the real voter. So the figures are exact, down
to errors that no simulation would meet. Wrong votes agree with each other, which is the worst case. `other`
is ahead-by-k: of the k that the target takes, and of two k mixed so that as many votes are drawn.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from benchmarks.record import keep
from maker.ballot import Ballot
from maker.nouns import Sample, Seat
from maker.voter import Decided, Voter, Want
from maker.voters import AheadByK, BestOf, Escalating, FirstToK, Majority, Posterior, Weighted

STEPS, TARGET = 2**20 - 1, 0.95
LONGEST, REST = 400, 1e-10
"""Votes that are followed at most; undecided chance that is left alone."""
SCORES = {"right": 1.0, "wrong": 0.0, "shiny": 2.0}
"""What a task says that answers are worth; `shiny` are wrong ones that look better than the right one."""


@dataclass(frozen=True)
class Kind:
    """Votes that are alike."""

    key: str
    model: str = "a"
    logprob: float | None = None

    @property
    def sample(self) -> Sample:
        return Sample(Seat(0, self.model, 1.0, 0), "", "stop", 0, 1, 0.0, logprob=self.logprob)


@dataclass(frozen=True)
class Steps:
    """One sort of steps: what a vote is, by its place in the ballot."""

    kinds: tuple[Kind, ...]
    chances: tuple[tuple[float, ...], ...]
    """Of each kind, for draw 0, 1, ... and then from the beginning again."""


@dataclass(frozen=True)
class Found:
    votes: float
    """A step, on average."""
    wrong: float
    """Share of steps."""

    @property
    def success(self) -> float:
        """Of the whole task."""
        return math.exp(STEPS * math.log1p(-self.wrong))


Mixture = tuple[tuple[float, Steps], ...]
"""Shares of steps of several sorts."""


def race(voter: Voter, steps: Steps) -> Found:
    """One sort of steps to the end of all of its ballots."""
    verdict = cache(partial(_verdict, voter, steps.kinds))
    open_ = {(0,) * len(steps.kinds): 1.0}
    votes = wrong = 0.0
    for number in range(LONGEST):
        following: defaultdict[tuple[int, ...], float] = defaultdict(float)
        for counts, chance in open_.items():
            said = verdict(counts)
            if isinstance(said, Decided):
                wrong += chance * (said.key != "right")
                continue
            votes += chance
            for kind, share in enumerate(steps.chances[number % len(steps.chances)]):
                if share:
                    following[(*counts[:kind], counts[kind] + 1, *counts[kind + 1 :])] += chance * share
        open_ = following
        if sum(open_.values()) < REST:
            break
    return Found(votes, wrong)


def _verdict(voter: Voter, kinds: Sequence[Kind], counts: tuple[int, ...]) -> Decided | Want:
    """As of a ballot that was filled vote by vote, which would take most of the time."""
    ballot, draw = Ballot(LONGEST, lambda answer: SCORES[answer]), 0
    for kind, votes in zip(kinds, counts, strict=True):
        if votes:
            draws = range(draw, draw := draw + votes)
            ballot.answers[kind.key] = kind.key
            ballot._votes.setdefault(kind.key, []).extend(draws)
            if hasattr(voter, "reads"):
                ballot._samples.update(dict.fromkeys(draws, kind.sample))
    return voter.decide(ballot)


def two_way_of(steps: Steps) -> Steps:
    """As a voter sees them that counts votes, where wrong ones agree: fewer counts to follow."""
    right = [kind.key == "right" for kind in steps.kinds]
    shares = [
        math.fsum(c for c, is_right in zip(each, right, strict=True) if is_right) for each in steps.chances
    ]
    return Steps((Kind("right"), Kind("wrong")), tuple((share, 1 - share) for share in shares))


def mixed(voter: Voter, mixture: Mixture) -> Found:
    """Steps of several sorts."""
    found = [(share, race(voter, steps)) for share, steps in mixture]
    return Found(*(math.fsum(share * getattr(f, name) for share, f in found) for name in ("votes", "wrong")))


class Ahead:
    """Ahead-by-k on a mixture, each k followed once."""

    def __init__(self, mixture: Mixture) -> None:
        plain = tuple((share, two_way_of(steps)) for share, steps in mixture)
        self.of: Callable[[int], Found] = cache(lambda k: mixed(AheadByK(k), plain))

    def enough(self) -> int:
        """The least k that meets the target."""
        return bisect_left(range(1, 41), True, key=lambda k: self.of(k).success >= TARGET) + 1

    def wrong_at(self, votes: float) -> float:
        """Share of wrong steps when k and k + 1 are mixed so that so many votes are drawn."""
        k = max(1, bisect_right(range(1, 41), votes, key=lambda k: self.of(k).votes))
        low, high = self.of(k), self.of(k + 1)
        return low.wrong + (high.wrong - low.wrong) * max(0.0, votes - low.votes) / (high.votes - low.votes)


# -- what is compared ------------------------------------------------------------------------------


def two_way(error: float) -> Steps:
    return Steps((Kind("right"), Kind("wrong")), ((1 - error, error),))


def mixture(p: float, hard: float, hard_error: float) -> Mixture:
    """Steps whose votes are right with the mean share p, a share of them hard."""
    easy = (1 - p - hard * hard_error) / (1 - hard)
    return ((1 - hard, two_way(easy)), (hard, two_way(hard_error))) if hard else ((1.0, two_way(easy)),)


def first_enough(voters: Iterator[tuple[str, Voter]], steps: Mixture) -> tuple[str, Found]:
    """The first that meets the target."""
    found = ((name, mixed(voter, steps)) for name, voter in voters)
    return next(each for each in found if each[1].success >= TARGET)


def escalating(steps: Mixture, k: int) -> tuple[str, Found]:
    """Of the least r whose unanimous start is rarely enough wrong, and the next, the cheaper one, with its
    least lead."""
    eps = -math.expm1(math.log(TARGET) / STEPS)
    errors = [(share, each.chances[0][1]) for share, each in steps]
    r = next(r for r in range(1, 60) if math.fsum(share * e**r for share, e in errors) <= eps)
    found = []
    for start in (r, r + 1):
        leads = range(max(start, k - 1), k + 12)
        voters = ((f"escalating:r={start},lead={n}", Escalating(start, n)) for n in leads)
        with suppress(StopIteration):
            found.append(first_enough(voters, steps))
    return min(found, key=lambda each: each[1].votes)


def row(what: str, name: str, found: Found, ahead: Ahead) -> dict[str, Any]:
    k = ahead.enough()
    other = ahead.of(k)
    met = found.success >= 0.9 * TARGET
    print(what, name, found, file=sys.stderr, flush=True)
    return {
        "steps": what,
        "voter": name,
        "votes": round(found.votes, 3),
        "wrong": f"{found.wrong:.2e}",
        "wrong_other": f"{ahead.wrong_at(found.votes):.2e}",
        "success": round(found.success, 3),
        "other": f"k={k}: {other.votes:.3f}",
        "saved": f"{1 - found.votes / other.votes:.0%}" if met else "-",
    }


SITUATIONS = [
    (0.9, 0.0, 0.0),
    (0.99, 0.0, 0.0),
    (0.998, 0.0, 0.0),
    (0.9, 0.1, 0.35),
    (0.99, 0.01, 0.35),
    (0.998, 0.002, 0.35),
    (0.998, 0.0002, 0.35),
    (0.998, 0.001, 0.1),
]
"""(mean p, share of hard steps, their error)"""


def of_one_model() -> Iterator[dict[str, Any]]:
    for p, hard, hard_error in SITUATIONS:
        what = f"p={p}" + (f", {hard:.2%} hard at {hard_error}" if hard else "")
        steps = mixture(p, hard, hard_error)
        ahead = Ahead(steps)
        k = ahead.enough()
        yield row(what, f"ahead_by_k:k={k}", ahead.of(k), ahead)
        first = ((f"first_to_k:k={n}", FirstToK(n)) for n in range(k, 40))
        odd = ((f"majority:n={n}", Majority(n)) for n in range(2 * k - 1, 80, 2))
        if not hard:
            yield row(what, *first_enough(first, steps), ahead)
            yield row(what, *first_enough(odd, steps), ahead)
        yield row(what, *escalating(steps, k), ahead)
        easy = (1 - p - hard * hard_error) / (1 - hard)
        prior = Posterior(STEPS, easy, hard, hard_error or 0.35, TARGET)
        yield row(what, "posterior", mixed(prior, steps), ahead)


def of_two_models() -> Iterator[dict[str, Any]]:
    """Drawn in turn; and one that says how sure it is."""
    for good, poor in ((0.002, 0.05), (0.01, 0.2)):
        kinds = tuple(Kind(key, model) for model in "ab" for key in ("right", "wrong"))
        steps = Steps(kinds, ((1 - good, good, 0, 0), (0, 0, 1 - poor, poor)))
        voter = Weighted(STEPS, poor, {"a": good}, target=TARGET)
        what = f"models of {1 - good} and {1 - poor} in turn"
        yield row(what, "weighted", mixed(voter, ((1.0, steps),)), Ahead(((1.0, steps),)))
    unsure = math.log(0.5)
    for error in (0.1, 0.01):
        kinds = (Kind("right"), Kind("right", "a", unsure), Kind("wrong"), Kind("wrong", "a", unsure))
        steps = Steps(kinds, ((0.95 * (1 - error), 0.05 * (1 - error), 0.3 * error, 0.7 * error),))
        what = f"p={1 - error}, unsure of 5% of right, 70% of wrong"
        ahead, sure = Ahead(((1.0, steps),)), Weighted(STEPS, error, None, True)
        yield row(what, "weighted:confidence", mixed(sure, ((1.0, steps),)), ahead)


def of_scores() -> Iterator[dict[str, Any]]:
    """A score that puts a wrong answer before the right one, of some of the wrong ones."""
    for error in (0.3, 0.1):
        for shiny in (0.0, 0.01, 0.1):
            kinds = (Kind("right"), Kind("wrong"), Kind("shiny"))
            steps = Steps(kinds, ((1 - error, error * (1 - shiny), error * shiny),))
            ahead = Ahead(((1.0, steps),))
            for n in (4, 8):
                what = f"p={1 - error}, {shiny:.0%} of wrong ones score best"
                yield row(what, f"best_of:n={n}", mixed(BestOf(n), ((1.0, steps),)), ahead)


def main() -> None:
    rows = [*of_one_model(), *of_two_models(), *of_scores()]
    keep("voters", rows, "python -m benchmarks.voters")


if __name__ == "__main__":
    main()
