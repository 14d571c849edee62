"""A red flag of one's own: discard samples that the model itself was unsure of.

    maker run hanoi -T disks=5 --model embedded:temperature=2.0 --red-flags examples/red_flag.py:Unsure:nats=6

A rule sees one sample before it is parsed, and gives a reason to draw another one, or None.
"""

from __future__ import annotations

from maker import Sample


class Unsure:
    """nats: how improbable a text may be, as minus the natural logarithm of its probability."""

    def __init__(self, nats: float = 6.0) -> None:
        self.nats = nats

    def __call__(self, sample: Sample) -> str | None:
        return "unsure" if sample.logprob is not None and sample.logprob < -self.nats else None
