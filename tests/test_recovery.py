"""Whatever is cut short, a lane goes on from its newest chunk as if nothing had happened."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import chunks, history, journal, records
from maker.chain import Chain
from maker.disk import DISK
from maker.engine import Engine
from maker.errors import JournalDamagedError
from maker.journal import Lane
from maker.model import Request
from maker.nouns import Decision, Parked, Sample, Segment, Tally
from maker.records import Record
from maker.recovery import Recovery
from maker.voters import AheadByK
from tests.support import panel, sample, task

SEGMENTS, LENGTH = 3, 12
SMALL = 3000
"""Bytes of a chunk in these tests: a handful of steps."""


class Crash(KeyboardInterrupt):
    """The process dies here: all else that a model raises would park its step."""


class Fickle:
    """Its answer is a function of step, state and draw; it dies when its budget of draws is spent."""

    name, temperatures = "m", (None, None)

    def __init__(self, seed: int, budget: int) -> None:
        self.seed, self.budget, self.drawn = seed, budget, 0

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            await asyncio.sleep(0)
            if self.drawn == self.budget:
                raise Crash
            self.drawn += 1
            step = request.step
            lot = Random(f"{self.seed}/{step.segment}/{step.index}/{step.state}/{seat.draw}").random()
            yield sample(seat, "?" if lot < 0.1 else "b" if lot < 0.3 else "a")

    async def aclose(self) -> None:
        pass


def live(folder: Path, model: Fickle) -> bool:
    """One life of a lane's owner: claim, recover, run all segments; whether it got to the end."""

    async def run() -> None:
        subject, board = task(LENGTH, SEGMENTS), panel(AheadByK(2), 60)
        lane = Lane.claim(folder, "r")
        recovery = Recovery(subject, board)
        recovery.read(lane)
        known = {end.segment for end in recovery.finished} | {name for name, _, _ in lane.finished()}
        known |= {going["segment"] for going in recovery.going()}
        lane.turn(recovery.ledger.page(recovery.going()))
        engine = Engine({"m": model}, lane, recovery.ledger)
        _, going = recovery.resume()
        drives = [engine.begin(each.chain, each.wishes, each.samples) for each in going]
        for segment in (Segment(f"s{n}", []) for n in range(SEGMENTS)):
            if segment.id not in known:
                engine.write(records.from_segment(segment))
                chain = Chain(subject, board, segment)
                drives.append(engine.begin(chain, chain.start()))
        await asyncio.gather(*(drive.run() for drive in drives))
        lane.close()

    try:
        asyncio.run(run())
    except Crash:
        return False
    return True


def told(folder: Path) -> list[Record]:
    """What a lane says in the end, whatever the order in which its segments went on."""
    kept = [record for record in history.read(folder) if record.get("event") != "open"]
    place = ("segment", "step", "kind", "draw")
    return sorted(kept, key=lambda record: [str(record.get(name, "")).zfill(4) for name in place])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), budgets=st.lists(st.integers(1, 60), max_size=6))
