"""What is written is read back; a torn tail is cut, other damage is found, an older owner is ignored."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker import history, records
from maker.disk import Disk
from maker.errors import FencedError, JournalDamagedError
from maker.journal import Lane
from maker.ledger import Ledger
from maker.nouns import Decision, Flags, Parked, Sample, Seat, Tally, Votes

RECORDS = [records.event("note", number=number, text="é\ud800\x1b\n" * number) for number in range(5)]
TEXT = st.text(st.characters(codec="utf-8") | st.just("\ud800"), max_size=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lanes" / "0000"


def claim(folder: Path) -> Lane:
    lane = Lane.claim(folder, "r")
    lane.turn(Ledger().page([]))
    return lane


def write(folder: Path, written: list[dict] = RECORDS) -> Path:
    lane = claim(folder)
    for record in written:
        lane.append(record)
    lane.close()
    return sorted(folder.glob("*.jsonl"))[-1]


def test_records_are_read_back_in_order(folder: Path) -> None:
    write(folder)
    assert list(history.read(folder)) == RECORDS


def test_lines_are_plain_json_that_any_tool_reads(folder: Path) -> None:
    chunk = write(folder)
    lines = [json.loads(line) for line in chunk.read_text("ascii").splitlines()]
    assert lines[0]["kind"] == "header"
    assert [line["number"] for line in lines[1:]] == [0, 1, 2, 3, 4]


def test_a_record_is_in_the_file_when_append_returns(folder: Path) -> None:
    lane = claim(folder)
    lane.append(RECORDS[0])
    assert list(history.read(folder)) == RECORDS[:1]
    lane.close()


def test_a_tail_torn_at_any_byte_costs_only_the_torn_record(folder: Path) -> None:
    chunk = write(folder)
    whole = chunk.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(ends[0], len(whole)):
        chunk.write_bytes(whole[:size])
        kept = sum(end <= size for end in ends) - 1
        assert list(history.read(folder)) == RECORDS[:kept], size


def test_a_chunk_torn_in_its_header_counts_as_none(folder: Path) -> None:
    write(folder)
    torn = write(folder, [])
    torn.write_bytes(torn.read_bytes()[:20])
    write(folder, RECORDS[:1])
    assert list(history.read(folder)) == [*RECORDS, *RECORDS[:1]]


def test_any_flipped_bit_is_found_or_cuts_the_tail(folder: Path) -> None:
    chunk = write(folder)
    whole = chunk.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for at in range(len(whole)):
        chunk.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            seen = list(history.read(folder))
        except JournalDamagedError as error:
            assert str(chunk) in str(error)
        else:
            assert at >= last, at
            assert seen == RECORDS[:-1]


def test_a_lost_line_in_the_middle_is_found_with_its_place(folder: Path) -> None:
    chunk = write(folder)
    lines = chunk.read_bytes().splitlines(keepends=True)
    chunk.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(JournalDamagedError, match=rf"byte {len(lines[0] + lines[1])} "):
        list(history.read(folder))


def test_a_newer_format_is_refused_with_what_to_do(folder: Path) -> None:
    chunk = write(folder)
    header = json.loads(chunk.read_bytes().splitlines()[0])
    del header["crc"]
    body = json.dumps(header | {"format": 99}, separators=(",", ":"))[:-1].encode()
    chunk.write_bytes(b'%b,"crc":%d}\n' % (body, zlib.crc32(body)))
    with pytest.raises(JournalDamagedError, match=r"format 99.*update maker"):
        list(history.read(folder))


def test_what_an_older_owner_appends_after_a_takeover_is_ignored(folder: Path) -> None:
    old = claim(folder)
    old.append(RECORDS[0])
    new = claim(folder)
    old.append(RECORDS[1])
    new.append(RECORDS[2])
    assert list(history.read(folder)) == [RECORDS[0], RECORDS[2]]
    with pytest.raises(FencedError, match="epoch 1-2 has taken over from epoch 1-1"):
        old.sync()
    new.sync()


def test_an_owner_that_was_overtaken_before_its_first_line_is_ignored(folder: Path) -> None:
    write(folder)
    (folder / "claims" / "000001-000002").touch()
    newest = claim(folder)
    newest.append(RECORDS[0])
    with pytest.raises(FencedError, match="epoch 1-3 has taken over from epoch 1-2"):
        Lane(folder, "r", epoch=(1, 2))
    newest.append(RECORDS[1])
    assert list(history.read(folder)) == [*RECORDS, *RECORDS[:2]]


def test_a_header_that_an_overtaken_owner_wrote_late_is_left_out(folder: Path) -> None:
    write(folder)
    for owner in (2, 3, 4):
        (folder / "claims" / f"000001-{owner:06d}").touch()
    two, three = Lane(folder, "r", epoch=(1, 2)), Lane(folder, "r", epoch=(1, 3))
    for slow in (three, two):
        with pytest.raises(FencedError):
            slow.turn(Ledger().page([]))
            slow.sync()
        slow.close()
    late = folder / "000002.jsonl"
    whole = late.read_bytes()
    late.write_bytes(whole[:9])
    four = Lane(folder, "r", epoch=(1, 4))
    late.write_bytes(whole)
    four.turn(Ledger().page([]))
    four.append(RECORDS[0])
    four.sync()
    four.close()
    assert list(history.read(folder)) == [*RECORDS, RECORDS[0]]
    assert history.verify(folder) == 3


class Busy(Disk):
    """Somebody else has just claimed the lane, too, and writes."""

    def create(self, path: Path) -> int:
        if path.parent.name == "claims":
            (path.parents[1] / ".000001.jsonl.zst.ab").touch()
        return super().create(path)

    def rename(self, old: Path, new: Path) -> None:
        (new.parent / "claims" / "000009-000001").touch()
        old.unlink()
        super().rename(old, new)


def test_who_claims_a_lane_clears_away_what_others_left_and_not_what_they_write_now(folder: Path) -> None:
    Lane.claim(folder, "r", disk=Busy())
    assert list(folder.glob(".*"))
    Lane.claim(folder, "r")
    assert not list(folder.glob(".*"))


def test_an_owner_whose_file_a_newer_one_cleared_away_is_fenced_and_not_refused(folder: Path) -> None:
    write(folder)
    with pytest.raises(FencedError, match="epoch 9-1 has taken over from epoch 1-2"):
        Lane.claim(folder, "r", disk=Busy())


def decisions() -> Iterator[Decision]:
    tally = Tally((Votes('"a"', (0, 2, 3)), Votes('"b"', (4,))), (Flags("malformed", (1,)),))
    yield Decision("s0", 3, "0123456789abcdef", {"x": [1, 2.5, None, "\ud800"]}, tally)
    yield Decision("s0", 4, "0123456789abcdef", "a", Tally((), ()))


def test_decisions_survive_the_journal(folder: Path) -> None:
    write(folder, [records.from_decision(decision) for decision in decisions()])
    assert [records.to_decision(record) for record in history.read(folder)] == list(decisions())


@given(
    text=TEXT,
    temperature=st.none() | st.floats(0, 2),
    echo=st.none() | TEXT,
    logprob=st.none() | st.floats(-9, 0),
)
def test_samples_survive_their_line(
    text: str, temperature: float | None, echo: str | None, logprob: float | None
) -> None:
    sample = Sample(Seat(3, "m", temperature, 9, 1), text, "stop", 5, 7, 0.125, echo, None, logprob)
    line = json.dumps(records.from_sample("s0", 8, "ff", sample))
    assert line.isascii()
    assert records.to_sample(json.loads(line)) == records.SampleRecord("s0", 8, "ff", sample)


def test_a_record_with_a_wrong_field_is_damage() -> None:
    record = records.from_decision(next(decisions())) | {"step": "3"}
    with pytest.raises(JournalDamagedError, match="format 1"):
        records.to_decision(record)


def test_a_park_is_an_event_with_its_tally() -> None:
    record = records.from_parked(Parked("s0", 1, "ff", "undecided", Tally((Votes('"a"', (0,)),), ())))
    assert (record["event"], record["votes"]) == ("park", [{"key": '"a"', "draws": [0]}])
