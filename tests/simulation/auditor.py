"""Judges a run from its files, the endpoint's log and what was seen of disk and network from outside.

It imports nothing of Maker: it reads lanes backwards, from the newest owner's newest chunk along the links
in the headers, and works out by the paper's serial algorithm what must have been decided.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from tests.simulation.endpoint import answer
from tests.simulation.world import Log

Line = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What the run was asked to do."""

    seed: int
    length: int
    count: int
    k: int
    error: float
    flags: float
    durability: str


def audit(run: Path, asked: Asked, log: Log) -> Iterator[str]:
    """A sentence for each promise that was broken."""
    yield from log.wrong
    lines = []
    for lane in sorted((run / "lanes").iterdir()):
        try:
            lines += _lane(lane)
        except (AssertionError, ValueError, KeyError, IndexError, zstandard.ZstdError) as error:
            yield f"lane {lane.name} cannot be read: {type(error).__name__} {error}"
    yield from _decisions(lines, asked)
    yield from _samples(lines, asked, log)
    yield from _result(run, asked)
    yield from _calls(asked, log)


# -- what the files hold ---------------------------------------------------------------------------


def _lane(lane: Path) -> list[Line]:
    """The lines that count, in order."""
    chunks = {int(path.name[:6]): path for path in sorted(lane.glob("[0-9]*.jsonl*"))}
    read = {number: _chunk(path) for number, path in chunks.items()}
    begun = {number: lines for number, (lines, _) in read.items() if lines}
    if not begun:
        return []
    number = max(begun, key=lambda each: (begun[each][0]["epoch"], each))
    taken, end, digest = [], None, None
    while number:
        lines, data = read[number]
        if end is not None:
            assert len(data) >= end, f"chunk {number} has {len(data)} bytes, {end} were counted"
            assert hashlib.sha256(data[:end]).hexdigest() == digest, f"chunk {number} has another digest"
        taken += [lines[1:] if end is None else [line for line in lines[1:] if line["end"] <= end]]
        before = lines[0]["before"]
        number, end, digest = before.get("chunk", 0), before.get("bytes"), before.get("sha256")
    return [line for lines in reversed(taken) for line in lines]


def _chunk(path: Path) -> tuple[list[Line], bytes]:
    """Whole lines with their ends, checked; and the bytes."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    crc, end, lines = 0, 0, []
    for raw in data.splitlines(keepends=True):
        if not raw.endswith(b"\n"):
            break
        end += len(raw)
        at = raw.rindex(b',"crc":')
        crc = zlib.crc32(raw[:at], crc)
        assert int(raw[at + 7 : -2]) == crc, f"{path.name}: checksum before byte {end}"
        lines.append({**json.loads(raw), "end": end})
    return lines, data


# -- what must have been decided -------------------------------------------------------------------


def undisturbed(asked: Asked, segment: int) -> tuple[list[Line], int]:
    """Algorithms 1-3 of the paper, one draw after another; each step's decision, and the final state."""
    state, decisions = segment, []
    for step in range(asked.length):
        votes: defaultdict[int, list[int]] = defaultdict(list)
        flagged: list[int] = []
        draw = 0
        while True:
            said = answer(asked.seed, f"s{segment}", step, state, draw, asked.error, asked.flags).split()[0]
            (flagged if said == "?" else votes[int(said)]).append(draw)
            draw += 1
            ranked = sorted(map(len, votes.values()), reverse=True)
            if ranked and ranked[0] - (ranked[1] if len(ranked) > 1 else 0) >= asked.k:
                break
        winner = max(votes, key=lambda each: len(votes[each]))
        decisions.append({"answer": winner, "votes": dict(votes), "flags": flagged})
        state = (state * 7 + winner + 1) % 10007
    return decisions, state


def _decisions(lines: list[Line], asked: Asked) -> Iterator[str]:
    found = defaultdict(list)
    for line in lines:
        if line["kind"] == "decision":
            found[line["segment"]].append(line)
    for segment in range(asked.count):
        wanted, _ = undisturbed(asked, segment)
        decided = found[f"s{segment}"]
        indices = [line["step"] for line in decided]
        if indices != list(range(asked.length)):
            yield f"s{segment} has the decisions {indices}, expected 0 to {asked.length - 1} once each"
            continue
        for step, (line, want) in enumerate(zip(decided, wanted, strict=True)):
            votes = {int(each["key"]): each["draws"] for each in line["votes"]}
            flags = [draw for each in line["flags"] for draw in each["draws"]]
            if (line["answer"], votes, flags) != (want["answer"], want["votes"], want["flags"]):
                yield f"s{segment}:{step} was decided {line['answer']} by {votes}, {flags}, expected {want}"


