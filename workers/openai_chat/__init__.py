"""Samples from any OpenAI-compatible chat endpoint, through the openai package.

It parses no answer, casts no vote and writes nothing. Invariants: every seat gets exactly one
sample whatever the endpoint does with `n`; a fault of the network is retried and reported, never a
sample; the key is in no name and no message. Read next: `wire.py`, then `patience.py`.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, TypeAlias

from maker.errors import BlockedError, UsageError
from maker.model import Request
from maker.nouns import Json, Message, Prompt, Sample, Seat, Step
from maker.options import Seconds
from maker.workers.openai_chat import wire
from maker.workers.openai_chat.clients import Client, Through, open_client
from maker.workers.openai_chat.endpoint import Endpoint, endpoint
from maker.workers.openai_chat.patience import retried
from maker.workers.openai_chat.rejection import blocked, too_long
from maker.workers.openai_chat.reply import Reply, plain
from maker.workers.openai_chat.request import extra_fields, fields, held_to
from maker.workers.openai_chat.seating import Seating

Requests: TypeAlias = Literal["grouped", "single", "streamed"]
Put: TypeAlias = Callable[[Sample], None]
STREAMED: dict[str, Json] = {"stream": True, "stream_options": {"include_usage": True}}
CAPS = ("max_tokens", "max_completion_tokens")
"""What endpoints call the token cap: nearly all the first, some of the newest only the second."""
PROBE_PATIENCE = 10.0
"""Seconds."""


@dataclass(slots=True)
class _Line:
    """What belongs to one running event loop."""

    loop: asyncio.AbstractEventLoop
    client: Client


@dataclass(eq=False)
class OpenAIChat:
    """A model behind an OpenAI-compatible endpoint; the key comes from a file or OPENAI_API_KEY only."""

    model: str
    """The endpoint's own name of the model."""
    _: KW_ONLY
    base_url: str | None = None
    """Address up to `/v1`; OPENAI_BASE_URL or OpenAI itself where not given."""
    temperature: float | None = None
    """For every draw; None is the paper's: 0 for a step's first draw, 0.1 for the others."""
    requests: Requests = "grouped"
    """`grouped` asks for the samples of equal seats in one request (`n`), so that the prompt is paid once;
    an endpoint that does not do it is noticed. `single` has a request for each sample, so that the first one
    does not wait for the slowest. `streamed` is `grouped` with responses in pieces, so that no sample waits
    for another. The command's `--requests` comes first."""
    client: Through = "openai"
    """`openai` makes each request by the openai package; `aiohttp` sends the same without it, for a fraction
    of the CPU time."""
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    """llama.cpp and some others cut the tail of the distribution unless told 1, 0 and 0."""
    extra: str = ""
    """A JSON object of further fields of the request."""
    logprobs: bool = False
    send_seed: bool = False
    """Send each seat's seed, and so one request per sample."""
    structured: bool = False
    """Have the endpoint force the prompt's JSON schema, if it has one: a forced format hides a confused
    model, which could otherwise be told by an answer that is flagged."""
    give_up_after: Seconds = 600.0
    """Seconds that one request waits through faults, after which the run is blocked."""
    timeout: Seconds = 120.0
    """Seconds for one try, from the connection to the last byte."""
    max_retry_after: Seconds = 60.0
    """Longest time, in seconds, that the endpoint is left alone because it says so."""
    allow_http: bool = False
    """Let prompts and key travel in the clear to another machine."""
    key_file: str | None = None
    """The file that holds the key, such as a mounted secret, on the machine that draws."""
    trust_env: bool = False
    """Use HTTP_PROXY, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR of the environment."""
    name: str = field(init=False)
    temperatures: tuple[float | None, float | None] = field(init=False, repr=False)
    _endpoint: Endpoint = field(init=False, repr=False)
    _more: dict[str, Json] = field(init=False, repr=False)
    _cap: str = field(default=CAPS[0], init=False, repr=False)
    _most: int = field(init=False, repr=False)
    """Samples asked for by one request: fewer as soon as the endpoint proves to give fewer."""
    _streams: bool = field(init=False, repr=False)
    _line: _Line | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.model or not self.model.isprintable():
            raise UsageError("openai needs the model's name, such as openai:gpt-4.1-mini")
        for name in ("give_up_after", "timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} is {getattr(self, name)}, and must be above 0")
        if not self.max_retry_after >= 0 or not 0 <= (self.temperature or 0) < math.inf:
            raise UsageError("temperature and max_retry_after must be 0 or more")
        self.name, one = f"openai:{self.model}", self.temperature
        self.temperatures = (0.0, 0.1) if one is None else (one, one)
        self._most = 1 if self.requests == "single" or self.send_seed else sys.maxsize
        self._streams = self.requests == "streamed"
        self._more = extra_fields(self.extra, top_p=self.top_p, top_k=self.top_k, min_p=self.min_p)
        self._endpoint = endpoint(self.base_url, self.allow_http)

    async def draw(self, request: Request) -> AsyncGenerator[Sample, None]:
        """Fill every seat: those of equal temperature and variant by one request, where that works.

        When a request is blocked, the samples of those under way still come before BlockedError does.
        """
        groups = self._groups(request.seats)
        while len(groups) == 1 and not self._streams:  # as most are: a task would cost more than the seating
            samples = list[Sample]()
            groups = self._groups(await self._fill(request, groups[0], samples.append))
            for sample in samples:
                yield sample
        if groups:
            async with aclosing(self._at_once(request, groups)) as together:
                async for sample in together:
                    yield sample

    async def _at_once(
        self, request: Request, groups: list[tuple[Seat, ...]]
    ) -> AsyncGenerator[Sample, None]:
        refused: BlockedError | None = None
        came: asyncio.Queue[Sample | asyncio.Task[tuple[Seat, ...]]] = asyncio.Queue()
        tasks = {self._filling(request, group, came) for group in groups}
        try:
            while tasks:
                each = await came.get()
                if isinstance(each, Sample):
                    yield each
                    continue
                tasks.remove(each)
                try:
                    left = each.result()
                except BlockedError as error:
                    refused = error
                    continue
                if not refused:
                    tasks |= {self._filling(request, group, came) for group in self._groups(left)}
            if refused:
                raise refused
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _filling(
        self,
        request: Request,
        group: tuple[Seat, ...],
        came: asyncio.Queue[Sample | asyncio.Task[tuple[Seat, ...]]],
    ) -> asyncio.Task[tuple[Seat, ...]]:
        """A task whose samples come as soon as they can, and it behind them."""
        task = asyncio.create_task(self._fill(request, group, came.put_nowait))
        task.add_done_callback(came.put_nowait)
        return task

    async def probe(self) -> str:
        """Ask for a few tokens and say in a sentence who answered; BlockedError says why not."""
        seat = Seat(0, self.name, self.temperatures[1], 0)
        body = self._body(Prompt((Message("user", "Say OK."),), max_tokens=16), (seat,))
        request = Request(Step("probe", 0, None), Prompt(()), (seat,))
        patience = min(self.give_up_after, PROBE_PATIENCE)
        reply = await self._ask(body, request, patience, Seating((seat,), lambda sample: None))
        if isinstance(reply, wire.Rejected):
            raise blocked(reply, self._endpoint.host, self.model)
        who = plain(reply.model or "a model it does not name")
        return f"{self._endpoint.host} answers as {who} in {reply.latency:.2f} s"

    async def aclose(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.client.aclose()

    def _groups(self, seats: tuple[Seat, ...]) -> list[tuple[Seat, ...]]:
        """Seats that go into one request: alike, and no more than the endpoint is known to take."""
        alike: dict[tuple[float | None, int], list[Seat]] = {}
        for seat in seats:
            alike.setdefault((seat.temperature, seat.variant), []).append(seat)
        most = self._most
        return [tuple(g[i : i + most]) for g in alike.values() for i in range(0, len(g), most)]

    async def _fill(self, request: Request, seats: tuple[Seat, ...], put: Put) -> tuple[Seat, ...]:
        """Have one request give its samples; the seats that are still empty."""
        body, seating = self._body(request.prompt, seats), Seating(seats, put)
        reply = await self._ask(body, request, self.give_up_after, seating)
        if isinstance(reply, Reply):
            if len(reply.choices) < len(seats) and not reply.broke_off:
                self._most = min(self._most, len(reply.choices))
            return seating.whole(reply, request.on_fault)
        if reply.filtered:
            for seat in seats:
                put(Sample(seat, "", "content_filter", 0, 0, 0.0))
            return ()
        if "stream" in body and reply.names("stream"):
            self._streams = False
            return await self._fill(request, seats, put)
        if reply.too_long:
            raise too_long(reply, self._endpoint.host)
        if len(seats) == 1 or reply.status not in (400, 422):
            raise blocked(reply, self._endpoint.host, self.model)
        left = await self._fill(request, seats[:1], put)
        self._most = min(self._most, len(seats) // 2)
        return left + seats[1:]

    def _body(self, prompt: Prompt, seats: tuple[Seat, ...]) -> dict[str, Json]:
        first = seats[0]
        body = self._more | fields(self.model, prompt, first.temperature, self._cap)
        if len(seats) > 1:
            body["n"] = len(seats)
            if self._streams:
                body |= STREAMED
        if self.send_seed:
            body["seed"] = first.seed
        if self.logprobs:
            body["logprobs"] = True
        if self.structured and prompt.schema is not None:
            body |= held_to(prompt.schema)
        return body

    async def _ask(
        self, body: dict[str, Json], request: Request, patience: float, seating: Seating
    ) -> Reply | wire.Rejected:
        """Asked again with the cap's other name where the endpoint minds the first."""
        first = await self._patiently(body, request, patience, seating)
        old, new = CAPS
        if isinstance(first, Reply) or old not in body or not first.names(*CAPS):
            return first
        again = {k: v for k, v in body.items() if k != old} | {new: body[old]}
        second = await self._patiently(again, request, patience, seating)
        if isinstance(second, wire.Rejected) and second.names(*CAPS):
            return first
        self._cap = new
        return second

    async def _patiently(
        self, body: dict[str, Json], request: Request, patience: float, seating: Seating
    ) -> Reply | wire.Rejected:
        content, client = json.dumps(body).encode("ascii"), self._open().client
        start, queued, faults = time.monotonic(), 0.0, 0

        def spent() -> float:
            return time.monotonic() - start - queued

        async def once() -> wire.Outcome:
            nonlocal faults, queued
            ready = time.monotonic()
            async with request.permit(again=faults > 0) as permit:
                queued += time.monotonic() - ready
                seconds = min(self.timeout, max(patience - spent(), 0.001))
                found = await wire.post(client, content, seconds, len(seating.seats), seating.ended)
                if isinstance(found, wire.Fault):
                    faults += 1
                    permit.fault(found.slug, min(found.wait, self.max_retry_after))
                elif isinstance(found, Reply) and found.broke_off:
                    permit.fault(found.broke_off)
                elif isinstance(found, Reply):
                    permit.hold_off(min(found.wait, self.max_retry_after))
            return found

        outcome = await retried(once, patience, self.max_retry_after, spent)
        if isinstance(outcome, wire.Fault):
            raise BlockedError(
                f"{self._endpoint.host} gave no answer in {spent():.3g} s: {faults} faults, the "
                f"last {outcome.slug} ({outcome.detail}). Nothing is lost: see that it is up and "
                f"run the same command again (--give-up-after waits longer than {self.give_up_after:g} s)"
            )
        return outcome

    def _open(self) -> _Line:
        loop = asyncio.get_running_loop()
        if self._line is None or self._line.loop is not loop:
            client = open_client(self.client, self._endpoint, self.timeout, self.trust_env, self.key_file)
            self._line = _Line(loop, client)
        return self._line