def test_a_lane_that_dies_again_and_again_tells_the_same_as_one_that_never_did(
    tmp_path_factory: pytest.TempPathFactory, seed: int, budgets: list[int]
) -> None:
    straight, killed = (tmp_path_factory.mktemp(name) for name in ("straight", "killed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "CHUNK_BYTES", SMALL)
        undisturbed = Fickle(seed, -1)
        assert live(straight, undisturbed)
        drawn = 0
        for budget in [*budgets, -1]:
            model = Fickle(seed, budget)
            ended = live(killed, model)
            drawn += model.drawn
            if ended:
                break
    assert told(killed) == told(straight)
    assert drawn == undisturbed.drawn, "a draw was paid for twice"
    assert history.verify(killed) >= 3
    shutil.rmtree(straight)
    shutil.rmtree(killed)


@pytest.fixture
def lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lane of several chunks whose owner died in the middle."""
    monkeypatch.setattr(journal, "CHUNK_BYTES", SMALL)
    folder = tmp_path / "lane"
    assert not live(folder, Fickle(1, 80))
    assert len(chunks.of(folder)) >= 5
    return folder


def plain_form(chunk: Path) -> Path:
    return chunk.with_name(f"{chunks.number(chunk):06d}.jsonl")


def finish(lane: Path) -> list[Record]:
    assert live(lane, Fickle(1, -1))
    history.verify(lane)
    return told(lane)


def test_only_the_newest_chunk_is_open_and_all_others_are_sealed(lane: Path) -> None:
    *older, newest = chunks.of(lane)
    assert all(map(chunks.is_sealed, older))
    assert not chunks.is_sealed(newest)
    assert not [path for path in lane.iterdir() if path.name.startswith(".")]


def test_a_resume_reads_headers_and_the_newest_chunk_and_no_more(lane: Path) -> None:
    expected = finish(shutil.copytree(lane, lane.parent / "copy"))
    for chunk in chunks.of(lane)[:-1]:
        first = next(chunks.lines(chunk))[1]
        whole = [line for _, line in chunks.lines(chunk)]
        rest = b"".join(whole[1:])
        damaged = plain_form(chunk)
        damaged.write_bytes(first + rest.replace(b'"kind"', b'"kjnd"'))
        chunks.seal(damaged, len(first + rest), DISK)
    recovery = Recovery(task(LENGTH, SEGMENTS), panel(AheadByK(2), 60))
    header, after = Lane.claim(lane, "r").last()
    assert header is not None
    recovery.load(header)
    for record in after:
        recovery.fold(record)
    assert recovery.ledger.totals.samples == 80
    with pytest.raises(JournalDamagedError, match="does not match its"):
        history.verify(lane)
    assert expected


def test_dying_while_a_chunk_is_sealed_leaves_both_forms_or_a_temporary_file_and_harms_nothing(
    lane: Path,
) -> None:
    expected = finish(shutil.copytree(lane, lane.parent / "copy"))
    sealed = chunks.of(lane)[-2]
    plain = plain_form(sealed)
    plain.write_bytes(b"".join(line for _, line in chunks.lines(sealed)))
    both = shutil.copytree(lane, lane.parent / "both")
    assert finish(both) == expected
    sealed.rename(lane / f".{sealed.name}.123")
    assert finish(lane) == expected
    assert all(map(chunks.is_sealed, chunks.of(lane)[:-1]))


def test_dying_while_a_header_is_written_harms_nothing(lane: Path) -> None:
    expected = finish(shutil.copytree(lane, lane.parent / "copy"))
    torn = lane / f"{chunks.number(chunks.of(lane)[-1]) + 1:06d}.jsonl"
    torn.write_bytes(b'{"kind":"header","format":1')
    assert finish(lane) == expected


def test_a_chunk_that_is_missing_is_found(lane: Path) -> None:
    chunks.of(lane)[2].unlink()
    with pytest.raises(JournalDamagedError, match="follows chunk 3, which is not there before it"):
        list(history.read(lane))


def test_a_sealed_chunk_with_a_flipped_bit_is_found(lane: Path) -> None:
    chunk = chunks.of(lane)[1]
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 4
    chunk.write_bytes(data)
    with pytest.raises(JournalDamagedError, match=chunk.name):
        history.verify(lane)


def test_a_sealed_chunk_that_was_swapped_for_a_well_formed_other_one_is_found(lane: Path) -> None:
    chunk = chunks.of(lane)[1]
    crc, forged = 0, b""
    for offset, line in list(chunks.lines(chunk)):
        record = chunks.decode(chunk, offset, line)
        if record.get("text") == "a":
            record["text"] = "b"
        again, crc = chunks.encode(record, crc)
        forged += again
    plain = plain_form(chunk)
    plain.write_bytes(forged)
    chunk.unlink()
    chunks.seal(plain, len(forged), DISK)
    with pytest.raises(JournalDamagedError, match="digest"):
        history.verify(lane)


def test_a_header_counts_what_its_predecessor_holds(lane: Path) -> None:
    finish(lane)
    counted = chunks.of(lane)
    for chunk, after in pairwise(counted):
        held = [chunks.decode(chunk, *each) for each in chunks.lines(chunk)]
        before = chunks.header(after)["before"]
        assert before["steps"] == sum(record["kind"] == "decision" for record in held)
        assert before["samples"] == sum(record["kind"] == "sample" for record in held)
        assert before["contested"] == sum(len(r["votes"]) > 1 for r in held if r["kind"] == "decision")


def test_what_an_overtaken_owner_began_is_left_out_even_if_it_comes_between(lane: Path) -> None:
    expected = finish(shutil.copytree(lane, lane.parent / "copy"))
    late = Lane.claim(lane, "r")
    newer = Lane.claim(lane, "r")
    header, after = late.last()
    assert header is not None
    recovery = Recovery(task(LENGTH, SEGMENTS), panel(AheadByK(2), 60))
    recovery.load(header)
    for record in after:
        recovery.fold(record)
    page = recovery.ledger.page(recovery.going())
    with pytest.raises(Exception, match="has taken over"):
        late.turn(page)
    newer.turn(page)
    newer.close()
    assert finish(lane) == expected


def test_a_step_that_was_parked_and_then_decided_is_parked_no_more() -> None:
    recovery = Recovery(task(LENGTH, SEGMENTS), panel(AheadByK(2), 60))
    chain = Chain(recovery.task, recovery.panel, Segment("s0", []))
    recovery.fold(records.from_segment(Segment("s0", [])))
    recovery.fold(records.from_parked(Parked("s0", 0, chain.state, "undecided", Tally((), ()))))
    assert [each["park"]["step"] for each in recovery.going()] == [0]
    recovery.fold(records.from_decision(Decision("s0", 0, chain.state, "a", Tally((), ()))))
    assert [(each["step"], each["park"]) for each in recovery.going()] == [(1, None)]
