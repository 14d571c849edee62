"""The seam of a red-flag rule: a reason to discard a sample before it is parsed, or None.

A rule is any callable from a sample to a reason (a short slug that is counted) or None. Built-ins,
which compose with `|`, live in `voters/flags.py`. A sample that `parse` refuses is flagged in any case.
"""

from __future__ import annotations

from typing import Protocol

from maker.nouns import Sample


class Rule(Protocol):
    def __call__(self, sample: Sample, /) -> str | None: ...
