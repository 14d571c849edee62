"""Votes that count for as much as their model is worth: evidence is the sum of log odds.

A vote of a model with the share of errors e weighs ln((1 - e) / e), whatever the others are; with
`confidence` it weighs less, by the mean probability that the model gave its own tokens (where the endpoint
tells). A vote never weighs more than its model's. Models of equal weight are ahead-by-k. Invariant: sums are
rounded once, so the order in which votes arrive cannot matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from maker.ballot import Ballot
from maker.nouns import Sample
from maker.voter import Decided, Want
from maker.voters import odds

ROUNDING = 1e-9
"""Of a vote: what sums of logarithms may be off by."""


def _table(value: object) -> object:
    """`openai:a=0.002;openai:b=0.05` as a mapping."""
    if not isinstance(value, str) or value[:1] == "{":
        return value
    pairs = (each.rpartition("=") for each in value.split(";"))
    return {name.strip(): error for name, _, error in pairs}


class Weighted:
    """steps: of the whole task, which is to be right with the chance `target`. error: the share of wrong
    votes of a model that is not in `models`, which has those of others by their names in seats."""

    reads = "samples"

    def __init__(
        self,
        steps: int,
        error: float,
        models: Annotated[Mapping[str, float], BeforeValidator(_table)] | None = None,
        confidence: bool = False,
        target: float = 0.95,
    ) -> None:
        self._other = _weight("error", error)
        self._weights = {name: _weight(name, value) for name, value in (models or {}).items()}
        self.models = frozenset(self._weights)
        """Names of those that it knows."""
        self._most = max((self._other, *self._weights.values()))
        self._confidence = confidence
        self._needed = -odds.allowed("weighted", steps, target)

    def decide(self, ballot: Ballot) -> Decided | Want:
        keys = ballot.keys()
        evidence = {key: math.fsum(map(self._evidence, ballot.cast(key))) for key in keys}
        first, second, *_ = *sorted(evidence.values(), reverse=True), 0.0, 0.0
        missing = (self._needed - (first - second)) / self._most
        if evidence and missing <= 0:
            return Decided(max(evidence, key=evidence.__getitem__))
        return Want(max(1, math.ceil(missing - ROUNDING)))

    def _evidence(self, sample: Sample | None) -> float:
        """Of a vote; one whose sample is not known is a stranger's."""
        if sample is None:
            return self._other
        weight = self._weights.get(sample.seat.model, self._other)
        return weight * _confidence(sample) if self._confidence else weight


def _weight(name: str, error: float) -> float:
    error = odds.checked_error("weighted", name, error)
    return math.log1p(-error) - math.log(error)


def _confidence(sample: Sample) -> float:
    """The geometric mean of its tokens' probabilities; 1 where they are not known."""
    if sample.logprob is None:
        return 1.0
    return math.exp(min(0.0, sample.logprob) / max(1, sample.tokens_out))
