"""The votes and flags of one step, and which draws are still wanted.

It counts and hands out draw indices; when it is decided is the voter's business. Invariant (R1): the
wanted draws are the lowest that have not come in, and as many as the voter's deficit, so no draw can
decide before all wanted ones are in and arrival order cannot matter. Read next: `maker/voter.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from maker.nouns import Flags, Json, Sample, Tally, Votes


class Ballot:
    """Filled draw by draw; `cap` is the number of draws (flagged ones too) that it may use.

    scorer: what the task says an answer is worth, if it does.
    """

    __slots__ = ("_early", "_flags", "_next", "_samples", "_scorer", "_votes", "answers", "cap", "wanted")

    def __init__(self, cap: int, scorer: Callable[[Json], float] | None = None) -> None:
        self.cap, self._scorer = cap, scorer
        self.answers: dict[str, Json] = {}
        """Of each key, that of its lowest draw: answers of one key need not be equal to the letter."""
        self.wanted: set[int] = set()
        """Draw indices that are launched, or to be, and have not come in."""
        self._votes: dict[str, list[int]] = {}
        self._samples: dict[int, Sample] = {}
        """Of votes, by draw, where they are known."""
        self._flags: dict[str, list[int]] = {}
        self._next = 0
        self._early: set[int] = set()
        """Draws from `_next` on that have come in, or will, without having been handed out here."""

    @property
    def total(self) -> int:
        """Votes cast; flagged draws are none."""
        return sum(map(len, self._votes.values()))

    @property
    def flagged(self) -> int:
        return sum(map(len, self._flags.values()))

    def votes(self, key: str) -> int:
        return len(self._votes.get(key, ()))

    def cast(self, key: str) -> list[Sample | None]:
        """The samples that voted for a key; None for one that is not known."""
        return [self._samples.get(draw) for draw in self._votes.get(key, ())]

    def score(self, key: str) -> float:
        """What the task says an answer is worth; 0 where it does not say."""
        return 0.0 if self._scorer is None else self._scorer(self.answers[key])

    def standings(self) -> list[tuple[int, str]]:
        """(votes, key), most votes first; equals by the lowest draw, whichever came in first."""
        order = sorted(self._votes.items(), key=lambda item: (-len(item[1]), min(item[1])))
        return [(len(draws), key) for key, draws in order]

    def leaders(self) -> tuple[str | None, int, int]:
        """(leading key, its votes, the runner-up's votes); a tied leader is any of the tied."""
        leader, top, second = None, 0, 0
        for key, draws in self._votes.items():
            if len(draws) > top:
                leader, top, second = key, len(draws), top
            elif len(draws) > second:
                second = len(draws)
        return leader, top, second

    def vote(self, draw: int, key: str, answer: Json, sample: Sample | None = None) -> None:
        self.wanted.remove(draw)
        if sample is not None:
            self._samples[draw] = sample
        draws = self._votes.setdefault(key, [])
        if not draws or draw < min(draws):
            self.answers[key] = answer
        draws.append(draw)

    def keys(self) -> list[str]:
        """Those that have votes, by their lowest draw."""
        return sorted(self._votes, key=lambda key: min(self._votes[key]))

    def merge(self, classes: Mapping[str, str]) -> None:
        """Count the votes for a key as votes for the key of its class."""
        for key, first in classes.items():
            if key != first:
                self._votes[first] += self._votes.pop(key)

    def flag(self, draw: int, reason: str) -> None:
        self.wanted.remove(draw)
        self._flags.setdefault(reason, []).append(draw)

    def expect(self, draws: Iterable[int]) -> None:
        """These draws were made before: they count, and their indices are not handed out again."""
        self._early.update(draws)
        self.wanted.update(self._early)

    def want(self, votes: int, end: int | None = None) -> tuple[int, ...]:
        """Raise the wanted draws to the deficit, within the cap and before `end`; the new ones, ascending."""
        room = self.cap - self._next - len(self._early)
        missing = min(votes - len(self.wanted), room)
        fresh: list[int] = []
        while len(fresh) < missing and (end is None or self._next < end):
            if self._next in self._early:
                self._early.remove(self._next)
            else:
                fresh.append(self._next)
            self._next += 1
        self.wanted.update(fresh)
        return tuple(fresh)

    @property
    def lowest(self) -> int:
        """The lowest draw that has not come in, whether it was handed out or not."""
        draw = self._next
        while draw in self._early:
            draw += 1
        return min(self.wanted, default=draw)

    def said(self, end: int) -> list[str | None]:
        """Of each draw before `end`, which have come in: the key of its vote, None if it was flagged."""
        keys = {draw: key for key, draws in self._votes.items() for draw in draws}
        return [keys.get(draw) for draw in range(end)]

    def tally(self, winner: str | None = None) -> Tally:
        """How it stands; the winner's votes first, whoever has most."""
        order = sorted(self._votes.items(), key=lambda item: (item[0] != winner, -len(item[1]), min(item[1])))
        votes = tuple([Votes(key, tuple(sorted(draws))) for key, draws in order])
        flags = tuple([Flags(reason, tuple(sorted(draws))) for reason, draws in sorted(self._flags.items())])
        return Tally(votes, flags)
