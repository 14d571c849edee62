"""A calibration as a small SVG picture: shares with their intervals on a logarithmic axis, errors by length.

Plain text, drawn here; whatever comes from outside is escaped. Invariant: the same calibration gives the same
bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from maker.calibration import Calibration, Share
from maker.errors import inert

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 210, 120, 24, 62
"""Of the picture, its margins and a row, in pixels."""

SHARES = {
    "wrong, of valid samples": "error",
    "flagged, of samples": "valid",
    "wrong again, after a wrong one": "again",
    "contested steps": "contested",
    "first two votes wrong": "collisions",
    "first two samples wrong or flagged": "collisions_unflagged",
    "wrong majority": "majority_wrong",
}
"""What is drawn of a calibration, by its field; of `valid` the rest."""


def shares(calibration: Calibration) -> dict[str, Share]:
    """What is drawn and shown in the table, by its words."""
    found = {words: getattr(calibration, name) for words, name in SHARES.items()}
    valid = calibration.valid
    value, low, high = 1 - valid.value if valid.of else 0.0, 1 - valid.high, 1 - valid.low
    rest = Share(count=valid.of - valid.count, of=valid.of, value=value, low=low, high=high)
    return {**found, "flagged, of samples": rest}


def svg(calibration: Calibration) -> str:
    drawn = shares(calibration)
    lengths = calibration.lengths if len(calibration.lengths) > 1 else []
    least = _least([*drawn.values()])
    height = TOP + ROW * len(drawn) + 40 + (ROW * len(lengths) + 40 if lengths else 0)
    lines = [*_frame(calibration, height), *_axis(least, TOP + ROW * len(drawn))]
    for number, (words, share) in enumerate(drawn.items()):
        lines += _row(words, share, TOP + ROW * number + ROW / 2, least)
    if lengths:
        lines += _lengths(calibration, TOP + ROW * len(drawn) + 60)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _frame(calibration: Calibration, height: int) -> Iterator[str]:
    models = ", ".join(model.spec for model in calibration.models)
    parameters = " ".join(f"{name}={value}" for name, value in calibration.parameters.items())
    held = "the task's truth" if calibration.truth == "verifier" else "the most voted answer"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    )
    yield f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    yield _text(10, 20, f"{calibration.task.spec} {parameters}: {models}", bold=True)
    drawn = f"{calibration.steps:,} steps, {calibration.draws} samples each, against {held}; 95 % intervals"
    yield _text(10, 40, drawn, colour="#555")


def _row(words: str, share: Share, y: float, least: float) -> Iterator[str]:
    low, high = _x(share.low, least), _x(share.high, least)
    yield _text(LEFT - 10, y + 4, words, anchor="end")
    yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="#4477aa" stroke-width="3"/>'
    if share.count:
        yield f'<circle cx="{_x(share.value, least):.1f}" cy="{y}" r="4" fill="#4477aa"/>'
    yield _text(WIDTH - RIGHT + 12, y + 4, f"{share.count:,} of {share.of:,}", colour="#555")


def _axis(least: float, y: int) -> Iterator[str]:
    for power in range(round(math.log10(least)), 1):
        x = _x(10.0**power, least)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{y}" stroke="#ddd"/>'
        yield _text(x, y + 16, f"{10.0**power:g}", anchor="middle", colour="#555")


def _lengths(calibration: Calibration, y: int) -> Iterator[str]:
    yield _text(10, y - 8, "wrong, of valid samples by their length in tokens", colour="#555")
    most = max(each.wrong / each.valid for each in calibration.lengths) or 1.0
    for number, each in enumerate(calibration.lengths):
        here = y + ROW * number
        wide = (WIDTH - LEFT - RIGHT) * each.wrong / each.valid / most
        yield _text(LEFT - 10, here + 16, f"up to {each.tokens:,}", anchor="end")
        yield f'<rect x="{LEFT}" y="{here + 5}" width="{wide:.1f}" height="{ROW - 10}" fill="#cc6677"/>'
        yield _text(WIDTH - RIGHT + 12, here + 16, f"{each.wrong:,} of {each.valid:,}", colour="#555")


def _least(drawn: list[Share]) -> float:
    """The left end of the axis: a power of ten below all that is to be seen, and no less than 1e-6."""
    ends = [end for share in drawn for end in (share.low, share.value, share.high) if end > 0]
    return max(1e-6, 10.0 ** math.floor(math.log10(min([*ends, 0.1]))))


def _x(value: float, least: float) -> float:
    """A share's place; what is less than the axis begins with stands at its left end."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (1 - math.log10(max(value, least)) / math.log10(least))


def _text(
    x: float, y: float, text: str, anchor: str = "start", colour: str = "black", bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(inert(text, 120))}</text>"
    )
