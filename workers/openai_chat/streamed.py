"""A streamed reply put together: several choices at a time, each of which may end before the others.

It knows no network. What comes of it is the body that the endpoint would have sent unstreamed, so `reply.py`
reads both. Invariant: whatever bytes come in, only ValueError leaves, and no choice ends twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from maker.nouns import Json
from maker.workers.openai_chat.reply import count, loads

DONE = b"[DONE]"
"""The data of the last event."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each event of a `text/event-stream`; its other fields and comments are left out."""
    rest, data = b"", list[bytes]()
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []


@dataclass(slots=True)
class _Part:
    """What has come of one choice."""

    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    finish: str | None = None
    pieces: int = 0
    """That held text: about its tokens, where nobody says."""

    def body(self) -> Json:
        """As of an unstreamed reply; None before it has ended."""
        if self.finish is None:
            return None
        message = {"content": "".join(self.text), "refusal": "".join(self.refusal)}
        logprobs = {"content": self.logprobs} if self.logprobs else None
        return {"message": message, "finish_reason": self.finish, "logprobs": logprobs}


@dataclass(slots=True)
class Assembly:
    """Of a request for `n` choices."""

    n: int
    _parts: dict[int, _Part] = field(default_factory=dict)
    _head: dict[str, Json] = field(default_factory=dict)
    """What every event repeats of the whole reply."""
    _said: dict[str, Json] = field(default_factory=dict)
    """The newest usage that says something."""

    @property
    def several(self) -> bool:
        """Whether the endpoint is known to give more than one choice."""
        return len(self._parts) > 1

    @property
    def ended(self) -> bool:
        """Whether any choice has."""
        return any(part.finish is not None for part in self._parts.values())

    @property
    def whole(self) -> bool:
        """Whether no choice that was begun is open."""
        return all(part.finish is not None for part in self._parts.values())

    def tokens(self, index: int) -> int:
        """Of a choice, about: endpoints send one at a time, and say how many there were at the end of all."""
        part = self._parts[index]
        return len(part.logprobs) or part.pieces

    def feed(self, data: bytes) -> bool:
        """Take in an event; whether a choice has ended with it. ValueError for what is none."""
        if data == DONE:
            return self._end()
        event = loads(data)
        if not isinstance(event, dict) or event.get("error"):
            raise ValueError("an error in the stream" if isinstance(event, dict) else "no JSON object")
        self._head |= {name: event[name] for name in HEAD if event.get(name) is not None}
        usage = event.get("usage")
        if isinstance(usage, dict) and any(count(usage.get(name)) for name in COUNTED):
            self._said = usage
        choices = event.get("choices")
        mine = [each for each in choices if self._takes(each)] if isinstance(choices, list) else []
        ended = [self._add(each) for each in mine]
        return any(ended)

    def _end(self) -> bool:
        """Of choices that are still open nobody has said why they ended."""
        still_open = [part for part in self._parts.values() if part.finish is None]
        for part in still_open:
            part.finish = "unknown"
        return bool(still_open)

    def _takes(self, choice: Json) -> bool:
        index = choice.get("index") if isinstance(choice, dict) else None
        return type(index) is int and 0 <= index < self.n

    def _add(self, choice: dict[str, Json]) -> bool:
        """Whether the choice has ended with this piece of it."""
        part = self._parts.setdefault(choice["index"], _Part())
        if part.finish is not None:
            return False
        delta, logprobs, finish = choice.get("delta"), choice.get("logprobs"), choice.get("finish_reason")
        for name, said in (("content", part.text), ("refusal", part.refusal)):
            piece = delta.get(name) if isinstance(delta, dict) else None
            if isinstance(piece, str) and piece:
                said.append(piece)
                part.pieces += 1
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            part.logprobs += logprobs["content"]
        part.finish = finish if isinstance(finish, str) and finish else None
        return part.finish is not None

    def body(self) -> dict[str, Json]:
        """As far as it has come, as one unstreamed reply; a choice that has not ended is None."""
        last = max(self._parts, default=-1)
        choices = [self._parts[index].body() if index in self._parts else None for index in range(last + 1)]
        return {**self._head, "choices": choices, "usage": self._usage()}

    def _usage(self) -> dict[str, Json]:
        """As the endpoint says, but of no fewer tokens than came: llama-server tells those of each choice."""
        said, counted = count(self._said.get("completion_tokens")), sum(map(self.tokens, self._parts))
        return {**self._said, "completion_tokens": max(said, counted)}


HEAD = ("id", "model", "system_fingerprint")
COUNTED = ("prompt_tokens", "completion_tokens")
