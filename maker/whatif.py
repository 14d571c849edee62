"""What another voter would have decided from the same samples, step by step, each from its recorded state.

A step's recorded draws are counted in their order until the other voter decides: earlier than the
recorded run it saves samples, later it would have needed more than there are. Nothing is asked or written,
and no plug-in but the voter runs: votes and flags are taken as recorded. What a person decided is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from maker.ballot import Ballot
from maker.guard import guarded
from maker.records import Record
from maker.run_directory import RunDirectory
from maker.steps import in_order
from maker.voter import Decided, Voter


@dataclass(slots=True)
class WhatIf:
    """What would have been different."""

    steps: int = 0
    samples: int = 0
    """As drawn at decided steps."""
    saved: int = 0
    """Samples that the other voter would not have drawn."""
    changed: list[str] = field(default_factory=list)
    """`SEGMENT:INDEX` of each step with another winner."""
    undecided: list[str] = field(default_factory=list)
    """`SEGMENT:INDEX` of each step that would have needed more samples than were drawn."""
    missing: int = 0
    """How many more at least, all these steps together."""


def what_if(run: RunDirectory, voter: Voter) -> WhatIf:
    found = WhatIf()
    for record in in_order(run):
        if record["kind"] == "decision" and "by" not in record:
            _try(record, voter, found)
    return found


def _try(record: Record, voter: Voter, found: WhatIf) -> None:
    place = f"{record['segment']}:{record['step']}"
    draws = sorted(_draws(record))
    ballot, used = Ballot(len(draws)), 0
    verdict = guarded("the voter", None, voter.decide, ballot)
    for draw, key in draws:
        if isinstance(verdict, Decided):
            break
        used += 1
        ballot.wanted.add(draw)
        if key is None:
            ballot.flag(draw, "flagged")
        else:
            ballot.vote(draw, key, None)
        verdict = guarded("the voter", None, voter.decide, ballot)
    found.steps += 1
    found.samples += len(draws)
    found.saved += len(draws) - used
    if not isinstance(verdict, Decided):
        found.undecided.append(place)
        found.missing += verdict.votes
    elif verdict.key != record["votes"][0]["key"]:
        found.changed.append(place)


def _draws(record: Record) -> Iterator[tuple[int, str | None]]:
    """(draw, key of its vote, or None for a flag)."""
    for votes in record["votes"]:
        yield from ((draw, votes["key"]) for draw in votes["draws"])
    for flags in record["flags"]:
        yield from ((draw, None) for draw in flags["draws"])
