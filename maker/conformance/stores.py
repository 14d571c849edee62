"""A journal store under check, and a lane of it as workers use one: taken over, written, left, overtaken.

Nothing is judged here. Invariant: an owner writes and reads as a lane's worker does, through `takeover.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from maker import chunks, records, takeover
from maker.errors import FencedError
from maker.journal import OwnedLane, Page
from maker.ledger import Ledger
from maker.nouns import Json, Sample, Seat
from maker.records import Record
from maker.totals import Totals


class Store(Protocol):
    """Where the lanes of one run are kept."""

    def claim(self, lane: str, command: int) -> OwnedLane:
        """A lane, which may be new, for an owner of this command of the run (from 1).

        Raises FencedError when a newer command has it.
        """
        ...

    def read(self, lane: str) -> Iterable[Record]:
        """Its records that count, without headers, for anybody; none where there is no such lane."""
        ...

    def crash(self, owner: OwnedLane) -> None:
        """The owner's process dies, and its machine if that can be had: what it did not sync may be lost."""
        ...


class Owner:
    """A worker, as far as its lane sees one."""

    lane: OwnedLane

    def __init__(self) -> None:
        self.header: Record | None = None
        self.after: list[Record] = []
        """Records that were found behind the header."""
        self.going: list[dict[str, Json]] = []
        """What the next page says of unfinished segments."""
        self.ledger = Ledger()

    @classmethod
    def take(cls, store: Store, lane: str, command: int) -> Owner:
        """Claim a lane, read it and turn to a page of one's own, as any worker begins."""
        taken, owner = takeover.take_over(partial(store.claim, lane, command), cls)
        owner.lane = taken
        return owner

    def read(self, lane: OwnedLane) -> None:
        self.header, after = lane.last()
        if self.header is not None:
            self.ledger = Ledger(Totals.from_json(self.header["totals"]), self.header["seen"])
            self.going = self.header["going"]
        for record in after:
            self.after.append(record)
            self.ledger.fold(record)

    def page(self) -> Page:
        return self.ledger.page(self.going)

    def append(self, *written: Record) -> None:
        self.lane.append(*written)
        for record in written:
            self.ledger.fold(record)

    def sync(self) -> None:
        self.lane.sync()
        if not self.lane.is_open:
            self.turn()

    def turn(self) -> None:
        self.lane.turn(self.page())

    def fenced(self, record: Record) -> bool:
        """Whether it is refused before it is told that a record of its is durable."""
        try:
            self.append(record)
            self.sync()
        except FencedError:
            return True
        return False

    @property
    def ended(self) -> list[str]:
        """Segments that have finished, as whoever takes the lane over is told."""
        found = [str(name) for name, _, _ in self.lane.finished()]
        return sorted([*found, *(each["segment"] for each in self.after if each.get("event") == "finish")])


class Scene:
    """A new lane of a store, and everybody who has owned it; let go of at the end."""

    def __init__(self, store: Store, histories: int = 0) -> None:
        self.store, self.name, self.histories = store, secrets.token_hex(6), histories
        self.owners: list[Owner] = []

    def take(self, command: int = 1) -> Owner:
        owner = Owner.take(self.store, self.name, command)
        self.owners.append(owner)
        return owner

    def after_crash(self, owner: Owner) -> Owner:
        """Who has the lane next."""
        self.store.crash(owner.lane)
        return self.take()

    def read(self) -> list[Record]:
        return list(self.store.read(self.name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for owner in self.owners:
            owner.lane.close()


def sample(index: int, text: str = "a", who: int = 0) -> Record:
    """A record as a worker writes most."""
    return records.from_sample(
        f"s{who}", index, "0" * 16, Sample(Seat(0, "m", None, 7), text, "stop", 3, 4, 0.5)
    )


def samples(begin: int, end: int) -> list[Record]:
    return [sample(index) for index in range(begin, end)]


def lines(found: Iterable[Record]) -> Iterator[bytes]:
    """Records to the byte: 1 and 1.0 are two values here."""
    return (chunks.encode(record, 0)[0] for record in found)


def same(found: Iterable[Record], expected: Iterable[Record]) -> bool:
    return list(lines(found)) == list(lines(expected))
