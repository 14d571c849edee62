"""Red-flag rules: why a sample is discarded before it is parsed. They compose with `|`.

    TooLong(700) | Truncated() | Custom(lambda sample: "hedged" if "maybe" in sample.text else None)

The first rule that objects gives the reason. A rule looks at one sample and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from maker.errors import UsageError
from maker.flags import Rule
from maker.nouns import RedFlag, Sample


class Composable:
    """Gives a rule its `|`."""

    def __call__(self, sample: Sample, /) -> str | None:
        raise NotImplementedError

    def __or__(self, other: Rule) -> AnyOf:
        return AnyOf(self, other)


class AnyOf(Composable):
    """The first reason that any of the rules gives, in their order."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    def __call__(self, sample: Sample, /) -> str | None:
        for rule in self.rules:
            reason = rule(sample)
            if reason is not None:
                return reason
        return None


class TooLong(Composable):
    """More than so many response tokens: past about 700 the paper's errors jump (section 4.4)."""

    def __init__(self, tokens: int = 700) -> None:
        if tokens < 1:
            raise UsageError(f"too_long: tokens={tokens}, expected 1 or more")
        self.tokens = tokens

    def __call__(self, sample: Sample, /) -> str | None:
        return "too_long" if sample.tokens_out > self.tokens else None


class Truncated(Composable):
    """Cut off by the token cap: the endpoint's finish reason says `length`."""

    def __call__(self, sample: Sample, /) -> str | None:
        return "truncated" if sample.finish == "length" else None


class Refusal(Composable):
    """The model or its filter declined: by its finish reason, or by how the text begins."""

    _OPENING = re.compile(
        r"\W{0,9}(i['’]?m sorry|sorry|i can(no|['’])t|i am (unable|not able))", re.IGNORECASE
    )

    def __call__(self, sample: Sample, /) -> str | None:
        declined = sample.finish in ("refusal", "content_filter")
        return "refusal" if declined or self._OPENING.match(sample.text) else None


class Malformed(Composable):
    """A text that a format does not fit: a regular expression that must occur in it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = re.compile(pattern)

    def __call__(self, sample: Sample, /) -> str | None:
        return None if self.pattern.search(sample.text) else "malformed"


class Custom(Composable):
    """Any function from a sample to a reason or None; a RedFlag that it raises counts too."""

    def __init__(self, judge: Callable[[Sample], str | None]) -> None:
        self.judge = judge

    def __call__(self, sample: Sample, /) -> str | None:
        try:
            return self.judge(sample)
        except RedFlag as flag:
            return flag.reason
