"""A lane's life by a seed: owners append, sync, turn pages, die, are overtaken and wake; a list is the model.

Invariant: what happens follows from the seed alone, whatever the store answers.
"""

from __future__ import annotations

from random import Random

from maker.conformance.finding import Finding, fail
from maker.conformance.stores import Owner, Scene, same, sample
from maker.records import Record

EVENTS = 40
"""In one history."""


class _Life:
    """What a lane must hold: all that was written up to `safe`, and perhaps some of what came after that."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene, self.seed, self.lot = scene, seed, Random(seed)
        self.written: list[Record] = []
        self.safe = 0
        """How many of them were made durable."""
        self.number = 0
        self.owner = scene.take()
        self.overtaken: list[Owner] = []
        self.did: list[str] = []
        """For people."""

    def append(self) -> Finding | None:
        for _ in range(self.lot.randint(1, 4)):
            self.number += 1
            record = sample(self.number, f"{self.seed} \ud800")
            self.owner.append(record)
            self.written.append(record)
        return None

    def sync(self) -> Finding | None:
        self.owner.sync()
        self.safe = len(self.written)
        return None

    def turn(self) -> Finding | None:
        self.owner.turn()
        self.safe = len(self.written)
        return None

    def die(self) -> Finding | None:
        self.scene.store.crash(self.owner.lane)
        return self._taken()

    def be_overtaken(self) -> Finding | None:
        self.overtaken.append(self.owner)
        return self._taken()

    def wake(self) -> Finding | None:
        """An owner that was overtaken goes on as if nothing had happened."""
        if self.overtaken and not self.lot.choice(self.overtaken).fenced(sample(0, "a ghost's")):
            return self._wrong("an owner that was overtaken is not refused", "FencedError")
        return self.read()

    def read(self) -> Finding | None:
        found = self.scene.read()
        if len(found) < self.safe:
            return self._wrong(f"{len(found)} records are there", f"{self.safe}, which were made durable")
        if not same(found, self.written[: len(found)]):
            return self._wrong("what is there is not what was written", "the same records, in order")
        return None

    def _taken(self) -> Finding | None:
        """What the next owner finds is the lane from now on."""
        self.owner = self.scene.take()
        if wrong := self.read():
            return wrong
        del self.written[len(self.scene.read()) :]
        self.safe = len(self.written)
        after, counted = self.owner.after, self.owner.ledger.totals.samples
        if counted != self.safe or not same(after, self.written[self.safe - len(after) :]):
            said = f"the next owner's page counts {counted} samples, with {len(after)} behind it"
            return self._wrong(said, f"{self.safe}, the last of them behind it")
        return None

    def _wrong(self, seen: str, expected: str) -> Finding:
        did = ", ".join(self.did)
        return fail(f"in history {self.seed} ({did}) {seen}", expected, "a seed repeats its history")


def played(scene: Scene, seed: int) -> Finding | None:
    """What is wrong in the history of a seed."""
    life = _Life(scene, seed)
    events = [
        *[life.append] * 6,
        *[life.sync] * 3,
        life.turn,
        life.die,
        life.be_overtaken,
        life.wake,
        life.read,
    ]
    for _ in range(EVENTS):
        event = life.lot.choice(events)
        life.did.append(event.__name__)
        if wrong := event():
            return wrong
    return life.read()
