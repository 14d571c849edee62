"""How a lane comes into the hands of an owner, wherever it is kept.

Invariant: when `take_over` returns, no older owner can write anything that counts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from maker.disk import DISK, Disk
from maker.errors import UsageError
from maker.journal import SEAL, Durability, Lane, OutrunError, OwnedLane, Page, Seal
from maker.object_lane import ObjectLane
from maker.objects import ObjectPath
from maker.place import Place


class Reader(Protocol):
    """Takes in what a lane holds, and says what its next page is to say."""

    def read(self, lane: OwnedLane) -> None: ...
    def page(self) -> Page: ...


R = TypeVar("R", bound=Reader)


def claim(
    folder: Place,
    run: str,
    command: int,
    durability: Durability = "group",
    disk: Disk = DISK,
    seal: Seal = SEAL,
) -> OwnedLane:
    """A lane for a command of the run. Raises FencedError when a newer one owns it."""
    match folder:
        case ObjectPath():
            return ObjectLane(folder, run, command, durability, seal)
        case Path():
            return Lane.claim(folder, run, command, durability, disk)
    raise UsageError(f"{folder} is neither a path nor a place in an object store")


def take_over(claimed: Callable[[], OwnedLane], fresh: Callable[[], R]) -> tuple[OwnedLane, R]:
    """Claim a lane, read it back and turn to a page of one's own; again if an older owner was quicker."""
    while True:
        lane = claimed()
        try:
            return lane, _owned(lane, fresh())
        except OutrunError:
            lane.close()
        except BaseException:
            lane.close()
            raise


def _owned(lane: OwnedLane, reader: R) -> R:
    reader.read(lane)
    lane.turn(reader.page())
    lane.sync()
    if not lane.is_open:
        lane.turn(reader.page())
    return reader
