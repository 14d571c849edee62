"""The suite for journal stores: both of ours keep it, another one can, each fault is found by its check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any

import pytest

from maker import history, takeover
from maker.conformance import journals
from maker.conformance.finding import Finding
from maker.conformance.stores import Store
from maker.disk import Disk
from maker.errors import FencedError
from maker.journal import OwnedLane, Page, Seal
from maker.nouns import Json
from maker.objects import ObjectPath
from maker.records import Record
from maker.testing import JournalSuite
from tests.s3d import BUCKET, S3, served

# -- ours -------------------------------------------------------------------------------------------


class Outage(Disk):
    """Forgets some of what was not synced when the power fails, mid-line too."""

    def __init__(self) -> None:
        self.lot, self.paths, self.synced = Random(1), dict[int, Path](), dict[Path, int]()

    def create(self, path: Path) -> int:
        file = super().create(path)
        self.paths[file], self.synced[path] = path, 0
        return file

    def sync(self, file: int) -> None:
        super().sync(file)
        self.synced[self.paths[file]] = os.fstat(file).st_size

    def lose_power(self) -> None:
        for path, durable in self.synced.items():
            if path.exists() and (size := path.stat().st_size) > durable:
                os.truncate(path, self.lot.randint(durable, size))
                self.synced[path] = path.stat().st_size


class OnDisk:
    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder, self.disk = folder, disk

    def claim(self, lane: str, command: int) -> OwnedLane:
        return takeover.claim(self.folder / lane, "r", command, disk=self.disk)

    def read(self, lane: str) -> Iterable[Record]:
        return history.read(self.folder / lane)

    def crash(self, owner: OwnedLane) -> None:
        if isinstance(self.disk, Outage):
            self.disk.lose_power()


class InObjects:
    def __init__(self, prefix: ObjectPath) -> None:
        self.prefix = prefix

    def claim(self, lane: str, command: int) -> OwnedLane:
        return takeover.claim(self.prefix / lane, "r", command, seal=Seal(records=50))

    def read(self, lane: str) -> Iterable[Record]:
        return history.read(self.prefix / lane)

    def crash(self, owner: OwnedLane) -> None:
        """What waits in its memory is never seen again."""


class TestADiskWhoseProcessesDie(JournalSuite):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def make(self) -> Store:
        return OnDisk(self.path, Disk())


class TestADiskWhosePowerFails(TestADiskWhoseProcessesDie):
    def make(self) -> Store:
        return OnDisk(self.path, Outage())


class TestAnObjectStoreThatFailsNowAndThen(JournalSuite):
    histories = 4

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[S3]:
        with served(faults=0.03, seed=3) as s3, pytest.MonkeyPatch.context() as patch:
            for name, value in s3.environment.items():
                patch.setenv(name, value)
            yield s3

    @pytest.fixture(autouse=True)
    def prefix(self, server: S3, request: pytest.FixtureRequest) -> None:
        self.where = ObjectPath(f"s3://{BUCKET}", f"suite-{server.url[-5:]}")

    def make(self) -> Store:
        return InObjects(self.where)


# -- one of one's own -------------------------------------------------------------------------------


class Table:
    """A lane as rows: what a database would keep."""

    def __init__(self) -> None:
        self.lock, self.owner = Lock(), (0, 0)
        self.rows: list[bytes] = []
        self.pages: list[tuple[int, bytes]] = []
        """(rows before it, header)"""


class Rows:
    """A lane of a table; what waits is written with each sync, if nobody has claimed the lane meanwhile."""

    due, rest = True, 0.0

    def __init__(self, table: Table, command: int) -> None:
        self.table, self.waiting, self.size = table, list[bytes](), 0
        with table.lock:
            if table.owner[0] > command:
                raise FencedError("a newer command has the lane")
            self.mine = table.owner = (command, table.owner[1] + 1)
            self.found = list(table.rows), list(table.pages)
        self.is_open = False

    @property
    def full(self) -> bool:
        return self.size > 1 << 20

    def last(self) -> tuple[Record | None, Iterator[Record]]:
        rows, pages = self.found
        if not pages:
            return None, iter(())
        before, header = pages[-1]
        return json.loads(header), map(json.loads, rows[before:])

    def finished(self) -> Iterator[list[Json]]:
        for _, header in self.found[1]:
            yield from json.loads(header)["before"].get("finished", [])

    def append(self, *records: Record) -> None:
        for record in records:
            self.put(record)

    def put(self, record: Record) -> None:
        self.waiting.append(json.dumps(record).encode())
        self.size += len(self.waiting[-1])

    def sync(self) -> None:
        with self.table.lock:
            if self.table.owner != self.mine:
                raise FencedError("somebody else has the lane")
            self.table.rows += self.waiting
            self.waiting = []

    def turn(self, page: Page) -> None:
        self.sync()
        header = {"before": page.before, "totals": page.totals, "seen": page.seen, "going": page.going}
        with self.table.lock:
            self.table.pages.append((len(self.table.rows), json.dumps(header).encode()))
        self.is_open, self.size = True, 0

    def close(self) -> None:
        self.waiting = []


class Tables:
    lane: type[Rows] = Rows

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.lock = Lock()

    def claim(self, lane: str, command: int) -> Any:
        with self.lock:
            table = self.tables.setdefault(lane, Table())
        return self.lane(table, command)

    def read(self, lane: str) -> Iterable[Record]:
        return [json.loads(row) for row in self.tables[lane].rows] if lane in self.tables else []

    def crash(self, owner: Any) -> None:
        owner.waiting.clear()


class TestAStoreOfOnesOwn(JournalSuite):
    def make(self) -> Store:
        return Tables()


# -- with one fault each ----------------------------------------------------------------------------


class Cleaning(Rows):
    """Takes only what is valid UTF-8."""

    def put(self, record: Record) -> None:
        text = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace").decode()
        super().put(json.loads(text))


class Rounding(Rows):
    """Takes 1.0 for 1, as many a database does."""

    def put(self, record: Record) -> None:
        value = record.get("value")
        super().put({**record, "value": int(value)} if value == 1 else record)


class Lazy(Rows):
    """Syncs when a page is full."""

    def sync(self) -> None:
        if self.full or not self.is_open:
            super().sync()


class Hasty(Rows):
    """Writes the newest record at once, and those before it when it is asked to."""

    def put(self, record: Record) -> None:
        super().put(record)
        if len(self.waiting) > 3:
            self.table.rows.append(self.waiting.pop())


class Backward(Rows):
    """Gives the first page to a resume."""

    def last(self) -> tuple[Record | None, Iterator[Record]]:
        rows, pages = self.found
        return (json.loads(pages[0][1]), map(json.loads, rows)) if pages else (None, iter(()))


class Blank(Rows):
    """Its pages say nothing of open segments."""

    def turn(self, page: Page) -> None:
        super().turn(Page(page.totals, [], page.before, page.seen))


class Whole(Rows):
    """Gives a resume all records behind the newest page."""

    def last(self) -> tuple[Record | None, Iterator[Record]]:
        header, _ = super().last()
        return header, map(json.loads, self.found[0])


class Newest(Rows):
    """Knows the ends of one page."""

    def finished(self) -> Iterator[list[Json]]:
        if self.found[1]:
            yield from json.loads(self.found[1][-1][1])["before"].get("finished", [])


class Unfenced(Rows):
    def sync(self) -> None:
        self.table.rows += self.waiting
        self.waiting = []


class Late(Rows):
    """Refuses an owner that was overtaken, after it has written."""

    def sync(self) -> None:
        self.table.rows += self.waiting
        self.waiting = []
        super().sync()


class Anarchic(Rows):
    """Takes whatever command comes last."""

    def __init__(self, table: Table, command: int) -> None:
        table.owner = (0, table.owner[1])
        super().__init__(table, command)


class Shared(Rows):
    """Two owners of one command are one to it."""

    def __init__(self, table: Table, command: int) -> None:
        super().__init__(table, command)
        self.mine = table.owner = (command, 1)


class Endless(Rows):
    full = False  # type: ignore[assignment]


class Forgetful(Rows):
    """Loses what is synced for the ninth time."""

    synced = 0

    def sync(self) -> None:
        Forgetful.synced += 1
        if Forgetful.synced % 9 == 0:
            self.waiting = []
        super().sync()


class Broken(Rows):
    def sync(self) -> None:
        raise ZeroDivisionError("no such table")


class Fencing(Tables):
    """Claims a lane to read it."""

    def read(self, lane: str) -> Iterable[Record]:
        if lane in self.tables:
            self.tables[lane].owner = (9, 9)
        return super().read(lane)


class Emptying(Tables):
    def read(self, lane: str) -> Iterable[Record]:
        found = list(super().read(lane))
        self.tables.setdefault(lane, Table()).rows.clear()
        return found


def with_fault(kind: type) -> Store:
    if issubclass(kind, Tables):
        return kind()
    store = Tables()
    store.lane = kind
    return store


@pytest.mark.parametrize(
    ("fault", "check", "said"),
    [
        (Cleaning, "texts", "another record"),
        (Rounding, "texts", "another record"),
        (Lazy, "synced", "of 5 synced records 0 are left"),
        (Hasty, "tail", "are left; expected the first 3"),
        (Backward, "page", "the page says"),
        (Blank, "page", "open segments []"),
        (Whole, "page", "counts 13 samples"),
        (Newest, "ends", "the next owner is told"),
        (Unfenced, "fence", "is told that its record is durable"),
        (Late, "fence", "is in the history"),
        (Anarchic, "command", "gets the lane of command 2"),
        (Fencing, "reading", "the owner's next record is not there"),
        (Emptying, "reading", "two histories"),
        (Endless, "full", "is not full"),
        (Shared, "race", "expected"),
        (Forgetful, "histories", "in history"),
        (Broken, "synced", "the store raised ZeroDivisionError"),
    ],
)
def test_a_store_with_a_fault_is_found_by_its_check(fault: type, check: str, said: str) -> None:
    findings: dict[str, Finding] = {each.check: each for each in journals.check(lambda: with_fault(fault))}
    assert findings[check].verdict == ("warn" if check == "full" else "fail"), findings
    assert said in str(findings[check])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("histories = 0\n    make = object", "TestStore needs 1 or more in `histories` (0 are given)"),
        ("pass", "TestStore needs a method `make` that gives a new, empty store"),
    ],
)
def test_a_suite_that_lacks_something_says_what(tmp_path: Path, body: str, said: str) -> None:
    file = tmp_path / "test_store.py"
    file.write_text(f"from maker.testing import JournalSuite\nclass TestStore(JournalSuite):\n    {body}\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file), "-k", "synced"]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, said in ended.stdout, "Traceback" in ended.stdout) == (1, True, False)


def test_every_check_has_a_store_that_it_finds_fault_with() -> None:
    [marked] = test_a_store_with_a_fault_is_found_by_its_check.pytestmark
    assert {check for _, check, _ in marked.args[1]} == set(journals.CHECKS)
