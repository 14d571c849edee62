"""The words of Maker as plain frozen data: segment, step, prompt, seat, sample, red flag, decision.

Nothing here acts, reads a clock or knows where it is stored. Invariant: every value is immutable,
and all but `RedFlag` survive a JSON round trip. Read next: `maker/ballot.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Any
"""A JSON value (None, bool, int, float, str, list, dict with str keys); its shape is the plug-in's."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A chain of dependent steps: the unit of placement, resume and parallelism."""

    id: str
    """Unique in the run: letters, digits and `._-`, at most 80 characters; a child's has its parent's before
    a slash."""
    state: Json
    """The state its step 0 starts from."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain: where it stands and what is known there, and nothing of the past."""

    segment: str
    index: int
    """0-based within the segment."""
    state: Json


@dataclass(frozen=True, slots=True)
class Fork:
    """What `advance` may return instead of a state: the segment waits until these children have ended.

    Then the decomposer's `join(step, finals)` gives the state to go on from; `step.state` is `state`, and
    `finals` are the children's final states in their order.
    """

    children: Sequence[Json]
    """Their first states. Child n of a fork that step 7 of segment `a` has decided is segment `a/7.n`."""
    state: Json = None
    """What the segment itself keeps meanwhile."""


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked at a step."""

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    """Cap on the response in tokens; None leaves it to the endpoint."""
    stop: tuple[str, ...] = ()
    proposal: bool = False
    """The first valid sample is taken as it is: a free text, of which later steps vote."""
    schema: Json | None = None
    """JSON schema of the answer, for models that can be held to one; filled in where a task names a type."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A draw index with all that decides how it is drawn: fixed when it is launched, then recorded."""

    draw: int
    """0-based within the step; a red flag consumes it, a transport fault does not."""
    model: str
    """The panel member's name, such as `openai:gpt-4.1-mini`."""
    temperature: float | None
    """None leaves it to the endpoint."""
    seed: int
    """0 <= seed < 2**31, from the run's seed, the step, its state and the draw index."""
    variant: int = 0
    """Which paraphrase of the prompt, 0-based."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One raw response of a model to one seat."""

    seat: Seat
    text: str
    finish: str
    """Why the model stopped: `stop`, `length`, `content_filter`, ... as the endpoint said it."""
    tokens_in: int
    """Prompt tokens billed to this sample; samples of one request share them out."""
    tokens_out: int
    latency: float
    """Seconds from the request to the end of the response."""
    model: str | None = None
    """The model's name as the endpoint echoed it."""
    request: str | None = None
    """The endpoint's id of the response, no other seat's: one that comes again is a repeat."""
    logprob: float | None = None
    """Sum of the natural-log probabilities of the response's tokens, where known."""
    system: str | None = None
    """The endpoint's `system_fingerprint`: which configuration of the model answered."""
    tokens_cached: int = 0
    """Of `tokens_in`, those that the endpoint had in its prefix cache."""


class RedFlag(Exception):
    """Raised by `parse`, or returned as a reason by a rule: the sample is discarded and redrawn.

    `reason` is a short slug that is counted, such as `malformed`; `detail` is for people.
    """

    def __init__(self, reason: str = "malformed", detail: str = "") -> None:
        if not isinstance(reason, str) or not reason:
            raise TypeError(f"a red flag's reason must be a text, not {type(reason).__name__}")
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Votes:
    """The draws that gave one answer."""

    key: str
    draws: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flags:
    """The draws that were discarded for one reason."""

    reason: str
    draws: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """A ballot at rest: most votes first, then the lowest draw; flags by reason."""

    votes: tuple[Votes, ...]
    flags: tuple[Flags, ...]


By: TypeAlias = Literal["person", "proposal"]
"""What decided a step, if not the votes: a person, or the first valid sample of a proposal."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judge's votes say of two answers of a step."""

    first: str
    """Key of the answer that was drawn first; its class is the older one."""
    key: str
    same: bool
    state: str
    """Digest of the comparison, which its samples carry in place of the step's."""
    tally: Tally


@dataclass(frozen=True, slots=True)
class Decision:
    """The winner of a step with its tally: committed once, in order."""

    segment: str
    index: int
    state: str
    """Hash of the state that the step started from (see `canonical.digest`)."""
    answer: Json
    tally: Tally
    by: By | None = None
    """None where the votes decided."""
    children: int = 0
    """How many segments it forks into."""
    rulings: tuple[Ruling, ...] = ()
    """On answers that a judge compared, in that order."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A step that waits for another panel or a person; the rest of the run goes on."""

    segment: str
    index: int
    state: str
    reason: str
    tally: Tally
