"""From what a model was seen to do to a plan of the whole task: k, votes, tokens, money, time, and how sure.

Pure: numbers in, numbers and sentences out. k comes from the bound on the error, not from the error as seen.
Votes of different steps are taken as independent, those of one step as far as the fitted groups tell.
Invariant: a plan with a k reaches its target if the truth is within the bounds that it names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from maker.errors import UsageError
from maker.nouns import Json
from maker.offer import Offer
from maker.theory import (
    Groups,
    budget,
    clean_steps,
    escalation,
    escalation_votes,
    expected_votes,
    in_rounds,
    k_min,
    mixture_k_min,
    mixture_votes,
    mixture_wrong,
    speculated,
    success_at_most,
)

MAX_SAMPLES = 100
"""Draws at a step before it is parked, as `maker run` has it."""
WORTH = 0.9
"""Escalation is named where it takes less than this share of the votes of one lead."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Raises UsageError for what cannot be."""

    target: float
    """Probability with which all steps shall end right."""
    confidence: float = 0.99
    """Of every bound on its own."""
    budget: float | None = None
    """Money that the whole task may cost."""
    segments: int = 1
    """Chains of equal length that run at a time."""

    def __post_init__(self) -> None:
        if not 0 < self.target < 1 or not 0.5 <= self.confidence < 1:
            raise UsageError(
                f"target={self.target}, confidence={self.confidence}; expected a target between 0 and 1, "
                "and a confidence from 0.5 to less than 1"
            )
        if self.segments < 1:
            raise UsageError(f"segments={self.segments}, expected 1 or more")
        if self.budget is not None and not 0 < self.budget < math.inf:
            raise UsageError(f"budget={self.budget:g}, expected an amount of money above 0")


@dataclass(frozen=True, slots=True)
class Escalation:
    """First so many votes that all agree, else a lead: what would do with fewer votes."""

    unanimous: int
    lead: int
    votes_per_step: float


