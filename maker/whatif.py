"""What another voter, or other red flags, would have made of the same samples, step by step.

Each step stands by itself, from its recorded state. Its recorded draws are counted in their order until the
other voter decides: earlier than the recorded run it saves samples, later it would have needed more than
there are; a parked step may have been decided. Nothing is asked or written. With the recorded flags no
plug-in runs but the voter: votes and flags are taken as recorded. With others, or a voter that reads samples
or scores, the task's plug-in runs too: it gives the states, and reads a text that was flagged once and is not
any more. Answers that no judge has compared count as different. What a person decided is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from maker import classes
from maker.ballot import Ballot
from maker.chapters import EVERY_STEP, Selection
from maker.flags import Rule
from maker.guard import guarded
from maker.nouns import Json, RedFlag, Sample, Step
from maker.records import Record, by_place
from maker.retrace import Retraced, retrace
from maker.run_directory import RunDirectory
from maker.steps import in_order
from maker.task import Task
from maker.voter import Decided, Voter

Read = tuple[int, str | None, Sample | None]
"""A draw, the key of its vote, None when it is flagged, and its sample where the task's plug-in runs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step as it was decided or parked, and as it would have been."""

    recorded: Record
    """Its decision or its park."""
    winner: str | None
    """The key; None while undecided."""
    votes: dict[str, int]
    """By key, most first, when it was decided or the samples were used up."""
    samples: int
    """As drawn."""
    used: int
    """Of them, by the other voter."""
    missing: int
    """How many more it would have needed at least."""
    flagged: int
    """Of those used."""

    @property
    def parked(self) -> bool:
        return bool(self.recorded["kind"] != "decision")

    @property
    def changed(self) -> bool:
        """Another winner, or none; of a parked step one at all."""
        won = None if self.parked else str(self.recorded["votes"][0]["key"])
        return self.winner != won


def what_if(run: RunDirectory, voter: Voter, selection: Selection = EVERY_STEP) -> Iterator[Outcome]:
    """With the recorded flags; segments by id, steps by index."""
    for record in in_order(run, selection):
        if "by" not in record:
            draws = sorted(_recorded(record).items())
            yield _counted(record, [(draw, key, None) for draw, key in draws], voter, Ballot(len(draws)))


def reflagged(
    run: RunDirectory, voter: Voter, rules: Rule, task: Task, selection: Selection = EVERY_STEP
) -> Iterator[Outcome]:
    """With other red-flag rules; in the order of the records of each lane."""
    for step in retrace(run, task, selection):
        if step.verdict is not None and "by" not in step.verdict:
            draws, answers = _read(step, step.verdict, rules, task)
            scorer = partial(task.score, step.step) if task.scores else None
            yield _counted(step.verdict, draws, voter, Ballot(len(draws), scorer), answers)


def _counted(
    record: Record,
    draws: Sequence[Read],
    voter: Voter,
    ballot: Ballot,
    answers: Mapping[str, Json] = MappingProxyType({}),
) -> Outcome:
    used = 0
    verdict = guarded("the voter", None, voter.decide, ballot)
    for draw, key, sample in draws:
        if isinstance(verdict, Decided):
            break
        used += 1
        ballot.wanted.add(draw)
        if key is None:
            ballot.flag(draw, "flagged")
        else:
            ballot.vote(draw, key, answers.get(key), sample)
        verdict = guarded("the voter", None, voter.decide, ballot)
    votes = {key: count for count, key in ballot.standings()}
    winner, missing = (verdict.key, 0) if isinstance(verdict, Decided) else (None, verdict.votes)
    return Outcome(record, winner, votes, len(draws), used, missing, ballot.flagged)


def _recorded(record: Record) -> dict[int, str | None]:
    """Every draw that counted, as it counted."""
    votes = {draw: each["key"] for each in record["votes"] for draw in each["draws"]}
    return {**votes, **{draw: None for each in record["flags"] for draw in each["draws"]}}


def _read(step: Retraced, record: Record, rules: Rule, task: Task) -> tuple[list[Read], dict[str, Json]]:
    """The step's draws under other rules, in their order; the answers that were read for it, by key."""
    recorded = _recorded(record)
    samples = by_place(step.samples)[step.step.index].get(record["state"], ())
    drawn = {sample.seat.draw: sample for sample in samples}
    read: dict[int, str | None] = {}
    answers: dict[str, Json] = {}
    for draw in sorted(recorded.keys() & drawn.keys()):
        key, sample = recorded[draw], drawn[draw]
        if guarded("a red-flag rule", step.step, rules, sample) is not None:
            key = None
        elif key is None or task.judges or task.scores:
            key = _parsed(step.step, sample, task, answers)
        read[draw] = key
    of = _classes(step.step, record, task, answers, read) if task.judges else {}
    return [(draw, of.get(key, key) if key else None, drawn[draw]) for draw, key in read.items()], answers


def _classes(
    step: Step, record: Record, task: Task, answers: Mapping[str, Json], read: Mapping[int, str | None]
) -> dict[str, str]:
    """Each key's class."""
    ruled = {(each["first"], each["key"]): each["same"] for each in record.get("rulings", ())}

    def same(first: str, key: str) -> bool:
        said = task.same(step, answers[first], answers[key])
        return ruled.get((first, key), False) if said is None else said

    return classes.of(filter(None, read.values()), same)


def _parsed(step: Step, sample: Sample, task: Task, answers: dict[str, Json]) -> str | None:
    """The key of a sample; its answer goes to `answers`, if none with this key is there."""
    try:
        key, answer = task.read(step, sample.text)
    except RedFlag:
        return None
    answers.setdefault(key, answer)
    return key
