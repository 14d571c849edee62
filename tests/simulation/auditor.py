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
    depth: int
    k: int
    error: float
    flags: float
    durability: str
    window: int
    """Steps of a segment that its commands may have asked at a time, at most."""
    ladder: bool = False
    """Other words, then another model, where a step is in trouble."""
    hedge: str | None = None
    """After which time a draw may be sent once more."""


def audit(run: Path, asked: Asked, log: Log) -> Iterator[str]:
    """A sentence for each promise that was broken."""
    yield from log.wrong
    lines = []
    for lane in sorted((run / "lanes").iterdir()):
        try:
            lines += lane_lines(lane)
        except (AssertionError, ValueError, KeyError, IndexError, zstandard.ZstdError) as error:
            yield f"lane {lane.name} cannot be read: {type(error).__name__} {error}"
    yield from _decisions(lines, asked)
    yield from _samples(lines, log)
    yield from _copies(lines, log)
    yield from _result(run, asked, lines)
    yield from _calls(asked, log)


def spent(run: Path) -> int:
    """How many calls count at this moment: a sample is one, a draw that was sent twice one more."""
    lanes = sorted((run / "lanes").iterdir()) if (run / "lanes").exists() else []
    lines = [line for lane in lanes for line in lane_lines(lane)]
    return sum(line["kind"] == "sample" for line in lines) + len(_hedged(lines))


def _hedged(lines: list[Line]) -> list[tuple[str, int, str, int]]:
    """Each draw that the journal calls sent twice."""
    told = [line for line in lines if line.get("event") == "hedge"]
    return [(line["segment"], line["step"], line["state"], draw) for line in told for draw in line["draws"]]


# -- what the files hold ---------------------------------------------------------------------------


def lane_lines(lane: Path) -> list[Line]:
    """The lines that count, in order."""
    forms = sorted(lane.glob("[0-9]*.jsonl"), key=_length) + sorted(lane.glob("[0-9]*.zst"), key=_length)
    chunks = {int(path.name[:6]): path for path in forms}
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


def _length(path: Path) -> int:
    return int(path.name.split(".")[1]) if path.suffix == ".zst" else 0


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


def undisturbed(asked: Asked) -> dict[str, tuple[list[Line], int]]:
    """Each step's decision and the final state, of every segment."""
    found: dict[str, tuple[list[Line], int]] = {}
    for number in range(asked.count):
        _walk(asked, f"s{number}", number, found)
    return found


def _walk(asked: Asked, segment: str, state: int, found: dict[str, tuple[list[Line], int]]) -> int:
    """Algorithms 1-3 of the paper, one draw after another; the final state of a segment."""
    decisions = []
    depth = segment.count("/")
    length = asked.length // 2**depth
    for step in range(length):
        votes: defaultdict[int, list[int]] = defaultdict(list)
        flagged: list[int] = []
        heard: list[str] = []
        rungs = flags = draw = 0
        while True:
            if asked.ladder and draw and draw % asked.k == 0:
                rungs, flags = _climbed(heard, asked.k, rungs, flags)
            shares = (asked.error, asked.flags, RUNGS[min(rungs, 2)])
            said = answer(asked.seed, segment, step, state, draw, *shares).split()[0]
            heard.append(said)
            (flagged if said == "?" else votes[int(said)]).append(draw)
            draw += 1
            ranked = sorted(map(len, votes.values()), reverse=True)
            if ranked and ranked[0] - (ranked[1] if len(ranked) > 1 else 0) >= asked.k:
                break
        winner = max(votes, key=lambda each: len(votes[each]))
        decisions.append({"answer": winner, "votes": dict(votes), "flags": flagged, "children": 0})
        state = (state * 7 + winner + 1) % 10007
        if step == length // 2 and length > 1 and depth < asked.depth:
            decisions[-1]["children"] = 2
            ends = [_walk(asked, f"{segment}/{step}.{child}", state + child + 1, found) for child in (0, 1)]
            state = (state + 3 * ends[0] + 5 * ends[1]) % 10007
    found[segment] = decisions, state
    return state


