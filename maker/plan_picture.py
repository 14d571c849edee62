"""What a task costs by its length, for each model, as a small SVG: the paper's figure 6 of one's own task.

Both axes are logarithmic; every line climbs by a step where k grows. Plain text, drawn here; what comes from
outside is escaped. Invariant: the same plans give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from maker.choices import Choices, at_steps
from maker.errors import inert
from maker.plan import Plan, plan

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 430, 80, 300, 50, 50
"""Of the picture and its margins, in pixels."""
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
POINTS = 6
"""Lengths that are worked out in each factor of ten."""
_Point = tuple[float, float]


def svg(choices: Choices) -> str:
    plans = choices.measured
    money = all(each.cost is not None for each in plans)
    longest = max(each.offer.steps for each in plans)
    decades = max(3, math.ceil(math.log10(longest)) + 1)
    lines = [_curve(each, decades, money) for each in plans]
    amounts = [amount for line in lines for _, amount in line] or [1.0]
    low, high = math.floor(math.log10(min(amounts))), math.ceil(math.log10(max(amounts)))
    scale = _Scale(decades, low, max(high, low + 1))
    parts = [*_frame(scale, "cost" if money else "samples", plans[0].aim.target)]
    for number, (each, line) in enumerate(zip(plans, lines, strict=True)):
        parts += _drawn(each, line, number, scale, money)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """From (log10 of steps, log10 of an amount) to pixels."""

    def __init__(self, decades: int, low: int, high: int) -> None:
        self.decades, self.low, self.high = decades, low, high

    def x(self, steps: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(steps) / self.decades

    def y(self, amount: float) -> float:
        return (
            HEIGHT
            - BOTTOM
            - (HEIGHT - TOP - BOTTOM) * (math.log10(amount) - self.low) / (self.high - self.low)
        )


def _curve(of: Plan, decades: int, money: bool) -> list[_Point]:
    """(steps, amount) as far as some k reaches the target."""
    found = list[_Point]()
    for number in range(decades * POINTS + 1):
        steps = 10 ** (number / POINTS)
        at = plan(at_steps(of.offer, steps), of.aim)
        amount = at.cost if money else at.samples
        if at.k and amount:
            found.append((steps, amount))
    return found


def _frame(scale: _Scale, what: str, target: float) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
    )
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield _text(LEFT, 24, f"{what} of all steps right with probability {target:g}, by their number")
    for power in range(scale.decades + 1):
        x = scale.x(10.0**power)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield _text(x, HEIGHT - BOTTOM + 18, f"{10.0**power:,.0f}" if power < 5 else f"1e{power}", "middle")
    for power in range(scale.low, scale.high + 1):
        y = scale.y(10.0**power)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield _text(LEFT - 8, y + 4, f"{10.0**power:g}", "end")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "steps", "middle")


def _drawn(of: Plan, line: Sequence[_Point], number: int, scale: _Scale, money: bool) -> Iterator[str]:
    """Its line, a dot at the task's own length, and a row of the legend."""
    colour, y = COLOURS[number % len(COLOURS)], TOP + 14 + 34 * number
    points = " ".join(f"{scale.x(steps):.1f},{scale.y(amount):.1f}" for steps, amount in line)
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
    amount = of.cost if money else of.samples
    reached = f"k = {of.k}, {amount:,.6g}" if of.k and amount else "no k reaches the target"
    if of.k and amount:
        yield f'<circle cx="{scale.x(of.offer.steps):.1f}" cy="{scale.y(amount):.1f}" r="5" fill="{colour}"/>'
    yield f'<rect x="{WIDTH - RIGHT + 18}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
    yield _text(WIDTH - RIGHT + 36, y, inert(of.offer.name, 40))
    yield _text(WIDTH - RIGHT + 36, y + 15, reached, colour="#555")


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "black") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(inert(text, 90))}</text>"
    )