def _samples(lines: list[Line], asked: Asked, log: Log) -> Iterator[str]:
    """Each vote has one sample, written before it, and the endpoint said just that."""
    seen: Counter[tuple[str, int, int]] = Counter()
    for line in lines:
        if line["kind"] == "sample":
            seat = (line["segment"], line["step"], line["draw"])
            seen[seat] += 1
            if log.texts.get(seat) != line["text"]:
                yield f"{seat} holds {line['text']!r}, the endpoint said {log.texts.get(seat)!r}"
            if seen[seat] > 1:
                yield f"{seat} is in the journal twice"
        elif line["kind"] == "decision":
            draws = [draw for each in (*line["votes"], *line["flags"]) for draw in each["draws"]]
            for draw in draws:
                if not seen[line["segment"], line["step"], draw]:
                    yield f"{line['segment']}:{line['step']} counts draw {draw}, which was not written before"


def _result(run: Path, asked: Asked) -> Iterator[str]:
    result = json.loads((run / "result.json").read_text())
    finals = {f"s{segment}": undisturbed(asked, segment)[1] for segment in range(asked.count)}
    samples = votes = flagged = 0
    for segment in range(asked.count):
        for each in undisturbed(asked, segment)[0]:
            votes += sum(map(len, each["votes"].values()))
            flagged += len(each["flags"])
    samples = votes + flagged
    if (result["status"], result["result"]) != ("done", finals):
        yield f"the result is {result['status']} {result['result']}, expected done {finals}"
    counted = (result["steps"], result["votes"], result["flagged"], result["samples"])
    if counted != (asked.length * asked.count, votes, flagged, samples):
        yield f"the result counts {counted} steps, votes, flags and samples, expected {votes} {flagged} {samples}"


# -- what was paid for -----------------------------------------------------------------------------


def _calls(asked: Asked, log: Log) -> Iterator[str]:
    """Nothing is drawn that is written already, nothing after it was told as ended, little is wasted."""
    owners = {process: (lane, epoch) for _, process, lane, epoch in log.claims}

    def overtaken(process: str, when: float) -> bool:
        lane, epoch = owners[process]
        return any(at <= when and there == lane and newer > epoch for at, _, there, newer in log.claims)

    written = {(process, *seat): at for at, process, *seat in log.written}
    kept: dict[tuple[Any, ...], float] = {}
    for at, process, *seat in log.written:
        if not overtaken(process, at):
            kept[tuple(seat)] = max(at, kept.get(tuple(seat), 0))
    told = {segment: when for when, process, segment, _ in reversed(log.told) if not overtaken(process, when)}
    requested: Counter[str] = Counter()
    asked_before: set[tuple[Any, ...]] = set()
    reached: dict[str, tuple[int, float]] = {}
    for when, process, *seat in log.calls:
        requested[process] += 1
        if (process, *seat) in asked_before:
            yield f"{process} drew {seat} twice"
        asked_before.add((process, *seat))
        if overtaken(process, when):
            continue
        at = kept.get(tuple(seat), when)
        claimed = min(at for at, by, _, _ in log.claims if by == process)
        outage = any(at <= out <= when for out in log.outages)
        if at < claimed and not outage:
            yield f"{process} drew {seat} at {when:.2f}, which was in the journal since {at:.2f}"
        furthest, then = reached.get(seat[0], (0, when))
        forgotten = asked.durability == "group" and any(then <= out <= when for out in log.outages)
        if seat[1] < furthest and not forgotten:
            yield f"{process} went back to {seat} at {when:.2f}, step {furthest} was asked at {then:.2f}"
        reached[seat[0]] = (seat[1], when)
        if told.get(seat[0], when) < when:
            yield f"{process} drew {seat} after its segment was told as ended"
    writes = Counter(process for process, *_ in written)
    for process, calls in requested.items():
        if calls - writes[process] > asked.k * asked.count:
            yield f"{process} lost {calls - writes[process]} calls, at most {asked.k * asked.count} were in flight"