RUNGS = (("endpoint", 0), ("endpoint", 1), ("other", 1))
"""Which model is asked in which words, a rung up at a time."""


def _climbed(heard: list[str], k: int, rungs: int, flags: int) -> tuple[int, int]:
    """Rungs, and flags since the last one, after one more round of k draws."""
    before, now = heard[:-k], heard[-k:]
    flags += now.count("?")
    led = Counter(said for said in before if said != "?").most_common(1)
    answers = {said for said, _ in led} | {said for said in now if said != "?"}
    return (rungs + 1, 0) if flags >= 2 or len(answers) > 1 else (rungs, flags)


def _decisions(lines: list[Line], asked: Asked) -> Iterator[str]:
    found = defaultdict(list)
    for line in lines:
        if line["kind"] == "decision":
            found[line["segment"]].append(line)
    expected = undisturbed(asked)
    if more := found.keys() - expected.keys():
        yield f"there are decisions of {sorted(more)}, which no undisturbed run has"
    for segment, (wanted, _) in expected.items():
        decided = found[segment]
        indices = [line["step"] for line in decided]
        if indices != list(range(len(wanted))):
            yield f"{segment} has the decisions {indices}, expected 0 to {len(wanted) - 1} once each"
            continue
        for step, (line, want) in enumerate(zip(decided, wanted, strict=True)):
            votes = {int(each["key"]): each["draws"] for each in line["votes"]}
            flags = [draw for each in line["flags"] for draw in each["draws"]]
            seen = {"answer": line["answer"], "votes": votes, "flags": flags}
            if {**seen, "children": line.get("children", 0)} != want:
                yield f"{segment}:{step} was decided {line['answer']} by {votes}, {flags}, expected {want}"


def _samples(lines: list[Line], log: Log) -> Iterator[str]:
    """Each vote has one sample, written before it, and the endpoint said just that."""
    seen: Counter[tuple[str, int, str, int]] = Counter()
    for line in lines:
        if line["kind"] == "sample":
            seat = (line["segment"], line["step"], line["state"], line["draw"])
            seen[seat] += 1
            if log.texts.get(seat) != line["text"]:
                yield f"{seat} holds {line['text']!r}, the endpoint said {log.texts.get(seat)!r}"
            if seen[seat] > 1:
                yield f"{seat} is in the journal twice"
        elif line["kind"] == "decision":
            draws = [draw for each in (*line["votes"], *line["flags"]) for draw in each["draws"]]
            for draw in draws:
                if not seen[line["segment"], line["step"], line["state"], draw]:
                    yield f"{line['segment']}:{line['step']} counts draw {draw}, which was not written before"


def _copies(lines: list[Line], log: Log) -> Iterator[str]:
    """What was sent twice is told, but for what its process did not live to write, and for draws that were
    dropped with both tries under way: nothing is told of those."""
    told = Counter(_hedged(lines))
    came = {(e["segment"], e["step"], e["state"], e["draw"]) for e in lines if e["kind"] == "sample"}
    sent = Counter(tuple(seat) for (_, *seat), tries in log.tries.items() if tries > 1)
    if more := told - sent:
        yield f"{min(more)} is told as sent twice, and was not"
    for (process, *seat), tries in log.tries.items():
        if tries > 1 and process.startswith("calm") and tuple(seat) in came and tuple(seat) not in told:
            yield f"{process} sent {seat} twice and did not write that down"


def _result(run: Path, asked: Asked, lines: list[Line]) -> Iterator[str]:
    result = json.loads((run / "result.json").read_text())
    expected = undisturbed(asked)
    finals = {segment: state for segment, (_, state) in expected.items() if "/" not in segment}
    decisions = [decision for decided, _ in expected.values() for decision in decided]
    votes = sum(len(draws) for each in decisions for draws in each["votes"].values())
    flagged = sum(len(each["flags"]) for each in decisions)
    samples = sum(line["kind"] == "sample" for line in lines)
    if asked.window == 1 and samples != votes + flagged:
        yield f"there are {samples} samples, of which {votes + flagged} counted"
    if (result["status"], result["result"]) != ("done", finals):
        yield f"the result is {result['status']} {result['result']}, expected done {finals}"
    counted = (result["steps"], result["votes"], result["flagged"], result["samples"])
    if counted != (len(decisions), votes, flagged, samples):
        yield f"the result counts {counted} (steps, votes, flags, samples), not {votes}, {flagged}, {samples}"


