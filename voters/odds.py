"""How sure a step has to be, for a whole task to come out right."""

from __future__ import annotations

import math

from maker.errors import UsageError


def checked_error(voter: str, name: str, error: float) -> float:
    """A model's share of wrong votes; UsageError for one that no number of votes can outweigh."""
    if not 0 < error < 0.5:
        raise UsageError(f"{voter}: {name}={error}, expected a share above 0 and below 0.5")
    return error


def allowed(voter: str, steps: int, target: float) -> float:
    """Natural log of the odds (wrong to right) that one of `steps` steps may have, for all to be right with
    the chance `target`: each may be wrong with eps = 1 - target**(1 / steps)."""
    if steps < 1 or not 0 < target < 1:
        raise UsageError(
            f"{voter}: steps={steps}, target={target}; expected 1 or more, and above 0 and below 1"
        )
    log_right = math.log(target) / steps
    return math.log(-math.expm1(log_right)) - log_right
