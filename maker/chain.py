"""A segment's chain of voted steps as a pure state machine: samples come in, wishes go out.

It does no I/O, reads no clock and draws no random number, so a resume feeds it the journal's records,
a replay compares what it wishes with what was recorded, and a test can try every interleaving.
It is the paper's Algorithms 1-3 (MAKER, section 3), with one thing added: what the paper draws one by
one is drawn as many at a time as cannot be wasted (the deficit k - margin; see `ballot.py`).

    generate_solution  x = x0; s times: x = do_voting(x)        -> Chain.start, Chain._commit
    do_voting          until one answer leads by k: get_vote     -> Chain._proceed
    get_vote           draw until a sample has no red flag       -> Chain.receive

Invariant: head, ballot and every wish are functions of the segment, the panel and the samples
received, whatever their order. Read next: `engine.py`, which does what is wished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import TypeAlias

from maker import classes
from maker.ballot import Ballot
from maker.errors import IncompatibleResumeError, PluginError
from maker.judging import Comparison
from maker.nouns import By, Decision, Json, Parked, Prompt, RedFlag, Ruling, Sample, Seat, Segment, Step
from maker.panel import Panel
from maker.task import Task
from maker.voter import Decided, Want


@dataclass(frozen=True, slots=True)
class Draw:
    """Fill these seats, all of one model."""

    step: Step
    prompt: Prompt
    model: str
    seats: tuple[Seat, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """Write this decision down before anything that is built on it."""

    decision: Decision
    prompt: Prompt | None = field(default=None, compare=False)
    """What was asked at the step."""


@dataclass(frozen=True, slots=True)
class Park:
    """The segment waits here; draws still under way are of no more use."""

    parked: Parked
    prompt: Prompt | None = field(default=None, compare=False)
    """What was asked at the step, if it came to that."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The segment has ended in this state after so many steps."""

    segment: str
    state: Json
    steps: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The segment waits for its children to end."""

    segment: str
    children: tuple[Segment, ...]


Wish: TypeAlias = Draw | Commit | Park | Finish | Wait
Read: TypeAlias = tuple[str, Json] | RedFlag


class Chain:
    """One segment. `start` (or `restore` and `resume`) once, `receive` each sample, until Park or Finish;
    after Wait, `join`."""

    def __init__(self, task: Task, panel: Panel, segment: Segment, index: int = 0) -> None:
        self.task = task
        self.panel = panel
        """Who votes at the head."""
        self._own = panel
        self.step = Step(segment.id, index, segment.state)
        """The head: the first step that is not decided."""
        self.state = task.digest(self.step)
        self.children: tuple[Segment, ...] = ()
        """What the head waits for."""
        self.ballot = Ballot(panel.max_samples)
        self._prompt: Prompt | None = None
        self._read: dict[str, Read] = {}
        """Texts of this step already read: equal votes are parsed once."""
        self._judging: Chain | None = None
        """The chain of the comparison that is voted on."""
        self._pair = ("", "")
        """The keys that it compares."""
        self._rulings: dict[tuple[str, str], Ruling] = {}
        """By the two keys, in their order."""
        self._to_judge: dict[str, Sequence[Sample]] = {}
        """Samples of comparisons that were read back, by state."""

    @property
    def asked(self) -> str:
        """The state that samples are drawn for now: the head's or its comparison's."""
        return self._judging.state if self._judging else self.state

    # -- events in ---------------------------------------------------------------------------------

    def start(self) -> list[Wish]:
        """The first wishes, from the first state or from wherever records have brought the head."""
        return self.resume(())

    def restore(self, decision: Decision) -> None:
        """Take over a decision that was read back; before `start`, in order.

        Raises IncompatibleResumeError when it was made from another state than this chain is in.
        """
        if (decision.index, decision.state) != (self.step.index, self.state):
            raise IncompatibleResumeError(
                f"step {decision.segment}:{decision.index} was decided from state {decision.state}, "
                f"now step {self.step.index} comes from {self.state}: the decomposer has changed"
            )
        after, children = self.task.advance(self.step, decision.answer)
        if len(children) != decision.children:
            raise IncompatibleResumeError(
                f"step {decision.segment}:{decision.index} forked into {decision.children} children, now it "
                f"is {len(children)}: the decomposer has changed"
            )
        self._go_to(after, children)

    def restore_join(self, finals: Sequence[Json]) -> None:
        """Take over what the head's children ended with; PluginError if the task cannot join them."""
        self._go_to(self.task.join(self.step, finals))

    def amend(self, panel: Panel) -> None:
        """Another panel for the head alone; before `resume`, which counts the head's samples under it."""
        self.panel = panel
        self.ballot = Ballot(panel.max_samples)

    def resume(
        self, samples: Sequence[Sample], judged: Mapping[str, Sequence[Sample]] = MappingProxyType({})
    ) -> list[Wish]:
        """Start from the head's samples that were read back: all of them count before the voter is asked.

        judged: those of its comparisons, by their state.
        """
        if self.children:
            return [Wait(self.step.segment, self.children)]
        self._to_judge = dict(judged)
        try:
            self._prompt = self.task.prompt(self.step)
            if self._prompt is None:
                return [Finish(self.step.segment, self.step.state, self.step.index)]
            if samples:
                self._take_over(samples)
            return self._lost(samples) or self._proceed()
        except PluginError as error:
            return [self._park(str(error))]

    def receive(self, sample: Sample) -> list[Wish]:
        """A sample has come in (and is in the journal). One that is not wanted changes nothing (R2)."""
        if self._judging:
            return self._ruled(self._judging.receive(sample))
        if sample.seat.draw not in self.ballot.wanted:
            return []
        try:
            self._count(sample)
            return self._proceed()
        except PluginError as error:
            return [self._park(str(error))]

    def join(self, finals: Sequence[Json]) -> list[Wish]:
        """The children have ended in these states, in their order."""
        try:
            self.restore_join(finals)
        except PluginError as error:
            return [self._park(str(error))]
        return self.start()

    def fail(self, reason: str) -> list[Wish]:
        """A draw cannot be made at this step, for a reason that is not the run's."""
        return [self._park(reason)]

    # -- the algorithms ----------------------------------------------------------------------------

    def _proceed(self) -> list[Wish]:
        if self.task.judges and (first := self._class()) is not None:
            return first
        verdict = self._verdict()
        if isinstance(verdict, Decided):
            return self._commit(verdict.key)
        fresh = self.ballot.want(verdict.votes)
        if not self.ballot.wanted:
            return [self._park(self._undecided())]
        return self._draws(fresh) if fresh else []

    def _verdict(self) -> Decided | Want:
        if self._prompt is None or not self._prompt.proposal:
            return self.panel.decide(self.step, self.ballot)
        first = next(iter(self.ballot.answers), None)
        return Want(1) if first is None else Decided(first)

    def _undecided(self) -> str:
        flagged = self.ballot.flagged
        of_them = f", {flagged} of them red-flagged" if flagged else ""
        return f"undecided after {self.ballot.total + flagged} samples{of_them}"

    def _commit(self, key: str) -> list[Wish]:
        """Decide the head and go on to the next step; what cannot be advanced is not committed."""
        answer = self.ballot.answers[key]
        after, children = self.task.advance(self.step, answer)
        where = (self.step.segment, self.step.index, self.state)
        prompt = self._prompt
        by: By | None = "proposal" if prompt and prompt.proposal else None
        rulings = tuple(self._rulings.values())
        decision = Decision(*where, answer, self.ballot.tally(), by, len(children), rulings)
        self._go_to(after, children)
        return [Commit(decision, prompt), *self.start()]

    def _class(self) -> list[Wish] | None:
        """Put the votes into classes, once no draw is missing that might come before one of them.

        None when that is done, else what is wished first.
        """
        if self.ballot.wanted:
            return []
        try:
            self.ballot.merge(classes.of(self.ballot.keys(), self._same))
        except classes.UnjudgedError as pair:
            return self._judge(pair.first, pair.key)
        return None

    def _same(self, first: str, key: str) -> bool:
        ruling = self._rulings.get((first, key))
        if ruling is not None:
            return ruling.same
        same = self.task.same(self.step, self.ballot.answers[first], self.ballot.answers[key])
        if same is None:
            raise classes.UnjudgedError(first, key)
        return same

    def _judge(self, first: str, key: str) -> list[Wish]:
        """Vote on whether two answers are the same, by a chain of one step."""
        self._pair = (first, key)
        answers, segment = self.ballot.answers, self.step.segment
        task = Comparison(self.task, self.step, answers[first], answers[key])
        state = {"of": self.state, "first": first, "key": key}
        judging = self._judging = Chain(task, self.panel, Segment(segment, state), self.step.index)
        return self._ruled(judging.resume(self._to_judge.get(judging.state, ())))

    def _ruled(self, wishes: list[Wish]) -> list[Wish]:
        """What a comparison's chain wishes; when it has decided, the head goes on."""
        match wishes:
            case [Commit(ruled), *_] if self._judging:
                asked = self._pair
                self._rulings[asked] = Ruling(*asked, ruled.answer, ruled.state, ruled.tally)
                self._judging = None
                return self._proceed()
            case [Park(parked)]:
                self._judging = None
                return [self._park(f"whether two answers are the same: {parked.reason}")]
        return wishes

    def _lost(self, samples: Sequence[Sample]) -> list[Wish]:
        """Draws that a crash has lost before others that came in: classes need them first."""
        if not self.task.judges:
            return []
        drawn = {sample.seat.draw for sample in samples}
        return self._draws(self.ballot.want(max(drawn, default=-1) + 1 - len(drawn)))

    def _take_over(self, samples: Sequence[Sample]) -> None:
        """Count what was drawn before, whatever panel drew it."""
        self.ballot.expect(sample.seat.draw for sample in samples)
        for sample in samples:
            if sample.seat.draw in self.ballot.wanted:
                self._count(sample)

    def _count(self, sample: Sample) -> None:
        try:
            key, answer = self._vote(sample)
            self.ballot.vote(sample.seat.draw, key, answer)
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

    # -- details -----------------------------------------------------------------------------------

    def _parsed(self, text: str) -> Read:
        try:
            return self.task.read(self.step, text)
        except RedFlag as flag:
            return flag

    def _go_to(self, step: Step, children: tuple[Segment, ...] = ()) -> None:
        """Move the head; nothing has changed if its state cannot be written."""
        self.state = self.task.digest(step)
        self.step, self.children = step, children
        self.panel = self._own
        self.ballot = Ballot(self.panel.max_samples)
        self._prompt = None
        self._read, self._rulings, self._to_judge = {}, {}, {}

    def _draws(self, fresh: tuple[int, ...]) -> list[Wish]:
        assert self._prompt is not None
        seats = sorted(self.panel.seats(self.step, self.state, fresh), key=attrgetter("model"))
        by_model = groupby(seats, key=attrgetter("model"))
        return [Draw(self.step, self._prompt, model, tuple(group)) for model, group in by_model]

    def _park(self, reason: str) -> Park:
        parked = Parked(self.step.segment, self.step.index, self.state, reason, self.ballot.tally())
        return Park(parked, self._prompt)