@dataclass(frozen=True, slots=True)
class Plan:
    offer: Offer
    aim: Aim
    k: int | None
    """None where no k up to MAX_SAMPLES reaches the target."""
    k_seen: int | None
    """What the error as seen would ask for; too small up to a third of the time."""
    k_alike: int | None
    """What the bound asks for if all steps are equally hard."""
    success: float
    """That no vote ends wrong, at the bounds, if no step mostly goes wrong; 0 without a k."""
    success_at_most: float
    """For any k, by the share of steps that were seen to go mostly wrong."""
    success_certain: float
    """At the bound on that share too: what the sample can vouch for."""
    votes: float
    """Of the whole task, as many others, in the mean and at the error as seen; nan without a k."""
    samples: float
    """Flagged ones and votes for nobody too."""
    tokens_in: float
    tokens_out: float
    cost: float | None
    seconds: float
    """Each step from the one before (a window of 1), the chains at a time."""
    seconds_ahead: float
    """With a window that is wide enough."""
    escalation: Escalation | None
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """Figures that there are none of are null."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def plan(offer: Offer, aim: Aim) -> Plan:
    """Of one offer."""
    seen = _k(offer.groups, aim, offer)
    bound = _k(offer.bounded, aim, offer)
    alike = k_min(1 - offer.error_bound, aim.target, offer.steps)
    uncertain = bound is None and alike is not None and seen is not None
    k = max(seen or 0, alike or 0) if uncertain else bound
    at_most = success_at_most(sum(group.weight for group in offer.groups if group.p <= 0.5), offer.steps)
    lost = mixture_wrong(offer.groups if uncertain else offer.bounded, k) if k else 1.0
    success = success_at_most(lost, offer.steps)
    spent = _spent(offer, k) if k else (math.nan, math.nan, math.nan, math.nan)
    times = _times(offer, aim, k) if k else (math.nan, math.nan)
    cost = None if offer.price is None else offer.price * spent[1]
    return Plan(
        offer=offer,
        aim=aim,
        k=k,
        k_seen=k_min(1 - offer.error, aim.target, offer.steps),
        k_alike=alike,
        success=success,
        success_at_most=at_most,
        success_certain=success * success_at_most(offer.wrong_majority, offer.steps),
        votes=spent[0],
        samples=spent[1],
        tokens_in=spent[2],
        tokens_out=spent[3],
        cost=cost,
        seconds=times[0],
        seconds_ahead=times[1],
        escalation=_escalation(offer, aim, k),
        warnings=tuple(_warnings(offer, aim, k, at_most, uncertain, cost)),
    )


def _k(groups: Groups, aim: Aim, offer: Offer) -> int | None:
    """None also for one that no step could reach within its cap."""
    if len(groups) == 1:
        found = k_min(groups[0].p, aim.target, offer.steps)
    else:
        found = mixture_k_min(groups, aim.target, offer.steps)
    return found if found and found <= MAX_SAMPLES else None


def _spent(offer: Offer, k: int) -> tuple[float, float, float, float]:
    """Votes, samples and tokens of the whole task, at what was seen."""
    votes = offer.steps * mixture_votes(offer.groups, k)
    samples = votes / (offer.valid * offer.counting) if offer.valid and offer.counting else math.inf
    return votes, samples, samples * offer.tokens_in, samples * offer.tokens_out


def _times(offer: Offer, aim: Aim, k: int) -> tuple[float, float]:
    """Seconds without and with a window; a flagged sample takes a call more."""
    one = offer.latency * offer.steps / aim.segments / (offer.valid or math.nan)
    return (
        one * sum(group.weight * in_rounds(group.p, k, offer.sigma) for group in offer.groups),
        one * sum(group.weight * speculated(group.p, k, offer.sigma) for group in offer.groups),
    )


def _escalation(offer: Offer, aim: Aim, k: int | None) -> Escalation | None:
    if k is None or len(offer.bounded) == 1:
        return None
    pair = escalation(offer.bounded, aim.target, offer.steps)
    votes = escalation_votes(offer.groups, *pair) if pair else math.inf
    worth = votes < WORTH * mixture_votes(offer.groups, k)
    return Escalation(*pair, votes) if pair and worth else None


# -- why a plan may not hold ------------------------------------------------------------------------


def _warnings(
    offer: Offer, aim: Aim, k: int | None, at_most: float, uncertain: bool, cost: float | None
) -> Iterator[str]:
    yield from _of_the_target(offer, aim, k, at_most, uncertain)
    yield from _of_the_sample(offer, aim)
    yield from _of_kinds(offer, aim, k)
    if k is not None:
        yield from _of_the_cap(offer, k)
    if cost is not None and aim.budget is not None and cost > aim.budget:
        yield _over_budget(offer, aim, cost)


def _of_the_target(offer: Offer, aim: Aim, k: int | None, at_most: float, uncertain: bool) -> Iterator[str]:
    hard = offer.groups[-1] if len(offer.groups) > 1 else None
    if at_most < aim.target:
        lost = sum(group.weight for group in offer.groups if group.p <= 0.5)
        yield (
            f"no k reaches {aim.target:g}: about {lost:.2g} of the sampled steps mostly go wrong, so success "
            f"is at most {at_most:.2g} whatever k is; a check, another model or another prompt for those "
            "steps can help, votes cannot"
        )
    elif k is None:
        worst = 1 - min(group.p for group in offer.bounded)
        yield (
            f"no k up to {MAX_SAMPLES} reaches {aim.target:g}: the error may be {worst:.3g} (seen: "
            f"{offer.error:.3g}), and at 1/2 more votes do not help; sample more, or take another model"
        )
    if hard is not None and k is not None:
        bound = 1 - offer.bounded[-1].p
        yield (
            f"errors come together: about {hard.weight:.2g} of the steps have an error of {1 - hard.p:.2g} "
            "and decide k"
            + (
                f"; it may be {bound:.2g}, which no k mends; this k is for what was seen: sample more"
                if uncertain
                else ""
            )
        )


def _of_the_sample(offer: Offer, aim: Aim) -> Iterator[str]:
    if success_at_most(offer.wrong_majority, offer.steps) < aim.target:
        needed = clean_steps(aim.target, offer.steps, aim.confidence)
        ground = f"the {offer.sampled:,} sampled steps leave" if offer.sampled else "the samples leave"
        more = ", more than the task has" if needed > offer.steps else ""
        yield (
            f"not certified: {ground} room for {offer.wrong_majority:.2g} of steps that mostly go wrong, and "
            f"the target for {budget(aim.target, offer.steps):.2g}; a sample would have to hold "
            f"{needed:,.0f} steps without one{more}; in practice only checks or unlike models can exclude it"
        )
    if offer.blind:
        yield "steps at which all votes were wrong alike were not seen: the task has no truth to hold against"
    if offer.draws == 1:
        yield "one sample a step does not tell whether errors come together: calibrate with --draws 3"
    if not offer.sampled:
        yield "put together from other calibrations, not measured: calibrate it before you rely on it"


def _of_kinds(offer: Offer, aim: Aim, k: int | None) -> Iterator[str]:
    """Of those that are worse than all steps together, and may be too rare to show there."""
    for kind in offer.hard:
        needed = k_min(1 - kind.error, aim.target, offer.steps)
        if kind.wrong_majority:
            what = f"at {kind.wrong_majority:,} of {kind.steps:,} most votes were wrong, and no k helps there"
        elif needed is None or needed > (k or 0):
            what = f"by what was seen they need k = {needed or 'none'}"
        else:
            what = "by what was seen k will do"
        yield (
            f"steps of the kind {kind.name!r}: {kind.error:.2g} of votes wrong, {kind.flagged:.2g} of "
            f"samples flagged, of all steps {offer.error:.2g} and {1 - offer.valid:.2g}; {what}"
        )


def _of_the_cap(offer: Offer, k: int) -> Iterator[str]:
    worst = min(group.p for group in offer.groups)
    samples = expected_votes(worst, k) / (offer.valid or 1) / offer.counting
    if 3 * samples > MAX_SAMPLES:
        yield (
            f"the hardest steps take about {samples:,.0f} samples: give --max-samples {3 * samples:,.0f} or "
            "more, or they are parked"
        )


def _over_budget(offer: Offer, aim: Aim, cost: float) -> str:
    within = 0
    while offer.price is not None and _spent(offer, within + 1)[1] * offer.price <= aim.budget:  # type: ignore[operator]
        within += 1
    reached = success_at_most(mixture_wrong(offer.bounded, within), offer.steps) if within else 0.0
    does = (
        f"buys k = {within}, with which success is {reached:.2g}"
        if within
        else "does not buy one vote a step"
    )
    return f"it costs {cost:,.2f}, more than the budget of {aim.budget:,.2f}, which {does}"


def _plain(value: Json) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
