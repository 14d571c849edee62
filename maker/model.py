"""The seam of a model: a request names a step's prompt and the seats to fill, samples come as they are ready.

A model draws and nothing else: it does not parse, vote or write the journal. It retries transport
faults itself (reporting each to `on_fault`) and raises `BlockedError` when it cannot draw at all.
Any class with these members is a model; built-ins live in `workers/`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from maker.nouns import Prompt, Sample, Seat, Step
from maker.throttle import Permit, Throttle


def _ignore(fault: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Request:
    """One wish of a chain for one model."""

    step: Step
    prompt: Prompt
    seats: tuple[Seat, ...]
    """At least one; each is to be filled by exactly one sample."""
    on_fault: Callable[[str], None] = _ignore
    """Called once for each transport fault with a slug, such as `http-429`, `timeout`, `broken-body`."""
    throttle: Throttle | None = None
    """The worker's part of the model's limit; None where nothing is limited."""
    spare: bool = False
    """The same seats are being drawn already: it takes permits that nobody else wants, or raises."""

    def permit(self, again: bool = False) -> Permit:
        """Leave for one HTTP request, for models that make some: `async with request.permit() as permit`.

        Not around a pause. A fault is told by `permit.fault(slug, retry_after)`, in place of `on_fault`.
        again: it has been tried before, and goes before others.
        """
        return (self.throttle or Throttle(math.inf)).permit(self.on_fault, again, self.spare)


class Model(Protocol):
    name: str
    """Shown to people and recorded in seats, such as `openai:gpt-4.1-mini`; never holds a key."""

    temperatures: tuple[float | None, float | None]
    """For draw 0 of a step, and for its later draws; None leaves it to the endpoint."""

    # A model that computes where it is made may have a member more, `resources: Mapping[str, float]`: what an
    # actor that holds it takes of its node, in Ray's words (`num_cpus`, `num_gpus`, `memory` in bytes, or a
    # name of the cluster's own). Fractions share: with {"num_gpus": 0.25} four actors go on a GPU.

    def draw(self, request: Request) -> AsyncIterator[Sample]:
        """Fill every seat of the request, in any order.

        Raises BlockedError when no sample can be had (key refused, model gone, patience over).
        Cancelling the iteration cancels what is under way.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections; the model is not used afterwards."""
        ...


_NAME, _NUMBER = (str, type(None)), (int, float)


def unsound(sample: Sample) -> str | None:
    """Why the journal could not hold a sample, if it could not."""
    if not isinstance(sample.model, _NAME) or not isinstance(sample.system, _NAME):
        return "a sample's model and system are texts or None"
    said = isinstance(sample.text, str) and isinstance(sample.finish, str)
    counted = isinstance(sample.tokens_in, int) and isinstance(sample.tokens_out, int)
    counted = counted and isinstance(sample.tokens_cached, int)
    if not (said and counted and _finite(sample.latency)):
        return "a sample needs text, finish, whole token counts and a finite latency"
    if sample.logprob is not None and not _finite(sample.logprob):
        return "a sample's logprob is a finite number or None"
    return None


def _finite(number: object) -> bool:
    return isinstance(number, _NUMBER) and math.isfinite(number)
