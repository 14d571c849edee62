"""What headers and newest chunks say of a run, without its plug-ins: totals, what is open, what is parked."""

from __future__ import annotations

from dataclasses import dataclass, field

from maker import heads, history, prices
from maker.errors import JournalDamagedError
from maker.history import Newest
from maker.nouns import Json
from maker.prices import Prices
from maker.run_directory import RunDirectory
from maker.totals import Totals


@dataclass(slots=True)
class Summary:
    """Of one lane or, added up, of a run."""

    totals: Totals = field(default_factory=Totals)
    finished: int = 0
    """Segments."""
    going: set[str] = field(default_factory=set)
    waiting: int = 0
    """Segments that wait for their children."""
    parked: dict[str, str] = field(default_factory=dict)
    """`SEGMENT:INDEX` to the reason."""
    epochs: dict[str, str] = field(default_factory=dict)
    """The newest owner of each lane: which command of the run, and which owner in it."""


def summarise(run: RunDirectory) -> Summary:
    """Reads the headers and one chunk of each lane."""
    found = Summary()
    for lane in run.lanes():
        if newest := history.newest(run.lane(lane)):
            _add(found, lane, newest)
    return found


def lane_totals(run: RunDirectory) -> dict[str, Totals]:
    """The totals of each lane, as far as they are written."""
    found: dict[str, Totals] = {}
    for lane in run.lanes():
        if newest := history.newest(run.lane(lane)):
            found[lane] = _totals(newest)
    return found


def prices_given(run: RunDirectory) -> Prices:
    """Those of the newest command."""
    newest = run.newest_command()
    return prices.from_json(newest.get("price", {})) if newest else {}


def check_result(run: RunDirectory, found: Summary) -> None:
    """Raises JournalDamagedError when a run that is done has not the journal that it ended with."""
    result = run.result()
    if result is None or result["status"] != "done":
        return
    said, there = [(each["steps"], each["samples"]) for each in (result, found.totals.to_json())]
    if said != there:
        raise JournalDamagedError(
            f"{run.path}: its result.json is of {said[0]} steps and {said[1]} samples, its lanes hold "
            f"{there[0]} and {there[1]}: put back what is missing, or remove result.json and resume"
        )


def status(run: RunDirectory, found: Summary) -> tuple[str, Json]:
    """(status, reason) as the last command left it; `unfinished` while none has, or if none is parked now."""
    result = run.result()
    check_result(run, found)
    if result is None or (result["status"] == "parked" and not found.parked):
        return "unfinished", None
    return result["status"], result.get("reason")


def _totals(newest: Newest) -> Totals:
    """Of a lane, from its newest header and the records behind it."""
    totals = Totals.from_json(newest.header["totals"])
    for record in newest.after:
        totals.fold(record)
    return totals


def _add(found: Summary, lane: str, newest: Newest) -> None:
    found.epochs[lane] = "{}-{}".format(*newest.header["epoch"])
    found.finished += newest.finished + sum(record.get("event") == "finish" for record in newest.after)
    found.totals.add(_totals(newest))
    for head in heads.of(newest.header, newest.after).values():
        if head.park:
            found.parked[f"{head.segment}:{head.index}"] = head.park["reason"]
        elif head.children:
            found.waiting += 1
        else:
            found.going.add(head.segment)
