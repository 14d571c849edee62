"""What the coordinator and the owner of a lane tell one another: orders, work and reports, as plain data.

Nothing here acts. Invariant: all of it survives the way to another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from maker.amendment import Amendment
from maker.budget import Account, Terms
from maker.chain import Finish, Wait
from maker.errors import MakerError
from maker.joins import Join
from maker.journal import SEAL, Durability, Seal
from maker.latency import Histogram
from maker.leases import Traffic
from maker.manifest import Manifest
from maker.nouns import Parked, Segment
from maker.records import Record
from maker.suspects import GiveUp, GoOn
from maker.totals import Totals

Work: TypeAlias = Segment | Join | GoOn | GiveUp
"""What a worker is given to do: a new segment, or something with one that is in its lane."""


@dataclass(frozen=True, slots=True)
class Orders:
    """All that a worker needs to know to own a lane."""

    manifest: Manifest
    run: str
    """The run's directory, or its URI."""
    lane: str
    command: int
    """Which command of the run gives them."""
    durability: Durability = "group"
    options: Mapping[str, str] = field(default_factory=dict)
    """Operational options for models, such as `base_url`."""
    amendments: tuple[Amendment, ...] = ()
    """For steps that were parked when the command began."""
    terms: Terms = field(default_factory=Terms)
    """What the run may spend."""
    window: int | None = 1
    """Steps of a segment that may be voted on at a time; None finds it."""
    seal: Seal = SEAL
    """Where the journal is kept in an object store."""
    paused: bool = False
    """Nothing is to be drawn until an exchange says so."""
    hedge: Literal["auto"] | float | None = None
    """Seconds after which a draw without a reply is sent once more."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in a lane since the last report; the first one is of all that is in it."""

    lane: str
    totals: Totals
    """Of the lane since the run began."""
    going: Mapping[str, int]
    """The open step of each segment under way, or read back and waiting to be told to go on."""
    finished: tuple[Finish, ...] = ()
    parked: tuple[Parked, ...] = ()
    waits: tuple[Wait, ...] = ()
    error: MakerError | None = None
    """Why the lane cannot go on."""
    drifts: tuple[Record, ...] = ()
    """Of models that answer as others than before, the newest of each."""
    repeats: tuple[Record, ...] = ()
    """Of models that give one answer again and again instead of drawing anew."""
    account: Account | None = None
    """What the lane has spent and may spend; None when nothing is capped."""
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    """Requests to models that take permits, by name."""
    latencies: Mapping[str, Histogram] = field(default_factory=dict)
    """Of the samples since the last report, by their model's name."""
    node: str = ""
    """The machine that the worker is on."""
