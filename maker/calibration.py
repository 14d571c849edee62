"""What sampling some steps of a task has told of a model: what `maker calibrate` writes and `plan` reads.

Plain figures with their intervals; how they are measured and what follows from them is elsewhere.
Invariant: no model text, and no key, is in it.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maker.errors import UsageError
from maker.manifest import Source

Count = Annotated[int, Field(ge=0)]
Part = Annotated[float, Field(ge=0, le=1)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Share(_Form):
    """A part of a count, with a 95 % interval that allows for clusters (votes of one step)."""

    count: Count
    of: Count
    value: Part
    """count / of; 0 where `of` is 0."""
    low: Part
    high: Part


class Mean(_Form):
    value: float
    low: float
    high: float


class Votes(_Form):
    """Steps at which the draws came out alike."""

    right: Count
    """Valid votes for the right answer; by disagreement, for the answer that most votes are for."""
    wrong: Count
    """Valid votes for others."""
    top: Count
    """Of the wrong ones, those for the commonest."""
    flagged: Count
    steps: Count
    """How many steps came out so."""


class Length(_Form):
    """Responses of `tokens` or fewer tokens, and more than the bin below."""

    tokens: int
    valid: int
    wrong: int


class Kind(_Form):
    """Steps that the task counts as of one kind, those chosen evenly and those chosen for it."""

    name: str
    evenly: Count
    """How many of those that were chosen from all steps."""
    steps: Count
    """Of all that were sampled."""
    valid: Share
    error: Share
    majority_wrong: Share

    @property
    def right(self) -> float:
        """Share of samples that are valid and right."""
        return (self.error.of - self.error.count) / self.valid.of if self.valid.of else 0.0


class Figures(_Form):
    """What the samples say, computed from how they came out (`measure.py`)."""

    steps: int
    """Distinct steps that were sampled."""
    votes: list[Votes]
    """All that was seen, by how the draws of a step came out; what follows is computed from it."""
    valid: Share
    """Of all samples, those without a red flag: v of equation 19."""
    error: Share
    """Of valid samples, the wrong ones: 1 - p."""
    rho: Mean
    """Correlation of the errors of two votes at one step."""
    again: Share
    """Of pairs of votes whose first was wrong, those whose second was wrong as well."""
    same: Share
    """Of wrong votes, those for their step's commonest wrong answer."""
    contested: Share
    """Of steps, those with votes for more than one answer."""
    majority_wrong: Share
    """Of steps, those where a wrong answer has at least as many votes as the right one: no k helps there."""
    collisions: Share
    """Of steps, those whose first two valid votes are both wrong."""
    collisions_unflagged: Share
    """The same of the first two samples, a flagged one being wrong."""
    flags: dict[str, int]
    """Flagged samples by reason."""
    lengths: list[Length]
    """Errors by the response's length."""
    tokens_in: Mean
    """A sample's share of prompt tokens."""
    tokens_out: Mean
    """Response tokens of a sample, a flagged one too."""
    latency: Mean
    """Seconds from request to response."""
    latency_sigma: float
    """Standard deviation of the logarithm of the latency."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        """The figures are those of the votes: no promise rests on one that was edited."""
        steps = sum(each.steps for each in self.votes)
        right = sum(each.right * each.steps for each in self.votes)
        wrong = sum(each.wrong * each.steps for each in self.votes)
        if (steps, wrong, right + wrong) != (self.steps, self.error.count, self.error.of):
            raise ValueError(
                f"its votes are {wrong} wrong of {right + wrong} at {steps} steps, its figures say "
                f"{self.error.count} of {self.error.of} at {self.steps}"
            )
        if self.error.of and abs(self.error.value - wrong / self.error.of) > 1e-6:
            raise ValueError(f"error is {self.error.value}, but {wrong} of {self.error.of} votes are wrong")
        return self


class Sampling(_Form):
    """What was sampled, and how."""

    format: Literal[1] = 1
    maker: str
    """Version of Maker."""
    task: Source
    parameters: dict[str, Any]
    models: Annotated[list[Source], Field(min_length=1)]
    """The panel, in drawing order."""
    red_flags: list[Source]
    seed: int
    length: int | None
    """Steps of the whole task, where it says so."""
    truth: Literal["verifier", "disagreement"]
    """What an answer was held against: the task's own truth, or the answer that most draws gave."""
    draws: int
    """Samples of each step."""
    kinds: list[Kind] = []
    """By name, where the task tells kinds of steps apart; other figures are of evenly chosen steps only."""
    hidden: str
    """What this sampling cannot see, in words."""


class Calibration(Figures, Sampling):
    """The two together: the file."""


def read(path: str | PathLike[str]) -> Calibration:
    """Of a file that `maker calibrate` wrote. Raises UsageError."""
    try:
        return Calibration.model_validate_json(Path(path).read_bytes())
    except (OSError, ValidationError) as error:
        if isinstance(error, OSError):
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        raise UsageError(
            f"{path} is no calibration that this version of Maker can read: {_first(error)}; "
            "make one with `maker calibrate`"
        ) from None


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    return ": ".join(filter(None, [".".join(map(str, found["loc"])), found["msg"]]))
