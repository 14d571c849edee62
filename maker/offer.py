"""What a call would do and cost, as far as a sample of it has told: what plans are made of.

Measured (`of`), or put together from measured ones: two models in turn, several steps a call. Bounds are
one-sided and hold with the confidence that is asked for. Invariant: nothing in an offer is better at its
bound than as seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from maker.calibration import Calibration, Share
from maker.prices import UNIT, Prices
from maker.theory import Group, Groups, fit, panel_p, trials_behind, upper_bound

EXACT = 1e-15
"""The least error that a bound gives: none of a model that cannot be told from a perfect one."""


@dataclass(frozen=True, slots=True)
class Hard:
    """A kind of steps that a calibration found to be worse than the rest."""

    name: str
    steps: int
    """Sampled."""
    error: float
    """Of a vote, as seen."""
    flagged: float
    """Of samples."""
    wrong_majority: int
    """At so many of these steps."""


@dataclass(frozen=True, slots=True)
class Offer:
    name: str
    steps: float
    """Of the whole task, or the votes on `per_call` of them at a time."""
    sampled: int
    """Steps that this rests on; 0 where it was put together."""
    error: float
    """Of a vote, as seen."""
    error_bound: float
    """Above which it is not, with the confidence asked for."""
    groups: tuple[Group, ...]
    """As seen: one, or easy steps and hard ones."""
    bounded: tuple[Group, ...]
    """The same with every error, and the share of hard steps, at its bound."""
    wrong_majority: float
    """Bound on the share of steps that mostly go wrong."""
    valid: float
    """Of samples, those without a red flag."""
    tokens_in: float
    tokens_out: float
    """Of a sample, flagged ones too."""
    price: float | None
    """Of a sample."""
    latency: float
    """Seconds of a call in the mean."""
    sigma: float
    """Of the latency's logarithm."""
    per_call: int = 1
    """Steps that a call answers, beyond those of the calibration's own steps."""
    counting: float = 1.0
    """Share of valid votes that are for the right answer or its rival (p^(m-1) of equation 17)."""
    blind: bool = False
    """Held against what most votes say: unanimously wrong steps were not seen."""
    draws: int = 0
    """Samples a step of the calibration."""
    hard: tuple[Hard, ...] = ()
    """Kinds of steps, the worst first."""

    @property
    def price_of_a_right_vote(self) -> float | None:
        """The paper's rule for choosing a model (with equation 20): the least cost of a call over p."""
        right = (1 - self.error) * self.valid * self.counting
        return None if self.price is None or not right else self.price / right


def of(calibration: Calibration, steps: float, confidence: float, prices: Prices) -> Offer:
    """What a calibration tells of a task of so many steps. `prices` by the model's spec; may be empty."""
    rows = [(row.right, row.wrong, row.steps) for row in calibration.votes]
    groups = fit(rows) or (Group(1.0, 1 - calibration.error.value),)
    bound = max(EXACT, bounded(calibration.error, confidence))
    tokens_in, tokens_out = calibration.tokens_in.value, calibration.tokens_out.value
    return Offer(
        name=name(calibration),
        steps=steps,
        sampled=calibration.steps,
        error=calibration.error.value,
        error_bound=bound,
        groups=groups,
        bounded=_bounded(groups, bound, calibration, confidence),
        wrong_majority=bounded(calibration.majority_wrong, confidence),
        valid=calibration.valid.value,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price=_price([each.spec for each in calibration.models], tokens_in, tokens_out, prices),
        latency=calibration.latency.value,
        sigma=calibration.latency_sigma,
        blind=calibration.truth == "disagreement",
        draws=calibration.draws,
        hard=tuple(_hard(calibration)),
    )


def _hard(calibration: Calibration) -> Iterator[Hard]:
    """Kinds whose errors or flags are more than those of all steps, by intervals that lie apart."""
    for kind in sorted(calibration.kinds, key=lambda kind: (kind.right, kind.name)):
        if kind.error.low > calibration.error.high or kind.valid.high < calibration.valid.low:
            error, flagged = kind.error.value, 1 - kind.valid.value
            yield Hard(kind.name, kind.steps, error, flagged, kind.majority_wrong.count)


def name(calibration: Calibration) -> str:
    return " + ".join(each.spec for each in calibration.models)


def bounded(share: Share, confidence: float) -> float:
    """Its one-sided bound, of as many independent trials as its interval says that it is worth."""
    return upper_bound(share.value * (worth := trials_behind(share.value, share.high)), worth, confidence)


def in_turn(one: Offer, other: Offer) -> Offer:
    """A panel of both, drawn in turn, if what is hard for one is no harder for the other than elsewhere.

    Only a calibration of the panel can tell whether that is so.
    """

    def mean(name: str) -> float:
        return float((getattr(one, name) + getattr(other, name)) / 2)

    return replace(
        one,
        name=f"{one.name} + {other.name}",
        sampled=0,
        error=mean("error"),
        error_bound=mean("error_bound"),
        groups=_crossed(one.groups, other.groups),
        bounded=_crossed(one.bounded, other.bounded),
        wrong_majority=one.wrong_majority * other.wrong_majority,
        valid=mean("valid"),
        tokens_in=mean("tokens_in"),
        tokens_out=mean("tokens_out"),
        price=None if one.price is None or other.price is None else mean("price"),
        latency=mean("latency"),
        sigma=max(one.sigma, other.sigma),
        blind=one.blind or other.blind,
    )


def several(offer: Offer, per_call: int, prompt_price: float | None) -> Offer:
    """So many steps a call, if each goes as well as alone (equations 10 to 17): the prompt is sent once.

    The right vote of a call is p^m of them, its rival's (1-p) p^(m-1); the rest vote for nobody.
    """
    counting = (1 - offer.error) ** (per_call - 1)
    price = None
    if offer.price is not None and prompt_price is not None:
        price = prompt_price + per_call * (offer.price - prompt_price)
    return replace(
        offer,
        name=f"{offer.name}, {per_call} steps a call",
        steps=offer.steps / per_call,
        sampled=0,
        tokens_out=offer.tokens_out * per_call,
        price=price,
        latency=offer.latency * per_call,
        per_call=per_call,
        counting=counting,
        wrong_majority=min(1.0, offer.wrong_majority * per_call),
    )


def price_of_prompt(calibration: Calibration, prices: Prices) -> float | None:
    """Of the prompt's share of a sample."""
    return _price([each.spec for each in calibration.models], calibration.tokens_in.value, 0, prices)


def _bounded(groups: Groups, bound: float, calibration: Calibration, confidence: float) -> tuple[Group, ...]:
    if len(groups) == 1:
        return (Group(1.0, 1 - bound),)
    easy, hard = groups
    votes = sum((row.right + row.wrong) * row.steps for row in calibration.votes)
    share = upper_bound(hard.weight * calibration.steps, calibration.steps, confidence)

    def error(group: Group) -> float:
        cast = votes * group.weight
        return max(EXACT, upper_bound((1 - group.p) * cast, cast, confidence))

    return (Group(1 - share, 1 - error(easy)), Group(share, 1 - error(hard)))


def _crossed(one: Groups, other: Groups) -> tuple[Group, ...]:
    return tuple(Group(mine.weight * its.weight, panel_p((mine.p, its.p))) for mine in one for its in other)


def _price(models: list[str], tokens_in: float, tokens_out: float, prices: Prices) -> float | None:
    """Of a sample in the currency; a panel's members draw equally often."""
    if not prices:
        return None
    each = [prices[model] for model in models]
    total = sum(price.tokens_in * tokens_in + price.tokens_out * tokens_out for price in each)
    return total / len(each) / UNIT
