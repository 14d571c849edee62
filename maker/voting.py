"""The voting at one step as a pure state machine: samples come in, draws become due, an answer wins.

It is the paper's Algorithms 2 and 3 (MAKER, section 3), with one thing added: what the paper draws one by one
is drawn as many at a time as cannot be wasted (the deficit k - margin; see `ballot.py`).

    do_voting          until one answer leads by k: get_vote     -> Voting._proceed
    get_vote           draw until a sample has no red flag       -> Voting._vote

It does no I/O, reads no clock and draws no random number. Invariant: how it stands is a function of the step,
the panel and the samples received, whatever their order. Read next: `chain.py`, which goes from step to step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from maker import classes
from maker.ballot import Ballot
from maker.errors import PluginError
from maker.judging import Comparison
from maker.nouns import By, Decision, Json, Parked, Prompt, RedFlag, Ruling, Sample, Seat, Segment, Step
from maker.panel import Panel
from maker.task import Task
from maker.voter import Decided, Want

Read: TypeAlias = tuple[str, Json] | RedFlag


@dataclass(frozen=True, slots=True)
class Draw:
    """Fill these seats, all of one model."""

    step: Step
    state: str
    """Digest of what is asked about: the step's state, or a comparison of two of its answers."""
    prompt: Prompt
    model: str
    seats: tuple[Seat, ...]


@dataclass(frozen=True, slots=True)
class After:
    """Where an answer leads."""

    step: Step
    state: str
    """Digest of the step's state."""
    children: tuple[Segment, ...]
    """Segments that it forks into, and that the step waits for."""