# -- what was paid for -----------------------------------------------------------------------------


def _calls(asked: Asked, log: Log) -> Iterator[str]:
    """Nothing is drawn that is written already, nothing after it was told as ended, little is wasted."""
    owners = _Owners(log)
    yield from _twice(asked, log)
    yield from _redrawn(owners, log)
    yield from _went_back(owners, asked, log)
    yield from _after_the_end(owners, log)
    yield from _overstayed(owners, log)
    yield from _wasted(asked, log)


class _Owners:
    """Which lane each worker's process owned, and until when."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._owned = {process: (at, lane, epoch) for at, process, lane, epoch in log.claims}

    def since(self, process: str) -> float:
        return self._owned[process][0]

    def holds(self, process: str, when: float) -> bool:
        """Whether no newer owner had claimed its lane by then."""
        _, lane, epoch = self._owned[process]
        newer = (at for at, _, there, other in self._log.claims if there == lane and other > epoch)
        return all(at > when for at in newer)


def _twice(asked: Asked, log: Log) -> Iterator[str]:
    for (process, *seat), count in log.tries.items():
        if count > 1 + (asked.hedge is not None):
            yield f"{process} drew {seat} {count} times"


def _redrawn(owners: _Owners, log: Log) -> Iterator[str]:
    """What a new owner finds in the journal it does not draw, unless an outage has taken it back."""
    kept = {tuple(seat): at for at, process, *seat in log.written if owners.holds(process, at)}
    for when, process, *seat in log.calls:
        at = kept.get(tuple(seat), when)
        forgotten = any(at <= out <= when for out in log.outages)
        if at < owners.since(process) and owners.holds(process, when) and not forgotten:
            yield f"{process} drew {seat} at {when:.2f}, which was in the journal since {at:.2f}"


def _went_back(owners: _Owners, asked: Asked, log: Log) -> Iterator[str]:
    """A step that was decided is not asked again; when one is asked, all a window before it were decided;
    `group` may forget it in an outage."""
    reached: dict[str, tuple[int, float]] = {}
    for when, process, segment, step, *_ in log.calls:
        if not owners.holds(process, when):
            continue
        furthest, then = reached.get(segment, (0, when))
        if asked.durability == "group" and any(then <= out <= when for out in log.outages):
            furthest = 0
        if step <= furthest - asked.window:
            yield f"{process} went back to {segment}:{step} at {when:.2f}, after {furthest} at {then:.2f}"
        if step >= furthest:
            reached[segment] = (step, when)


def _after_the_end(owners: _Owners, log: Log) -> Iterator[str]:
    told = {segment: when for when, process, segment, _ in log.told if owners.holds(process, when)}
    for when, process, segment, step, *_ in log.calls:
        if told.get(segment, when) < when and owners.holds(process, when):
            yield f"{process} asked {segment}:{step} at {when:.2f}, which was told as ended"


def _overstayed(owners: _Owners, log: Log) -> Iterator[str]:
    """An overtaken owner notices within the second between two syncs, if it is awake."""
    for when, process, *seat in log.calls:
        lately = any(0 <= when - woken < 1.5 for woken in log.woken[process])
        if not owners.holds(process, when - 1.5) and not lately:
            yield f"{process} drew {seat} at {when:.2f}, long after it was overtaken"


def _wasted(asked: Asked, log: Log) -> Iterator[str]:
    """A process loses at most the calls that it had in flight, k for each step that a segment may ask."""
    most = asked.k * asked.window * len(undisturbed(asked))
    requested = Counter(process for process, *_ in log.tries)
    written = Counter(process for _, process, *_ in log.written)
    for process, calls in requested.items():
        if calls - written[process] > most:
            yield f"{process} lost {calls - written[process]} calls, {most} can be in flight"
