"""Decided when the leader is wrong with no more than the chance that a step may have: Bayes' rule.

The prior says that steps are of two sorts: of most the share `error` of votes is wrong, of a share `hard` of
them `hard_error`. Wrong votes are taken to agree, which is the worst case. With one sort it is ahead-by-k;
with two a ballot of 13 to 10 is weaker evidence than one of 3 to 0, as dissent tells of a hard step. What the
prior leaves out it cannot weigh: `hard` and `hard_error` are to be bounds, not guesses.
"""

from __future__ import annotations

import math
from functools import cache

from maker.ballot import Ballot
from maker.errors import UsageError
from maker.voter import Decided, Want
from maker.voters import odds


class Posterior:
    """steps: of the whole task, which is to be right with the chance `target`. error, hard_error: shares of
    wrong votes, below 0.5; hard: share of steps that have the second one."""

    def __init__(
        self, steps: int, error: float, hard: float = 0.0, hard_error: float = 0.35, target: float = 0.95
    ) -> None:
        if not 0 <= hard < 1:
            raise UsageError(f"posterior: hard={hard}, expected a share of steps below 1")
        if hard and hard_error <= error:
            raise UsageError(f"posterior: hard_error={hard_error}, expected more than error={error}")
        sorts = [(1 - hard, "error", error), (hard, "hard_error", hard_error)]
        self._sorts = [
            (math.log(share), math.log1p(-wrong), math.log(wrong))
            for share, name, value in sorts
            if share and (wrong := odds.checked_error("posterior", name, value))
        ]
        self._limit = odds.allowed("posterior", steps, target)
        self._deficit = cache(self._search)

    def decide(self, ballot: Ballot) -> Decided | Want:
        standings = ballot.standings()
        missing = self._deficit(tuple(votes for votes, _ in standings))
        return Want(missing) if missing else Decided(standings[0][1])

    def _search(self, counts: tuple[int, ...]) -> int:
        """The least number of votes that could decide: nothing is faster than votes for the leader."""
        top, *others = counts or (0,)
        missing = 0 if counts else 1
        while self._log_odds(top + missing, others or [0]) > self._limit:
            missing += 1
        return missing

    def _log_odds(self, top: int, others: list[int]) -> float:
        """That one of the others is right, to the leader."""
        total = top + sum(others)
        rivals = [self._log_likelihood(votes, total) for votes in others]
        return _log_sum(rivals) - self._log_likelihood(top, total)

    def _log_likelihood(self, right: int, total: int) -> float:
        return _log_sum([share + right * yes + (total - right) * no for share, yes, no in self._sorts])


def _log_sum(logs: list[float]) -> float:
    most = max(logs)
    return most + math.log(math.fsum(math.exp(each - most) for each in logs))
