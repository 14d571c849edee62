"""What to buy for a whole task: models, panels of two, steps a call, chains; compared at one target.

Pure. Measured offers come from calibrations; panels and steps a call that were not calibrated are put
together from them, and say so. Invariant: the choice is a measured offer, whatever is supposed of others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from maker import offer as offers
from maker import options, prices
from maker.calibration import Calibration
from maker.errors import UsageError
from maker.nouns import Json
from maker.offer import Offer
from maker.plan import Aim, Plan, plan
from maker.prices import Prices

PER_CALL = (2, 4, 10)
"""Steps a call that are looked at."""
WORTH = 0.95
"""What is put together is named where it takes less than this share of what the best does."""
SEGMENTS = (1, 8, 64)
"""Chains at a time that are looked at."""


@dataclass(frozen=True, slots=True)
class Clock:
    segments: int
    seconds: float
    seconds_ahead: float
    """With a window that is wide enough."""


@dataclass(frozen=True, slots=True)
class Choices:
    measured: tuple[Plan, ...]
    """In the order of the calibrations."""
    supposed: tuple[Plan, ...]
    """Put together from them."""
    best: Plan | None
    """Of the measured ones, the cheapest that reaches the target; by samples where there are no prices."""
    clocks: tuple[Clock, ...]
    """Of the best, cut into independent chains: k is the same, for all of them must end right."""
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """All but the plans, of which there is a line each."""
        clocks = [[each.segments, each.seconds, each.seconds_ahead] for each in self.clocks]
        best = self.best and self.best.offer.name
        return {"best": best, "segments": clocks, "notes": list(self.notes)}


def compare(seen: Sequence[tuple[Calibration, float]], aim: Aim, table: Prices) -> Choices:
    """seen: calibrations, each with the steps that the whole task has as it was calibrated."""
    found = [offers.of(each, steps, aim.confidence, table) for each, steps in seen]
    measured = tuple(plan(each, aim) for each in _told_apart(found))
    pairs = [offers.in_turn(one, other) for one, other in combinations(found, 2) if _alike(one, other)]
    each_call = [
        offers.several(offer, number, offers.price_of_prompt(calibration, table))
        for offer, (calibration, _) in zip(found, seen, strict=True)
        for number in PER_CALL
        if number < offer.steps
    ]
    supposed = tuple(plan(each, aim) for each in [*pairs, *each_call])
    best = min(
        (each for each in measured if each.k), key=lambda each: (price(each), each.samples), default=None
    )
    clocks = tuple(_clock(best, segments) for segments in SEGMENTS) if best else ()
    return Choices(measured, supposed, best, clocks, tuple(_notes(measured, supposed, best)))


def _told_apart(found: Sequence[Offer]) -> Iterator[Offer]:
    """Several calibrations of one model by their number."""
    names = [each.name for each in found]
    for number, each in enumerate(found, start=1):
        twice = names.count(each.name) > 1
        yield replace(each, name=f"{each.name} (calibration {number})") if twice else each


def read_prices(texts: Sequence[str], calibrations: Sequence[Calibration]) -> Prices:
    """By spec. A price may name a model by its spec or, as `maker run` has it, without its options."""
    specs = list(dict.fromkeys(model.spec for each in calibrations for model in each.models))
    given = {text.rpartition("=")[0] for text in texts}
    meant = list[str]()
    for text in texts:
        named, _, amounts = text.rpartition("=")
        of = [spec for spec in specs if named and spec not in given and short(spec) == named]
        meant += [text] if named in specs or not of else [f"{spec}={amounts}" for spec in of]
    return prices.read(meant, specs)


def short(spec: str) -> str:
    """`openai:NAME` of `openai:NAME,client=aiohttp`."""
    kind, _, rest = spec.partition(":")
    words, _ = options.split(rest)
    return ":".join([kind, *([",".join(words)] if words else [])])


def check_alike(calibrations: Sequence[Calibration]) -> None:
    """Raises UsageError where they are not of one task."""
    if odd := next((each for each in calibrations if each.task != calibrations[0].task), None):
        raise UsageError(
            f"the calibrations are of several tasks: {calibrations[0].task.spec} and {odd.task.spec} (or "
            "another version of its file); expected one task, calibrate it again"
        )


def _alike(one: Offer, other: Offer) -> bool:
    return one.steps == other.steps and one.name != other.name


def price(found: Plan) -> float:
    """What plans are compared by: money, or samples where there are no prices."""
    return found.samples if found.cost is None else found.cost


def _clock(best: Plan, segments: int) -> Clock:
    factor = best.aim.segments / segments
    return Clock(segments, best.seconds * factor, best.seconds_ahead * factor)


# -- what the comparison says -----------------------------------------------------------------------


def _notes(measured: Sequence[Plan], supposed: Sequence[Plan], best: Plan | None) -> Iterator[str]:
    if best is None:
        yield "none of the calibrated models reaches the target alone"
    if len(measured) > 1 and best is not None:
        yield from _rule(measured, best)
        yield from _against(measured, best)
    for kind in ([each for each in supposed if each.offer.per_call == number] for number in (1, *PER_CALL)):
        cheapest = min((each for each in kind if each.k), key=price, default=None)
        if cheapest and (best is None or price(cheapest) < WORTH * price(best)):
            what = "samples" if cheapest.cost is None else "cost"
            less = f" for {price(cheapest) / price(best):.2f} of the {what}" if best else ""
            yield f"worth a calibration: {cheapest.offer.name}, which would do with k = {cheapest.k}{less}"


def _rule(measured: Sequence[Plan], best: Plan) -> Iterator[str]:
    """The paper's: the model of least cost over p. It leaves out k."""
    by_rule = min(measured, key=_price_of_a_right_vote)
    if by_rule.offer.price_of_a_right_vote is None:
        yield "without --price the models are compared by samples: give prices to compare them by money"
    elif by_rule is best:
        yield f"the rule of least cost over p chooses {by_rule.offer.name} as well"
    else:
        because = f"it needs k = {by_rule.k}" if by_rule.k else "no k of it reaches the target"
        yield f"the rule of least cost over p would choose {by_rule.offer.name}, and fails here: {because}"


def _price_of_a_right_vote(each: Plan) -> float:
    return math.inf if (found := each.offer.price_of_a_right_vote) is None else found


def _against(measured: Sequence[Plan], best: Plan) -> Iterator[str]:
    """More votes of one against fewer of a better one."""
    for each in measured:
        if each is not best and each.k:
            than = f"{best.offer.name} at k = {best.k}"
            times = f"{price(each) / price(best):.2f} times" if price(best) else "more than"
            more = "as much as" if price(each) == price(best) else times
            yield f"{each.offer.name} at k = {each.k} costs {more} {than}"


def at_steps(offer: Offer, steps: float) -> Offer:
    """The same for a task of another length (in the calibration's steps)."""
    return replace(offer, steps=steps / offer.per_call)
