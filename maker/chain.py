"""A segment's chain of voted steps as a pure state machine: samples come in, wishes go out.

It does no I/O, reads no clock and draws no random number, so a resume feeds it the journal's records,
a replay compares what it wishes with what was recorded, and a test can try every interleaving. With a window
of 1 it is the paper's Algorithm 1 (MAKER, section 3); each step is a `Voting` (Algorithms 2 and 3).

    generate_solution  x = x0; s times: x = do_voting(x)        -> Chain.start, Chain._commit

A wider window speculates: behind the head lies a path of steps, each begun from the answer that leads at
the one before, as soon as there is any. Decisions are committed in order all the same; where another answer
overtakes, the path is laid anew from there. Votings are kept by step and state until the head has passed
them, so votes count again when their state comes back.

Invariant: head, votings and commits are functions of the segment, the panel and the samples received,
whatever their order; the window shapes only what is wished. Read next: `engine.py`, which does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from maker.errors import IncompatibleResumeError, PluginError
from maker.nouns import Decision, Json, Parked, Prompt, Sample, Segment, Step
from maker.panel import Panel
from maker.task import Task
from maker.voting import After, Draw, Voting


@dataclass(frozen=True, slots=True)
class Commit:
    """Write this decision down before anything that only it makes sure."""

    decision: Decision
    prompt: Prompt | None = field(default=None, compare=False)
    """What was asked at the step."""
    variants: Mapping[int, Prompt] = field(default_factory=dict, compare=False)
    """The same in other words, as far as it was asked so."""


@dataclass(frozen=True, slots=True)
class Park:
    """The segment waits here; draws still under way are of no more use."""

    parked: Parked
    prompt: Prompt | None = field(default=None, compare=False)
    """What was asked at the step, if it came to that."""
    variants: Mapping[int, Prompt] = field(default_factory=dict, compare=False)


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
Place: TypeAlias = tuple[int, str]
"""(index of a step, digest of the state that was asked about)"""
Found: TypeAlias = Mapping[int, Mapping[str, Sequence[Sample]]]
"""Samples that were read back, by their place."""


class Chain:
    """One segment. `start` (or `restore` and `resume`) once, `receive` each sample, until Park or Finish;
    after Wait, `join`."""

    def __init__(self, task: Task, panel: Panel, segment: Segment, index: int = 0, window: int = 1) -> None:
        self.task = task
        self.widen(window)
        self.step = Step(segment.id, index, segment.state)
        """The head: the first step that is not decided."""
        self.state = task.digest(self.step)
        self.surplus = 0
        """Samples that came to nothing: of states that were only guessed, or too late."""
        self.children: tuple[Segment, ...] = ()
        """What the head waits for."""
        self.path: list[Voting] = []
        """From the head on, each from where the one before leads."""
        self._panel, self._amended = panel, panel
        self._votings: dict[int, dict[str, Voting]] = {}
        """By index and state, those on the path and those that were."""
        self._strays: set[Voting] = set()
        """Off the path, with draws under way."""
        self._found: dict[int, Mapping[str, Sequence[Sample]]] = {}

    def widen(self, window: int) -> None:
        """How many steps may be voted on at a time; it may change at any time."""
        self.window = window if self.task.speculates else 1

    # -- events in ---------------------------------------------------------------------------------

    def start(self) -> list[Wish]:
        """The first wishes, from the first state or from wherever records have brought the head."""
        return self.resume({})

    def restore(self, decision: Decision) -> None:
        """Take over a decision that was read back; before `start`, in order.

        Raises IncompatibleResumeError when it was made from another state than this chain is in.
        """
        if (decision.index, decision.state) != (self.step.index, self.state):
            raise IncompatibleResumeError(
                f"step {decision.segment}:{decision.index} was decided from state {decision.state}, "
                f"now step {self.step.index} comes from {self.state}: the decomposer has changed"
            )
        step, children = self.task.advance(self.step, decision.answer)
        if len(children) != decision.children:
            raise IncompatibleResumeError(
                f"step {decision.segment}:{decision.index} forked into {decision.children} children, now it "
                f"is {len(children)}: the decomposer has changed"
            )
        self._go_to(After(step, self.task.digest(step), children))

    def restore_join(self, finals: Sequence[Json]) -> None:
        """Take over what the head's children ended with; PluginError if the task cannot join them."""
        step = self.task.join(self.step, finals)
        self._go_to(After(step, self.task.digest(step), ()))

    def amend(self, panel: Panel) -> None:
        """Another panel for the head alone; before `resume`, which counts the head's samples under it."""
        self._amended = panel

    def resume(self, found: Found) -> list[Wish]:
        """Start, from samples of the head and of steps behind it that were read back."""
        if self.children:
            return [Wait(self.step.segment, self.children)]
        self._found = dict(found)
        head = self._voting(After(self.step, self.state, ()), self._amended)
        self.path = [head]
        return self._proceed(head)

    def receive(self, *samples: Sample, place: Place | None = None) -> list[Wish]:
        """Samples have come in, and are in the journal, for the place of their Draw, or for the head (R2)."""
        voting = self._at(place)
        if voting is None:
            self.surplus += len(samples)
            return []
        voting.receive(*samples)
        return self._proceed(voting)

    def fail(self, reason: str, place: Place | None = None) -> list[Wish]:
        """A draw cannot be made, for a reason that is not the run's; without a place none of the head's, even
        before the chain has started."""
        if not self.path:
            self.path = [Voting(self.task, self._panel, self.step, self.state)]
        voting = self._at(place)
        if voting is None:
            return []
        voting.fail(reason)
        return self._proceed(voting)

    def join(self, finals: Sequence[Json]) -> list[Wish]:
        """The children have ended in these states, in their order."""
        try:
            self.restore_join(finals)
        except PluginError as error:
            return self.fail(str(error))
        return self.start()

    def needs(self, place: Place) -> bool:
        """Whether the chain goes on with what is drawn there."""
        voting = self._at(place)
        return voting is not None and self._lies_on_path(voting)

    def awaits(self, place: Place) -> bool:
        """Whether the head waits for what is drawn there, and not a step that was begun on a guess."""
        return bool(self.path) and self._at(place) is self.path[0]

    # -- the path ----------------------------------------------------------------------------------

    def _proceed(self, voting: Voting) -> list[Wish]:
        """Something has changed at a voting: lay the path anew behind it, commit, and wish what is due."""
        if self._lies_on_path(voting):
            self._cut(voting)
        elif voting.under_way:
            return []
        self._strays.discard(voting)
        due, wishes = [voting, *self._extend()], list[Wish]()
        while self.path[0].won is not None:
            wishes.append(self._commit(self.path[0]))
            if self.children:
                return [*wishes, Wait(self.step.segment, self.children)]
            due += self._extend()
        head = self.path[0]
        if head.ended:
            return [*wishes, Finish(self.step.segment, self.step.state, self.step.index)]
        if head.stuck is not None:
            return [*wishes, Park(head.parked(), head.prompt, head.variants)]
        return [*wishes, *(draw for each in due if self._lies_on_path(each) for draw in each.draws())]

    def _commit(self, head: Voting) -> Commit:
        """Decide the head and go on to the next step."""
        assert head.won is not None
        self._go_to(head.after(head.won))
        del self.path[0]
        return Commit(head.decision(), head.prompt, head.variants)

    def _cut(self, voting: Voting) -> None:
        """Take off the path what does not come from where a voting leads."""
        behind = voting.step.index - self.step.index + 1
        if behind >= len(self.path):
            return
        lead = voting.lead()
        if lead is None or lead.children or lead.state != self.path[behind].state:
            self._strays.update(each for each in self.path[behind:] if each.under_way)
            del self.path[behind:]

    def _extend(self) -> list[Voting]:
        """Lengthen the path as far as answers lead and the window reaches; what is new on it."""
        added: list[Voting] = []
        while after := self._next():
            added.append(self._voting(after, self._panel))
            self._strays.discard(added[-1])
            self.path.append(added[-1])
        return added

    def _next(self) -> After | None:
        """Where the path may go on."""
        if not self.path:
            return None if self.children else After(self.step, self.state, ())
        if len(self.path) + len(self._strays) >= self.window:
            return None
        lead = self.path[-1].lead()
        return None if lead is None or lead.children else lead

    def _lies_on_path(self, voting: Voting) -> bool:
        place = voting.step.index - self.step.index
        return 0 <= place < len(self.path) and self.path[place] is voting

    def _at(self, place: Place | None) -> Voting | None:
        if place is None:
            return self.path[0]
        index, state = place
        judging = self.path[0].judging if self.path else None
        if judging is not None and judging.state == state:
            return self.path[0]
        return self._votings.get(index, {}).get(state)

    def _voting(self, at: After, panel: Panel) -> Voting:
        votings = self._votings.setdefault(at.step.index, {})
        if at.state not in votings:
            found = self._found.get(at.step.index, MappingProxyType({}))
            voting = votings[at.state] = Voting(self.task, panel, at.step, at.state)
            voting.begin(found.get(at.state, ()), found)
        return votings[at.state]

    def _go_to(self, after: After) -> None:
        """Move the head."""
        for voting in self._votings.pop(self.step.index, {}).values():
            if voting.state != self.state:
                self.surplus += voting.ballot.total + voting.ballot.flagged
        self._found.pop(self.step.index, None)
        self.step, self.state, self.children = after.step, after.state, after.children
        self._amended = self._panel
        self._strays = {each for each in self._strays if each.step.index >= self.step.index}
