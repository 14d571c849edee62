"""What headers and newest chunks say of a run, without its plug-ins: totals, what is open, what is parked."""

from __future__ import annotations

from dataclasses import dataclass, field

from maker import journal
from maker.ledger import Ledger
from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory
from maker.totals import Totals


@dataclass(slots=True)
class Summary:
    """Of one lane or, added up, of a run."""

    totals: Totals = field(default_factory=Totals)
    finished: int = 0
    """Segments."""
    going: set[str] = field(default_factory=set)
    parked: dict[str, str] = field(default_factory=dict)
    """`SEGMENT:INDEX` to the reason."""
    epochs: dict[str, str] = field(default_factory=dict)
    """The newest owner of each lane: which command of the run, and which owner in it."""


def summarise(run: RunDirectory) -> Summary:
    """Reads the headers and one chunk of each lane."""
    found = Summary()
    for lane in run.lanes():
        _add(found, lane, *journal.newest(run.lane(lane)))
    return found


def status(run: RunDirectory) -> tuple[str, Json]:
    """(status, reason) as the last command left it; `unfinished` while none has."""
    result = run.result()
    return ("unfinished", None) if result is None else (result["status"], result["reason"])


def _add(found: Summary, lane: str, headers: list[Record], after: list[Record]) -> None:
    if not headers:
        return
    newest = headers[-1]
    found.epochs[lane] = "{}-{}".format(*newest["epoch"])
    found.finished += sum(len(header["before"].get("finished", [])) for header in headers)
    ledger = Ledger(Totals.from_json(newest["totals"]))
    going = {each["segment"]: each["park"] for each in newest["going"]}
    for record in after:
        ledger.fold(record)
        match record:
            case {"event": "open", "segment": name} | {"kind": "decision", "segment": name}:
                going[name] = None
            case {"event": "park", "segment": name}:
                going[name] = record
            case {"event": "finish", "segment": name}:
                del going[name]
                found.finished += 1
    found.totals.add(ledger.totals)
    found.parked |= {f"{name}:{park['step']}": park["reason"] for name, park in going.items() if park}
    found.going |= {name for name, park in going.items() if not park}
