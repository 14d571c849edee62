"""How much disk the rest of a run will take, from what it has written so far.

Sealed chunks tell what a sample takes; before there is one, the ceiling that the format keeps below is
assumed. Nothing here looks at a disk.
"""

from __future__ import annotations

from maker.journal import CHUNK_BYTES
from maker.totals import Totals

SAMPLE_BYTES = 90
"""Of a sealed sample at most, its share of decisions and events included, for answers of ordinary length."""


def to_come(sealed: tuple[int, int], totals: Totals, expected: int, lanes: int) -> int:
    """Bytes that a run of `expected` steps adds to those sealed, an open chunk in each lane included.

    sealed: (bytes, samples) of sealed chunks.
    """
    if not totals.steps:
        return 0
    written, samples = sealed
    each = written / samples if samples else SAMPLE_BYTES
    return round((totals.samples / totals.steps * expected - samples) * each) + lanes * CHUNK_BYTES
