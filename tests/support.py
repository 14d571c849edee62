"""What several tests need: small tasks, a panel, samples, and a driver that draws one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maker import chunks
from maker.chain import Chain, Commit, Finish, Found, Park, Wish
from maker.nouns import Json, Message, Prompt, RedFlag, Sample, Seat, Segment, Step
from maker.panel import Member, Panel
from maker.records import Record
from maker.task import Task
from maker.voter import Voter
from maker.voters import AheadByK, Truncated
from maker.voting import Draw

Decided = list[tuple[str, int, Json]]
ROOT = Path(__file__).resolve().parents[1]


class Death(KeyboardInterrupt):
    """What kills a process, as far as code in it can tell."""


class Spell:
    """A chain of `length` steps whose answers are words; a state is the last three of them."""

    def __init__(self, length: int = 1, segments: int = 1) -> None:
        self.length, self.count = length, segments

    def segments(self) -> Iterable[Segment]:
        return [Segment(f"s{number}", []) for number in range(self.count)]

    def prompt(self, step: Step) -> Prompt | None:
        return None if step.index == self.length else Prompt((Message("user", "a word"),))

    def parse(self, step: Step, text: str) -> Json:
        if text == "?":
            raise RedFlag("malformed")
        if text == "die":
            raise Death
        if text == "boom":
            raise ValueError("the parser is broken \x1b[31m")
        return text

    def advance(self, step: Step, answer: Json) -> Json:
        if answer == "crash":
            raise KeyError(answer)
        return [*step.state[-2:], answer]

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return dict(finals)


def task(length: int = 1, segments: int = 1) -> Task:
    return Task(Spell(length, segments), "spell")


def panel(voter: Voter | None = None, cap: int = 100, members: Iterable[str] = ("m",)) -> Panel:
    names = tuple(Member(name, (0.0, 0.1)) for name in members)
    return Panel(voter or AheadByK(3), names, Truncated(), cap, seed=7)


def sample(seat: Seat | int, text: str, finish: str = "stop") -> Sample:
    seat = Seat(seat, "m", None, 0) if isinstance(seat, int) else seat
    return Sample(seat, text, finish, 1, 1, 0.0)


def of_head(chain: Chain, samples: Sequence[Sample]) -> Found:
    """Samples of a chain's head as they are read back."""
    return {chain.step.index: {chain.state: samples}}


def draws(wishes: Iterable[Wish]) -> list[Seat]:
    return [seat for wish in wishes if isinstance(wish, Draw) for seat in wish.seats]


def drive(chain: Chain, say: Callable[[Step, Seat], str]) -> list[Wish]:
    """Fill every seat in the order in which it was wished; all wishes but draws."""
    wishes, out = chain.start(), []
    waiting: list[tuple[Draw, Seat]] = []
    while True:
        for wish in wishes:
            match wish:
                case Draw():
                    waiting += [(wish, seat) for seat in wish.seats]
                case Commit():
                    out.append(wish)
                case Park() | Finish():
                    return [*out, wish]
        draw, seat = waiting.pop(0)
        wishes = chain.receive(sample(seat, say(draw.step, seat)), place=(draw.step.index, draw.state))


def walk(task: Any) -> tuple[Decided, dict[str, Json]]:
    """Every step of a decomposer answered with its truth: (decided, final states), as in a journal."""
    decided: Decided = []
    finals: dict[str, Json] = {}
    through = Task(task, type(task).__name__)
    for segment in sorted(through.segments(), key=lambda segment: segment.id):
        step = Step(segment.id, 0, segment.state)
        while through.prompt(step):
            _, answer = through.read(step, task.truth(step))
            decided.append((segment.id, step.index, answer))
            step, _ = through.advance(step, answer)
        finals[segment.id] = step.state
    return decided, finals


def lines_of(chunk: Path) -> list[Record]:
    """A chunk's header and records."""
    return [chunks.decode(chunk, *each) for each in chunks.lines(chunk)]


def forge(chunk: Path, content: Iterable[Record]) -> None:
    """Write an open chunk anew, with checksums that fit."""
    crc, forged = 0, b""
    for record in content:
        line, crc = chunks.encode(record, crc)
        forged += line
    chunk.write_bytes(forged)
