"""Which choice of a reply fills which seat, and what of the request's tokens is its share.

The first choice is the first seat's, whichever ends first. Invariant: a seat is filled once, and the
request's tokens are shared out whole, whatever was told before they were known.
"""

from __future__ import annotations

from collections.abc import Callable

from maker.nouns import Sample, Seat
from maker.workers.openai_chat.reply import Choice, Reply, of, shares
from maker.workers.openai_chat.streamed import Assembly


class Seating:
    """Of one request; `put` takes the samples."""

    def __init__(self, seats: tuple[Seat, ...], put: Callable[[Sample], None]) -> None:
        self.seats, self._put = seats, put
        self._early: dict[int, int] = {}
        """Tokens of the choices that were seated before the end."""

    def ended(self, parts: Assembly, latency: float) -> None:
        """A choice of a stream has ended. Its sample comes now; but one is left for the end, when the tokens
        of all are told."""
        found = of(parts.body(), None, latency) if parts.several else None
        if not isinstance(found, Reply):
            return
        for index, said in enumerate(found.choices):
            if said and index not in self._early and len(self._early) + 1 < len(self.seats):
                self._early[index] = parts.tokens(index)
                self._seat(index, said, found, 0, self._early[index], 0)

    def whole(self, reply: Reply, on_fault: Callable[[str], None]) -> tuple[Seat, ...]:
        """The rest of them; the seats that are still empty. A choice without an answer is a fault."""
        answers = list(enumerate(reply.choices[: len(self.seats)]))
        rest = [(index, said) for index, said in answers if said and index not in self._early]
        for _ in range(0 if reply.broke_off else reply.choices.count(None)):
            on_fault("broken-body")
        counted = max(0, reply.tokens_out - sum(self._early.values()))
        outs = shares(counted, [len(said.text) + 1 for _, said in rest]) if rest else []
        ins, cached = (
            shares(tokens, [1] * len(rest)) if rest else [] for tokens in (reply.tokens_in, reply.cached)
        )
        for (index, said), *tokens in zip(rest, ins, outs, cached, strict=True):
            self._seat(index, said, reply, *tokens)
        filled = self._early.keys() | {index for index, _ in rest}
        return tuple(seat for index, seat in enumerate(self.seats) if index not in filled)

    def _seat(
        self, index: int, said: Choice, reply: Reply, tokens_in: int, tokens_out: int, cached: int
    ) -> None:
        several = len(self.seats) > 1 and reply.request
        self._put(
            Sample(
                seat=self.seats[index],
                text=said.text,
                finish=said.finish,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                latency=reply.latency,
                model=reply.model,
                request=f"{reply.request}#{index}" if several else reply.request,
                logprob=said.logprob,
                system=reply.system,
                tokens_cached=cached,
            )
        )
