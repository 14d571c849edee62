"""How one command carries a run out: what may be chosen anew each time, and never changes a result.

It says how, not what (that is the manifest). Invariant: what it holds has been checked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from math import inf
from typing import Literal, TypedDict, get_args

from maker.errors import UsageError
from maker.journal import SEAL, Durability, Seal
from maker.nouns import Json
from maker.options import duration

Engine = Literal["ray", "inline"]
Requests = Literal["auto", "grouped", "single", "streamed"]
_HEDGE = "a time such as 500ms or 2s, or auto"
NONE = "none"
"""Of a cap or the prices: those of the commands before do not hold any more."""


class Operational(TypedDict, total=False):
    """The fields of `Operation` as keywords."""

    workers: int
    engine: Engine
    address: str | None
    base_url: str | None
    give_up_after: str | None
    lost_after: str
    durability: Durability
    window: int | str
    seal_seconds: float
    seal_records: int
    key_file: str | None
    max_calls: int | str | None
    max_tokens: int | str | None
    max_cost: float | str | None
    price: str | Sequence[str] | None
    max_concurrency: int | None
    requests: Requests
    hedge: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Raises UsageError for a value that cannot be."""

    workers: int = 2
    """Lanes that run at a time, each in an actor."""
    engine: Engine = "ray"
    """Actors of Ray, or this process."""
    address: str | None = None
    """Of a Ray cluster to join; one is started where there is none."""
    base_url: str | None = None
    """For models that take one: an OpenAI-compatible endpoint."""
    give_up_after: str | None = None
    """For models that take one: how long one that cannot be reached is tried, seconds or `10m`."""
    lost_after: str = "1m"
    """How long an actor may not answer before it is taken for lost and its lane given to another."""
    durability: Durability = "group"
    """`group` syncs the journal once a second, `step` also with every decision."""
    window: int | str = 1
    """Steps of a chain that are voted on at a time: behind the first, each from the answer that leads so far
    at the one before. 1 waits for every decision, `auto` follows how contested the steps are."""
    seal_seconds: float = SEAL.seconds
    """In an object store: how long records wait at most until they are written there."""
    seal_records: int = SEAL.records
    """In an object store: how many wait at most."""
    key_file: str | None = None
    """For models that take one: the file with the endpoint's key, on whichever machine draws."""
    max_calls: int | str | None = None
    """Samples that the whole run may draw, all its commands together. It holds for later commands too, until
    one gives another, or `none`."""
    max_tokens: int | str | None = None
    """Tokens of prompts and responses; stays as `max_calls` does."""
    max_cost: float | str | None = None
    """Money, by `price`; stays as `max_calls` does."""
    price: str | Sequence[str] | None = None
    """What a million prompt tokens and a million response tokens cost: `0.15,0.60`, or `NAME=0.15,0.60` for
    each model; a third number is what a million cached prompt tokens cost, where that is less. Each price
    holds for later commands too, until one gives another, or `none`."""
    max_concurrency: int | None = None
    """The most requests to one model at a time, of all workers together (100); how many there are is found
    by trying."""

    requests: Requests = "auto"
    """For models that take it: `grouped` asks for all samples of equal seats in one request, so that the
    prompt is paid once; `single` has a request for each, so that the first answer leads before the slowest is
    there; `streamed` is both, where an endpoint streams several choices at a time. `auto` is `grouped` at
    window 1, where a step waits for all of them anyway, else `single`."""

    hedge: str | None = None
    """A draw that has no reply after so long, such as `2s`, is sent once more, with the same seat, and the
    first reply counts; `auto` is after the time that 95 of 100 draws take. The other costs a call too."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.engine not in ("ray", "inline"):
            raise UsageError(
                f"workers={self.workers}, engine={self.engine!r}; expected 1 or more, and ray or inline"
            )
        if self.window != "auto" and not (str(self.window).isdecimal() and int(self.window) >= 1):
            raise UsageError(f"window={self.window!r}, expected 1 or more steps, or auto")
        if not 0 < self.seal_seconds < math.inf or self.seal_records < 1:
            raise UsageError(
                f"seal_seconds={self.seal_seconds}, seal_records={self.seal_records}; "
                "expected more than 0 seconds and 1 record or more"
            )
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise UsageError(f"max_concurrency={self.max_concurrency}, expected 1 or more")
        if self.durability not in get_args(Durability):
            raise UsageError(f"durability={self.durability!r}, expected {' or '.join(get_args(Durability))}")
        if self.requests not in get_args(Requests):
            raise UsageError(f"requests={self.requests!r}, expected {', '.join(get_args(Requests))}")
        if self.give_up_after is not None:
            duration("give_up_after", self.give_up_after)
        if isinstance(after := self.hedge_after, float) and not 0 <= after < inf:
            raise UsageError(f"hedge={self.hedge!r}, expected {_HEDGE}")
        if not 0 < self.seconds_to_lose < inf:
            raise UsageError(f"lost_after={self.lost_after!r}, expected a time such as 90s or 10m")

    @classmethod
    def of(cls, given: Operational, beside: Sequence[str] = ()) -> Operation:
        """beside: options that whoever asks takes too, for the message."""
        known = [field.name for field in fields(cls)]
        if unknown := given.keys() - set(known):
            expected = ", ".join([*beside, *known])
            raise UsageError(f"no option {', '.join(sorted(unknown))}; expected one of {expected}")
        return cls(**given)

    @property
    def seal(self) -> Seal:
        return Seal(self.seal_seconds, self.seal_records)

    @property
    def width(self) -> int | None:
        """The window; None where it is to be found."""
        return None if self.window == "auto" else int(self.window)

    @property
    def hedge_after(self) -> Literal["auto"] | float | None:
        """Seconds, if not to be found; None: nothing is hedged."""
        if self.hedge is None or self.hedge == "auto":
            return None if self.hedge is None else "auto"
        return duration("hedge", self.hedge, _HEDGE)

    @property
    def prices(self) -> list[str]:
        return [self.price] if isinstance(self.price, str) else list(self.price or [])

    @property
    def seconds_to_lose(self) -> float:
        return duration("lost_after", self.lost_after)

    @property
    def model_options(self) -> dict[str, str]:
        """Those that are passed on to models."""
        fitting = "grouped" if self.width == 1 else "single"
        given = {
            "requests": fitting if self.requests == "auto" else self.requests,
            "base_url": self.base_url,
            "give_up_after": self.give_up_after,
            "key_file": self.key_file,
        }
        return {name: value for name, value in given.items() if value is not None}

    def settings(self) -> dict[str, Json]:
        """All that was chosen, to be recorded with the command's claim."""
        return asdict(self)
