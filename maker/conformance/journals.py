"""What every journal store must keep, or a run forgets or repeats what it has paid for (`maker/journal.py`).

A lane is a list of records with one owner at a time. Each check has a store and a lane of its own; how fast a
store is, is not asked. Invariant: equal seeds play equal histories. Read next: `stores.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from maker import records
from maker.conformance import hostile, lane_history
from maker.conformance.finding import Finding, fail, ok, run_all, warn
from maker.conformance.stores import Owner, Scene, Store, same, sample, samples
from maker.errors import FencedError, MakerError
from maker.guard import guarded
from maker.nouns import Json

HISTORIES = 20
"""Random ones that are played, where nothing else is said."""
ROUNDS = 5
"""Races that are run, of RACERS owners each."""
RACERS = 4
PAGE_BYTES = 16 << 20
"""So many bytes a lane may take on one page until a resume, which reads a page, is slow."""

Make = Callable[[], Store]


def check(make: Make) -> Iterator[Finding]:
    return run_all((name, partial(play, name, make)) for name in CHECKS)


def play(name: str, make: Make, histories: int = HISTORIES) -> Finding:
    """One check; what is raised in it, other than an error of Maker's, is the store's."""
    with Scene(store := make(), histories) as scene:
        return guarded("the store", None, CHECKS[name], scene, allowed=(MakerError,), blamed=store.claim)


def texts(scene: Scene) -> Finding:
    """Records are read back in order and to the byte, whatever text and values they hold."""
    odd: list[Json] = [0.1 + 0.2, -0.0, 5e-324, 1, 1.0, 2**70, None, [[[]]], {"\ud800": {"": "\x00"}}]
    written = [
        sample(n, text) for n, text in enumerate([*hostile.texts(0, ['{"kind":"header"}'], 60), _LINES])
    ]
    written += [records.event("note", value=value) for value in odd]
    owner = scene.take()
    owner.append(*written)
    owner.sync()
    found, taken = scene.read(), scene.after_crash(owner)
    for who, seen in (("a reader", found), ("the next owner", taken.after)):
        for number, (one, other) in enumerate(zip(written, seen, strict=False)):
            if not same([one], [other]):
                return fail(
                    f"{who} finds another record {number} than was written: {other!r:.80}", f"{one!r:.80}"
                )
        if len(seen) != len(written):
            return fail(f"{who} finds {len(seen)} records", f"the {len(written)} that were synced")
    return ok(f"{len(written)} records of hostile texts are read back to the byte")


def synced(scene: Scene) -> Finding:
    """What was synced is there after the owner has died, for anybody and for the next owner."""
    owner, written = scene.take(), samples(0, 5)
    owner.append(*written)
    owner.sync()
    taken = scene.after_crash(owner)
    if not same(taken.after, written) or not same(scene.read(), written):
        found = min(len(taken.after), len(scene.read()))
        return fail(f"of 5 synced records {found} are left after a crash", "all, in order", _SYNC)
    return ok("synced records outlive their owner")


def tail(scene: Scene) -> Finding:
    """What was not synced may be lost, but only from the end."""
    owner, written = scene.take(), samples(0, 12)
    owner.append(*written[:3])
    owner.sync()
    owner.append(*written[3:])
    scene.after_crash(owner)
    found = scene.read()
    if len(found) < 3 or not same(found, written[: len(found)]):
        kept = [each.get("step") for each in found]
        return fail(f"after a crash records {kept} are left", "the first 3 or more, without a gap", _SYNC)
    return ok(f"a crash left {len(found)} of 12 records, 3 of them synced")


def page(scene: Scene) -> Finding:
    """A page is found as it was turned to, with the records after it alone; the history keeps the others."""
    owner, written = scene.take(), samples(0, 8)
    going: list[dict[str, Json]] = [{"segment": "s0", "step": 5, "state": {"\ud800": 1.0}, "samples": []}]
    owner.append(*written[:5])
    owner.going = going
    owner.turn()
    totals = owner.ledger.totals.to_json()
    owner.append(*written[5:])
    owner.sync()
    scene.store.crash(owner.lane)
    taken = scene.take()
    if taken.header is None or taken.going != going:
        return fail(f"the page says of open segments {taken.going!r:.80}", f"{going!r:.80}", _PAGE)
    if taken.ledger.totals.samples != 8:
        said = f"the page with the records after it counts {taken.ledger.totals.samples} samples"
        return fail(said, "8, as were written", _PAGE)
    if not same(scene.read(), written):
        return fail(f"a reader finds {len(scene.read())} records after two pages", "8, in order", _PAGE)
    return ok(f"a page of {totals['samples']} samples is found with what was written behind it")


def ends(scene: Scene) -> Finding:
    """Each segment's end is told once, on whatever page it was."""
    owner, expected = scene.take(), list[str]()
    for number in range(7):
        expected.append(f"s{number}")
        owner.append(records.event("finish", segment=f"s{number}", steps=number, state={"n": number}))
        owner.sync()
        if number % 2:
            owner.turn()
        if number % 3 == 2:
            owner = scene.after_crash(owner)
    told = scene.after_crash(owner).ended
    if told != expected:
        return fail(f"of the segments {expected} the next owner is told {told}", "each once", _ENDS)
    return ok("seven ends on several pages are told once each")


