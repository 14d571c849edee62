"""Asking again at recorded steps: fresh samples by a panel of today, each step from its recorded state.

The same chain and engine as in a run, with a journal that is kept in memory for one step and dropped.
Invariant: nothing is written in the run's directory, and no answer changes the state of a later step.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from maker import canonical
from maker.chain import Chain
from maker.engine import Engine
from maker.journal import Page
from maker.model import Model
from maker.nouns import Prompt, Segment, Step
from maker.panel import Panel
from maker.records import Record
from maker.retrace import Retraced
from maker.task import Task
from maker.totals import Totals

Verdict = Literal["same", "different", "undecided"]


@dataclass(slots=True)
class _Memory:
    """A journal for one step."""

    records: list[Record] = field(default_factory=list)
    full: bool = False

    def append(self, *records: Record) -> None:
        self.records += records

    def turn(self, page: Page) -> None:
        raise AssertionError("it is never full")


@dataclass(frozen=True, slots=True)
class Asked:
    """A step as it is on record, beside what a panel says of it now."""

    segment: str
    index: int
    recorded: Record | None
    """Its decision, or the park at which it waits; None while it is open."""
    found: Record
    """A decision or a park of now."""
    totals: Totals
    """What it took."""
    seconds: float
    alike: bool = False
    """The task says that both decided the same."""

    @property
    def verdict(self) -> Verdict:
        if self.found["kind"] != "decision":
            return "undecided"
        return "same" if self.alike or _winner(self.found) == _winner(self.recorded) else "different"


async def ask_again(
    steps: Iterable[Retraced], task: Task, panel: Panel, models: Mapping[str, Model]
) -> AsyncIterator[Asked]:
    """One step after the other. Raises BlockedError when a model cannot draw."""
    for step in steps:
        yield await _ask(step, task, panel, models)


async def _ask(retraced: Retraced, task: Task, panel: Panel, models: Mapping[str, Model]) -> Asked:
    step, memory, began = retraced.step, _Memory(), time.monotonic()
    engine = Engine(models, memory)
    chain = Chain(_OneStep(task, step.index), panel, Segment(step.segment, step.state), step.index)
    await engine.run(chain, chain.start())
    found = next(record for record in memory.records if "votes" in record)
    seconds = time.monotonic() - began
    alike = retraced.decided and "answer" in found and _alike(step, task, retraced.verdict, found)
    return Asked(step.segment, step.index, retraced.verdict, found, engine.ledger.totals, seconds, alike)


class _OneStep(Task):
    """A task at one of its steps: its chain ends behind it."""

    def __init__(self, task: Task, index: int) -> None:
        super().__init__(task.decomposer, task.name)
        self._index = index

    def prompt(self, step: Step) -> Prompt | None:
        return super().prompt(step) if step.index == self._index else None


def _alike(step: Step, task: Task, recorded: Record | None, found: Record) -> bool:
    """As far as the task says so itself: a judge is not asked."""
    return recorded is not None and task.same(step, recorded["answer"], found["answer"]) is True


def _winner(record: Record | None) -> str | None:
    """The key that won; of a decision without votes, that of its answer."""
    if record is None or record["kind"] != "decision":
        return None
    return record["votes"][0]["key"] if record["votes"] else canonical.key(record["answer"])
