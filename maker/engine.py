"""Does what chains wish: draws from models, writes the journal, one event loop for many segments.

It decides nothing. The order it keeps: a raw response is written before the chain reads it, a decision
before anything that is built on it. Invariant: what is in the journal is enough to rebuild every chain,
and no sample that was paid for is dropped while the process lives.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

from maker import records
from maker.amendment import Amendment
from maker.chain import Chain, Commit, Finish, Park, Place, Wait, Wish
from maker.drawing import Came, Drawing, Means
from maker.errors import BlockedError
from maker.guard import explained
from maker.journal import Journal, Page
from maker.latency import Histogram
from maker.ledger import Ledger
from maker.model import Model
from maker.nouns import Decision, Json, Parked, Prompt, Sample, Tally
from maker.repeats import Repeats
from maker.voting import Draw
from maker.window import Window

Ended: TypeAlias = Finish | Park | Wait


@dataclass(slots=True)
class Engine:
    """What the segments of one lane share."""

    models: Mapping[str, Model]
    """The run's own, by the name that seats carry."""
    journal: Journal
    ledger: Ledger = field(default_factory=Ledger)
    faults: Counter[str] = field(default_factory=Counter)
    """Transport faults not yet written, by slug."""
    drifts: dict[str, records.Record] = field(default_factory=dict)
    """By a model's name: how it last drifted, not yet reported."""
    repeats: Repeats = field(default_factory=Repeats)
    """Whether what models say was drawn at all."""
    repeated: list[records.Record] = field(default_factory=list)
    """What it has found, not yet reported."""
    latencies: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    """Of samples not yet reported, by their model's name."""
    means: Means = field(default_factory=Means)
    """With which draws are made."""
    adapts: bool = False
    """Each chain's window follows what happens."""
    unfinished: dict[str, Drive] = field(default_factory=dict)
    """Segments for the next page: those under way, and parked ones."""

    async def run(self, chain: Chain, pending: list[Wish], samples: Iterable[records.Record] = ()) -> Ended:
        """Drive one chain from its pending wishes to its end; `samples` are those of its head and behind it.

        Raises BlockedError when a model cannot draw; what was under way is written first.
        """
        return await self.begin(chain, pending, samples).run()

    def begin(
        self,
        chain: Chain,
        pending: list[Wish],
        samples: Iterable[records.Record] = (),
        park: records.Record | None = None,
        amendment: Amendment | None = None,
        models: Mapping[str, Model] | None = None,
    ) -> Drive:
        """The same in two steps: what is pending is done at once, the rest when the drive is run.

        `park`: why the head has waited, as written; `amendment`: of the head, with its `models` by name.
        """
        own = self.models if models is None else models
        drive = Drive(self, chain, list(samples), park, amendment, own)
        self.unfinished[chain.step.segment] = drive
        drive.ended = drive.do(pending)
        return drive

    def keep(
        self,
        chain: Chain,
        samples: list[records.Record],
        park: records.Record | None,
        amendment: Amendment | None = None,
    ) -> Drive:
        """A segment that waits belongs on every page until it goes on."""
        drive = Drive(self, chain, list(samples), park, amendment)
        self.unfinished[chain.step.segment] = drive
        return drive

    def join(self, segment: str, finals: Sequence[Json]) -> Drive:
        """Go on with a segment whose children have ended in these states, in their order."""
        drive = self.unfinished[segment]
        drive.ended = drive.join(finals)
        return drive

    @property
    def crowded(self) -> bool:
        """Requests wait for permits."""
        return self.means.throttles is not None and self.means.throttles.waiting

    def write(self, *lines: records.Record) -> None:
        self.journal.append(*lines)
        for record in lines:
            self.ledger.fold(record)

    def write_samples(self, samples: list[records.Record]) -> None:
        """At once; before one whose model is not what it was, say so."""
        for record in samples:
            self.latencies[record["model"]].note(record["latency"])
        if all(map(self.ledger.expects, samples)):
            self.write(*samples)
        else:
            self._write_with_drifts(samples)
        if repeats := [found for record in samples if (found := self.repeats.note(record))]:
            self.write(*repeats)
            self.repeated += repeats

    def _write_with_drifts(self, samples: list[records.Record]) -> None:
        for record in samples:
            if drift := self.ledger.drift(record):
                self.write(drift)
                self.drifts[record["model"]] = drift
            self.write(record)

    def turn_if_full(self) -> None:
        """Begin a new page, at a moment when every chain's wishes have been written."""
        if self.journal.full:
            self.journal.turn(self.page())

    def page(self) -> Page:
        """The next page, at such a moment."""
        return self.ledger.page(self.going())

    def going(self) -> list[dict[str, Json]]:
        return [drive.snapshot() for drive in self.unfinished.values()]

    def write_faults(self) -> None:
        """One event for the faults since the last one, if any."""
        if self.faults:
            self.write(records.event("faults", counts=dict(self.faults)))
            self.faults.clear()


