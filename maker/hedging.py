"""A draw that is long without a reply is sent once more, for the same seats: the first reply is the sample.

The copy has the draw index of the first try, so ballots, tallies and the number of samples are those of a run
without hedging. It sends no third try, decides nothing and writes nothing. Invariant: each seat gives one
sample; a draw fails when both tries have; seats that were paid twice are told together with the last sample,
or when the race is given up.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from maker import records
from maker.model import Model, Request, unsound
from maker.nouns import Sample, Seat, Step
from maker.throttle import NoSpareError

MEMORY, ENOUGH = 200, 20
"""Draws of a model that are remembered, and without which nothing is known of it."""
LATE = 0.95
"""Share of draws that are quicker than one that is sent again."""
PAUSE = 0.1
"""Seconds until a copy that had no leave asks for it again."""


@dataclass(frozen=True, slots=True)
class Twice:
    """Seats that were asked for twice, so that one reply to each came to nothing."""

    seats: tuple[Seat, ...]
    tokens_in: int
    """Taken to be those of the replies that came, as the next: nobody says what the others had."""
    tokens_out: int

    def record(self, step: Step, state: str) -> records.Record:
        """For the journal: what of a step's draws is paid and in no sample."""
        where = {"segment": step.segment, "step": step.index, "state": state, "model": self.seats[0].model}
        draws = [seat.draw for seat in self.seats]
        return records.event(
            "hedge", **where, draws=draws, tokens_in=self.tokens_in, tokens_out=self.tokens_out
        )


class Hedge:
    """How long a draw is waited for; `after` in seconds, None finds it for each model."""

    def __init__(self, after: float | None) -> None:
        self._after = after
        self._took: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MEMORY))

    def note(self, model: str, seconds: float) -> None:
        """A draw's reply came so long after its first try began."""
        if self._after is None:
            self._took[model].append(seconds)

    def patience(self, model: str) -> float | None:
        """Seconds, or None where it cannot be said."""
        if self._after is not None:
            return self._after
        took = sorted(self._took[model])
        return took[int(LATE * len(took))] if len(took) >= ENOUGH else None


class Race:
    """One draw and, if it comes to that, its copy."""

    def __init__(
        self,
        hedge: Hedge,
        model: Model,
        request: Request,
        copy: Callable[[tuple[Seat, ...]], Request | None],
        drop: Callable[[tuple[Seat, ...]], None],
        put: Callable[[Sample], None],
        tell: Callable[[Twice], None],
    ) -> None:
        """copy: leave to ask for these seats once more, or None; drop: that failed. put: takes each seat's
        first reply; tell: called with the last of them, or if cancelled, where both tries were under way."""
        self._hedge, self._model, self._request = hedge, model, request
        self._copy, self._drop, self._put, self._tell = copy, drop, put, tell
        self.missing = {seat.draw: seat for seat in request.seats}
        self._again: tuple[Seat, ...] = ()
        """Seats of the copy, once it is sent."""
        self._replies: list[Sample] = []
        self._began = self._not_before = _now()
        self._error: BaseException | None = None
        """Of the first try."""
        self._copying = False
        """The copy is under way."""

    async def run(self) -> None:
        """Until every seat has its sample, or no try is left; raises what the first one did."""
        tries = {asyncio.create_task(self._first_try())}
        try:
            while self.missing and tries:
                done, tries = await asyncio.wait(
                    tries, timeout=self._wait(), return_when=asyncio.FIRST_COMPLETED
                )
                if not done and (asked := self._asked_again()):
                    tries.add(asyncio.create_task(self._second_try(asked)))
        except asyncio.CancelledError:
            if self.missing:
                self._settle()
            raise
        finally:
            for each in tries:
                each.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        if self.missing and self._error:
            raise self._error

    def _wait(self) -> float | None:
        """Seconds until the copy is due; None where it is not."""
        patience = None if self._again else self._hedge.patience(self._request.seats[0].model)
        if patience is None:
            return None
        return max(0.0, max(self._began + patience, self._not_before) - _now())

    def _asked_again(self) -> Request | None:
        """The copy, if it has leave; else it is due somewhat later."""
        asked = self._copy(tuple(self.missing.values())) if self.missing else None
        if asked is None:
            self._not_before = _now() + PAUSE
        else:
            self._again = asked.seats
        return asked

    async def _first_try(self) -> None:
        try:
            async for sample in self._model.draw(self._request):
                self._take(sample)
        except BaseException as error:
            self._error = error

    async def _second_try(self, asked: Request) -> None:
        if not self.missing:  # the last reply came while this was about to begin
            return
        self._copying = True
        try:
            async for sample in self._model.draw(asked):
                self._take(sample)
        except BaseException as error:
            if not self.missing:  # it has lost
                return
            self._drop(asked.seats)
            self._copying = False
            if isinstance(error, NoSpareError):  # others were quicker to take what was free
                self._again, self._not_before = (), _now() + PAUSE

    def _take(self, sample: Sample) -> None:
        if reason := unsound(sample):
            raise TypeError(reason)
        if self.missing.pop(sample.seat.draw, None) is None:
            return
        self._replies.append(sample)
        self._hedge.note(sample.seat.model, _now() - self._began)
        self._put(sample)
        if not self.missing:
            self._settle()

    def _settle(self) -> None:
        """Seats of the copy that have a reply were paid twice, if both tries were under way."""
        both = [each for each in self._replies if each.seat in self._again]
        seats = tuple(each.seat for each in both)
        if seats and self._copying and not self._error:
            tokens = sum(each.tokens_in for each in both), sum(each.tokens_out for each in both)
            self._tell(Twice(seats, *tokens))
        elif seats:
            self._drop(seats)


def _now() -> float:
    return asyncio.get_running_loop().time()