class Voting:
    """`begin` once, `receive` each sample, until an answer has `won`, it is `stuck`, or nothing was asked."""

    def __init__(self, task: Task, panel: Panel, step: Step, state: str) -> None:
        self.task, self.panel, self.step, self.state = task, panel, step, state
        self.ballot = Ballot(panel.max_samples, partial(task.score, step) if task.scores else None)
        self.prompt: Prompt | None = None
        """None before `begin`, and where the segment ends."""
        self.variants: dict[int, Prompt] = {}
        """The same in other words, by number, as far as it was asked so."""
        self.won: str | None = None
        """The winner's key; it can be advanced from."""
        self.stuck: str | None = None
        """Why no draw can help."""
        self._due: list[Seat] = []
        """Of wanted draws that have not been wished yet."""
        self._bet: str | None = None
        self._afters: dict[str, tuple[Json, After]] = {}
        """By key, with the answer that leads there."""
        self._read: dict[str, Read] = {}
        """Texts already read: equal votes are parsed once."""
        self.judging: Voting | None = None
        """Whether two of its answers are the same."""
        self._pair = ("", "")
        """The keys that are compared."""
        self._rulings: dict[tuple[str, str], Ruling] = {}
        """By the two keys, in their order."""
        self._to_judge: Mapping[str, Sequence[Sample]] = {}
        """Samples of comparisons that were read back, by state."""

    # -- events in ---------------------------------------------------------------------------------

    def begin(
        self, samples: Sequence[Sample], judged: Mapping[str, Sequence[Sample]] = MappingProxyType({})
    ) -> None:
        """Start from samples that were read back: all of them count before the voter is asked.

        judged: those of its comparisons, by their state.
        """
        self._to_judge = judged
        try:
            self.prompt = self.task.prompt(self.step)
            if self.prompt is not None:
                self._take_over(samples)
        except PluginError as error:
            self.fail(str(error))

    def receive(self, *samples: Sample) -> None:
        """Samples have come in (and are in the journal). One that is not wanted changes nothing (R2).

        However many come at a time, it stands afterwards as if they had come one by one.
        """
        if self.judging:
            self.judging.receive(*samples)
            self._ruled(self.judging)
            return
        wanted = [each for each in samples if each.seat.draw in self.ballot.wanted]
        if not wanted or self.stuck is not None:
            return
        try:
            for sample in wanted:
                self._count(sample)
            self._proceed()
        except PluginError as error:
            self.fail(str(error))

    def fail(self, reason: str) -> None:
        """No draw can help, for a reason that is not the run's."""
        self.stuck = reason
        self._due.clear()

    # -- how it stands -----------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Nothing is asked here: the segment ends."""
        return self.prompt is None and self.stuck is None

    @property
    def under_way(self) -> bool:
        """Draws that were wished have not come in, and still count."""
        return self.stuck is None and len(self.ballot.wanted) > len(self._due)

    def draws(self) -> list[Draw]:
        """What is due, to be wished now."""
        if self.judging:
            return self.judging.draws()
        if not self._due:
            return []
        assert self.prompt is not None
        due, self._due = self._due, []
        alike: dict[tuple[str, int], list[Seat]] = {}
        for seat in due:
            alike.setdefault((seat.model, seat.variant), []).append(seat)
        return [
            Draw(self.step, self.state, self.variants.get(variant, self.prompt), model, tuple(seats))
            for (model, variant), seats in sorted(alike.items())
        ]

    def lead(self) -> After | None:
        """Where the leading answer leads: the winner, or the one to bet on (R3), if there is any.

        A bet is replaced only by an answer that has overtaken it.
        """
        if self.stuck is not None:
            return None
        try:
            bet = self.won or self._leader()
            return None if bet is None else self.after(bet)
        except PluginError:
            return None  # whoever has to decide it will say so

    def after(self, key: str) -> After:
        """Where the answer of a key leads; PluginError if it leads nowhere."""
        answer = self.ballot.answers[key]
        found = self._afters.get(key)
        if found is None or found[0] is not answer:
            step, children = self.task.advance(self.step, answer)
            found = self._afters[key] = (answer, After(step, self.task.digest(step), children))
        return found[1]

    def decision(self) -> Decision:
        """Of the winner."""
        assert self.won is not None
        where = (self.step.segment, self.step.index, self.state)
        by: By | None = "proposal" if self.prompt and self.prompt.proposal else None
        children, rulings = len(self.after(self.won).children), tuple(self._rulings.values())
        tally = self.ballot.tally(self.won)
        return Decision(*where, self.ballot.answers[self.won], tally, by, children, rulings)

    def parked(self) -> Parked:
        assert self.stuck is not None
        where = (self.step.segment, self.step.index, self.state)
        return Parked(*where, self.stuck, self.ballot.tally())

    # -- the algorithms ----------------------------------------------------------------------------

    def _proceed(self) -> None:
        if self.task.judges and not self._classed():
            return
        verdict = self._verdict()
        if isinstance(verdict, Decided):
            self.after(verdict.key)
            self.won = verdict.key
            return
        self._hand_out(verdict.votes)
        if not self.ballot.wanted:
            self.fail(self.stuck or self._undecided())

    def _hand_out(self, votes: int) -> None:
        """Raise the wanted draws to so many; with a ladder, no further than a round whose seats are known."""
        ladder, end, climbed = self.panel.ladder, None, 0
        if ladder:
            start, end = ladder.bounds(self.ballot.lowest)
            climbed = ladder.climbed(self._said(start))
            if ladder.parks(climbed):
                self.fail(f"{self._undecided()}, at the end of the ladder")
                return
        fresh = self.ballot.want(votes, end)
        self._word(ladder.variant(climbed))
        self._due += self.panel.seats(self.step, self.state, fresh, climbed)

    def _word(self, variant: int) -> None:
        """Have the prompt in these words."""
        if variant and variant not in self.variants and self.task.varies:
            self.variants[variant] = self.task.variant(self.step, variant)

    def _said(self, end: int) -> list[str | None]:
        """What the draws before `end` said, by the keys of classes where answers need not be equal."""
        said = self.ballot.said(end)
        if not self.task.judges:
            return said
        of = classes.of((key for key in said if key is not None), self._same)
        return [None if key is None else of[key] for key in said]

    def _verdict(self) -> Decided | Want:
        if self.prompt is None or not self.prompt.proposal:
            return self.panel.decide(self.step, self.ballot)
        first = next(iter(self.ballot.answers), None)
        return Want(1) if first is None else Decided(first)

    def _undecided(self) -> str:
        flagged = self.ballot.flagged
        of_them = f", {flagged} of them red-flagged" if flagged else ""
        return f"undecided after {self.ballot.total + flagged} samples{of_them}"

    def _leader(self) -> str | None:
        leader, top, second = self.ballot.leaders()
        if leader is not None and top > (second if self._bet is None else self.ballot.votes(self._bet)):
            self._bet = leader
        return self._bet

    def _count(self, sample: Sample) -> None:
        try:
            self._word(sample.seat.variant)
            key, answer = self._vote(sample)
            self.ballot.vote(sample.seat.draw, key, answer, sample)
        except RedFlag as flag:
            self.ballot.flag(sample.seat.draw, flag.reason)

    def _vote(self, sample: Sample) -> tuple[str, Json]:
        """(key, answer) of a sample; RedFlag if a rule or the parser discards it."""
        reason = self.panel.flag(self.step, sample)
        if reason is not None:
            raise RedFlag(reason)
        if sample.text not in self._read:
            self._read[sample.text] = self._parsed(sample.text)
        read = self._read[sample.text]
        if isinstance(read, RedFlag):
            raise read
        return read

    def _parsed(self, text: str) -> Read:
        try:
            return self.task.read(self.step, text)
        except RedFlag as flag:
            return flag

    def _take_over(self, samples: Sequence[Sample]) -> None:
        """Count what was drawn before, whatever panel drew it."""
        self.ballot.expect(sample.seat.draw for sample in samples)
        for sample in samples:
            if sample.seat.draw in self.ballot.wanted:
                self._count(sample)
        if self.task.judges:  # classes need the draws that a crash has lost before others that came in
            drawn = {sample.seat.draw for sample in samples}
            if missing := max(drawn, default=-1) + 1 - len(drawn):
                self._hand_out(missing)
        if not self._due:
            self._proceed()

    # -- answers that are the same without being equal ---------------------------------------------

    def _classed(self) -> bool:
        """Put the votes into classes, once no draw is missing that might come before one of them."""
        if self.ballot.wanted:
            return False
        try:
            self.ballot.merge(classes.of(self.ballot.keys(), self._same))
        except classes.UnjudgedError as pair:
            self._judge(pair.first, pair.key)
            return False
        return True

    def _same(self, first: str, key: str) -> bool:
        ruling = self._rulings.get((first, key))
        if ruling is not None:
            return ruling.same
        same = self.task.same(self.step, self.ballot.answers[first], self.ballot.answers[key])
        if same is None:
            raise classes.UnjudgedError(first, key)
        return same

    def _judge(self, first: str, key: str) -> None:
        """Vote on whether two answers are the same."""
        self._pair = (first, key)
        answers, segment = self.ballot.answers, self.step.segment
        task = Comparison(self.task, self.step, answers[first], answers[key])
        step = Step(segment, self.step.index, {"of": self.state, "first": first, "key": key})
        judging = self.judging = Voting(task, self.panel.of_judges, step, task.digest(step))
        judging.begin(self._to_judge.get(judging.state, ()))
        self._ruled(judging)

    def _ruled(self, judging: Voting) -> None:
        """When a comparison has ended, go on."""
        if judging.won is not None:
            same = bool(judging.ballot.answers[judging.won])
            tally = judging.ballot.tally(judging.won)
            self._rulings[self._pair] = Ruling(*self._pair, same, judging.state, tally)
            self.judging = None
            self._proceed()
        elif judging.stuck is not None:
            self.judging = None
            self.fail(f"whether two answers are the same: {judging.stuck}")
