"""Accept r votes that all agree, else go on until a lead: the rule that pays where few steps are hard.

Nothing can do with fewer opening votes than `opening` without outside information: a hard step whose first
votes are all wrong looks like an easy one. Two answers, as in `race.py`. Invariant: at r = lead it is
ahead-by-k.
"""

from __future__ import annotations

from maker.theory.mixture import Groups, smallest
from maker.theory.race import budget, expected_votes, wrong


def escalation_wrong(groups: Groups, r: int, lead: int) -> float:
    """How often a step ends wrong: unanimously in the first r votes, or after a dissent among them."""
    return sum(group.weight * _wrong(group.p, r, lead) for group in groups)


def escalation_votes(groups: Groups, r: int, lead: int) -> float:
    """Expected valid votes a step."""
    return sum(group.weight * _votes(group.p, r, lead) for group in groups)


def opening(groups: Groups, target: float, steps: float) -> int | None:
    """The least r of which sum w_g (1-p_g)^r <= eps: fewer unanimous votes are wrong too often."""
    allowed = budget(target, steps)
    return smallest(lambda r: sum(group.weight * (1 - group.p) ** r for group in groups) <= allowed)


def escalation(groups: Groups, target: float, steps: float, beyond: int = 12) -> tuple[int, int] | None:
    """(r, lead) of the fewest expected votes that reach the target; None where none do.

    Looks at r up to `beyond` votes more than the least possible.
    """
    allowed, least = budget(target, steps), opening(groups, target, steps)
    if least is None:
        return None
    pairs = list[tuple[int, int]]()
    for r in range(least, least + beyond + 1):
        lead = smallest(lambda lead, r=r: escalation_wrong(groups, r, lead) <= allowed)  # type: ignore[misc]
        if lead is not None:
            pairs.append((r, lead))
    return min(pairs, key=lambda pair: escalation_votes(groups, *pair), default=None)


def _dissents(p: float, r: int) -> list[tuple[float, int, int]]:
    """(probability, votes so far, lead of the right answer) at the first dissent among r votes."""
    after = [(p**agreed * (1 - p), agreed + 1, agreed - 1) for agreed in range(1, r)]
    return after + [((1 - p) ** agreed * p, agreed + 1, 1 - agreed) for agreed in range(1, r)]


def _wrong(p: float, r: int, lead: int) -> float:
    contested = sum(part * wrong(p, lead, ahead) for part, _, ahead in _dissents(p, r))
    return (1 - p) ** r + contested


def _votes(p: float, r: int, lead: int) -> float:
    contested = (part * (cast + expected_votes(p, lead, ahead)) for part, cast, ahead in _dissents(p, r))
    return r * (p**r + (1 - p) ** r) + sum(contested)