@dataclass(slots=True)
class Drive:
    """One chain under way."""

    engine: Engine
    chain: Chain
    samples: list[records.Record]
    """Of the head and of steps behind it, as written."""
    park: records.Record | None = None
    """Why it waits, as written."""
    amendment: Amendment | None = None
    """Of the head."""
    models: Mapping[str, Model] = field(default_factory=dict)
    """Who draws at the head, by the name that seats carry."""
    ended: Ended | None = None
    window: Window = field(default_factory=Window)
    """Where it follows what happens."""
    refused: dict[Place, BlockedError] = field(default_factory=dict)
    """Draws on a guess that a model cannot make: that blocks the run if the guess comes true."""
    drawing: Drawing = field(init=False)

    def __post_init__(self) -> None:
        segment = self.chain.step.segment
        self.drawing = Drawing(self.engine.means, segment, self.chain.needs, self._count_fault)

    async def run(self) -> Ended:
        try:
            self.engine.turn_if_full()
            while self.ended is None:
                await self.drawing.came.wait()
                self.ended = self._take_in()
                self.engine.turn_if_full()
            return self.ended
        except BlockedError:
            self.drawing.begin_no_more()
            await self._drain()
            raise
        finally:
            self.drawing.begin_no_more()
            await self._cancel()
            self.drawing.forget()

    def _take_in(self) -> Ended | None:
        """All that has come in: written first, then read one after the other."""
        step, surplus, came = self.chain.step.index, self.chain.surplus, self._written()
        for _, each in groupby(came, lambda each: id(each[0])):
            if ended := self._receive(*each):
                return ended
        if refused := self.refused.get((self.chain.step.index, self.chain.state)):
            raise refused
        if self.engine.adapts:
            decided, wasted = self.chain.step.index - step, self.chain.surplus - surplus
            latencies = [event.latency for _, event in came if isinstance(event, Sample)]
            self.window.follow(decided, latencies, wasted, self.engine.crowded)
            self.chain.widen(self.window.size)
        return None

    def do(self, wishes: list[Wish]) -> Ended | None:
        for wish in wishes:
            match wish:
                case Draw():
                    self._draw(wish)
                case Commit(decision, prompt, variants):
                    if _doubtful(decision.tally):
                        self._write_prompt(decision, prompt, variants)
                    self.engine.write(records.from_decision(decision))
                    self.samples = [each for each in self.samples if each["step"] > decision.index]
                    self.amendment, self.models = None, self.engine.models
                case Park(parked, prompt, variants):
                    self._park(parked, prompt, variants)
                    return wish
                case Wait():
                    return wish
                case Finish(segment, state, steps):
                    self.engine.write(records.event("finish", segment=segment, steps=steps, state=state))
                    del self.engine.unfinished[segment]
                    return wish
        return None

    def join(self, finals: Sequence[Json]) -> Ended | None:
        wishes = self.chain.join(finals)
        if not self.chain.children:
            step, self.park = self.chain.step, None
            self.engine.write(records.from_join(step.segment, step.index, finals))
        return self.do(wishes)

    def _park(self, parked: Parked, prompt: Prompt | None, variants: Mapping[int, Prompt]) -> None:
        """Not a second time for the same reason."""
        park = records.from_parked(parked)
        if park != self.park:
            self._write_prompt(parked, prompt, variants)
            self.engine.write(park)
        self.park = park

    def _receive(self, *came: Came) -> Ended | None:
        """What one draw has come to: samples, and an error at last, if there was one."""
        draw, last = came[-1]
        place = (draw.step.index, draw.state)
        awaited = self.chain.awaits(place)
        samples = [event for _, event in came if isinstance(event, Sample)]
        ended = self.do(self.chain.receive(*samples, place=place)) if samples else None
        if ended or isinstance(last, Sample):
            return ended
        if isinstance(last, KeyboardInterrupt) or (isinstance(last, BlockedError) and awaited):
            raise last
        if isinstance(last, BlockedError):
            self.refused[place] = last
        else:
            reason = explained("the model", draw.step, last, self.engine.models[draw.model].draw)
            ended = self.do(self.chain.fail(reason, place))
        if ended is None:
            self.drawing.give_back(draw)
        return ended

    def _written(self) -> list[Came]:
        """What is in the inbox, its samples in the journal."""
        came, twice = self.drawing.take()
        samples = [(draw, event) for draw, event in came if isinstance(event, Sample)]
        lines = [records.from_sample(d.step.segment, d.step.index, d.state, s) for d, s in samples]
        if lines:
            self.engine.write_samples(lines)
        self.samples += [each for each in lines if each["step"] >= self.chain.step.index]
        for draw, each in twice:
            self.engine.write(each.record(draw.step, draw.state))
        self.drawing.settle(came, twice)
        return came

    def _write_prompt(
        self, end: Decision | Parked, prompt: Prompt | None, variants: Mapping[int, Prompt]
    ) -> None:
        """For whoever looks into a step, or trains on it: what was asked."""
        if prompt is not None:
            self.engine.write(records.from_prompt(end.segment, end.index, end.state, prompt, variants))

    def snapshot(self) -> dict[str, Json]:
        amend = self.amendment.record() if self.amendment else None
        return records.head(self.chain.step, self.samples, self.park, amend, self.chain.children)

    def _draw(self, wish: Draw) -> None:
        of_head = wish.step.index == self.chain.step.index
        self.drawing.draw(wish, (self.models if of_head else self.engine.models)[wish.model])

    def _count_fault(self, fault: str) -> None:
        self.engine.faults[fault] += 1

    async def _drain(self) -> None:
        """Wait for what is under way and write what comes of it."""
        await self.drawing.drain()
        self._written()

    async def _cancel(self) -> None:
        """End what is under way; what has come in is written, at once too as a model may be slow to end."""
        ended = self.drawing.cancel()
        self._written()
        await ended
        self._written()


def _doubtful(tally: Tally) -> bool:
    """Votes for several answers, or a red flag."""
    return bool(tally.flags) or len(tally.votes) > 1