def fence(scene: Scene) -> Finding:
    """Of an owner that was overtaken nothing counts any more, and it learns so at its next sync."""
    old = scene.take()
    old.append(sample(0))
    old.sync()
    new = scene.take()
    refused = old.fenced(sample(1, "of the old owner"))
    new.append(sample(1))
    new.sync()
    if not refused:
        return fail("an owner that was overtaken is told that its record is durable", "FencedError", _FENCE)
    if not same(scene.read(), [sample(0), sample(1)]):
        return fail("what an overtaken owner wrote is in the history", "the newer one's alone", _FENCE)
    if not same(scene.after_crash(new).after, [sample(1)]):
        return fail("the next owner does not find the newer one's page", "the newest one", _FENCE)
    return ok("an overtaken owner is refused, and leaves no trace")


def command(scene: Scene) -> Finding:
    """An older command of the run gets no lane of a newer one's."""
    new = scene.take(command=2)
    new.append(sample(0))
    new.sync()
    try:
        scene.take(command=1)
    except FencedError:
        if new.fenced(sample(1)):
            return fail("a claim that was refused has fenced the owner", "it to go on", _FENCE)
        if scene.take(command=3).ledger.totals.samples != 2:
            return fail("a newer command does not find all records", "2 samples")
        return ok("command 1 is refused the lane of command 2, command 3 gets it")
    return fail("command 1 gets the lane of command 2", "FencedError", _FENCE)


def reading(scene: Scene) -> Finding:
    """Reading changes nothing, neither for the owner nor for who reads next."""
    if list(scene.store.read(scene.name)):
        return fail("a lane that nobody has begun has records", "none")
    owner = scene.take()
    owner.append(*samples(0, 3))
    owner.sync()
    first, second = scene.read(), scene.read()
    if not same(first, second) or not same(first, samples(0, 3)):
        return fail("two readers find two histories", "the same", "reading must not write")
    if owner.fenced(sample(3)) or not same(scene.read(), samples(0, 4)):
        return fail("after somebody has read, the owner's next record is not there", "it to go on as before")
    return ok("a lane that was read three times goes on")


def full(scene: Scene) -> Finding:
    """A page that has grown long says so, and a new one does not."""
    owner, text, size = scene.take(), "long " * 20_000, 0
    while not owner.lane.full and size < PAGE_BYTES:
        owner.append(sample(size, text))
        size += len(text)
    if not owner.lane.full:
        return warn(f"a page of {size:,} bytes is not full", "`full` after some MB", _PAGE)
    owner.turn()
    if owner.lane.full:
        return warn("a new page is full", "room on it", "an engine turns the page whenever it is full")
    return ok(f"a page is full after {size:,} bytes")


@dataclass(slots=True)
class _Racer:
    """One of several that want the same lane at once."""

    owner: Owner | None = None
    told: int = 0
    """Records that it was told are durable."""
    error: list[Exception] = field(default_factory=list)

    def run(self, scene: Scene, who: int, start: threading.Barrier) -> None:
        start.wait()
        try:
            self.owner = scene.take()
            for index in range(3):
                self.owner.append(sample(index, who=who))
                self.owner.sync()
                self.told = index + 1
        except FencedError:
            pass
        except Exception as error:
            self.error.append(error)


def race(scene: Scene) -> Finding:
    """Of several that claim a lane at once one is its owner, and what each was told is durable is there."""
    for _ in range(ROUNDS):
        with Scene(scene.store) as lane:
            if wrong := _raced(lane):
                return wrong
    return ok(f"{ROUNDS} races of {RACERS} owners leave one each, and all that was told")


def _raced(scene: Scene) -> Finding | None:
    racers, start = [_Racer() for _ in range(RACERS)], threading.Barrier(RACERS)
    threads = [threading.Thread(target=each.run, args=(scene, n, start)) for n, each in enumerate(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised := [error for each in racers for error in each.error]:
        raise raised[0]
    found = scene.read()
    for who, racer in enumerate(racers):
        mine = [each["step"] for each in found if each["segment"] == f"s{who}"]
        if mine != [*range(len(mine))] or len(mine) < racer.told:
            said = f"an owner that was told that {racer.told} records are durable finds {mine}"
            return fail(said, "all of them, in order", _FENCE)
    turns = [
        each["segment"] for n, each in enumerate(found) if not n or found[n - 1]["segment"] != each["segment"]
    ]
    if len(turns) > len(set(turns)):
        return fail(f"owners have written in turns: {turns}", "one after the other", _FENCE)
    going = [each for each in racers if each.owner and not each.owner.fenced(sample(9, who=9))]
    if len(going) != 1:
        return fail(f"of {RACERS} that took the lane at once {len(going)} may go on", "one", _FENCE)
    return None


def histories(scene: Scene) -> Finding:
    """Random histories of writing, dying and taking over keep all that was synced, in order."""
    for seed in range(scene.histories):
        with Scene(scene.store) as lane:
            if wrong := lane_history.played(lane, seed):
                return wrong
    return ok(f"{scene.histories} random histories keep all that was synced")


CHECKS: dict[str, Callable[[Scene], Finding]] = {
    "texts": texts,
    "synced": synced,
    "tail": tail,
    "page": page,
    "ends": ends,
    "fence": fence,
    "command": command,
    "reading": reading,
    "full": full,
    "race": race,
    "histories": histories,
}
"""By name, in the order in which they are run."""

_LINES = '"}\n{"kind":"decision"}\r\n\u2028\u0085,"crc":0}\n'
_SYNC = "`sync` returns when all that was appended would outlive the machine; append in order"
_PAGE = (
    "`turn` seals what was written, and keeps the page whole: a resume reads it in place of what was before"
)
_ENDS = "`finished` gives the ends in `before` of all pages up to the newest that the claim found"
_FENCE = "make the claim, and every write, conditional on being the newest owner"
