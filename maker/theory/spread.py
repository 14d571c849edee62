"""Wrong votes that are spread over several answers: the right one is then ahead of each more easily.

Bounds by the largest share alone. Wrong answers of a model tend to agree more than chance would have them,
so shares must be measured and not assumed equal. Invariant: every bound holds, and with one rival it is
within a factor 1 / p_sub of equation 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from maker.errors import UsageError
from maker.theory.race import budget


def spread_wrong(p: float, rivals: Iterable[float], k: int) -> float:
    """At most this often some rival is ahead of the right answer by k first: sum of (q_j / p)^k.

    Against each rival alone the right answer is in a two-way race, of odds p to q_j (union bound over 9).
    """
    return min(1.0, sum((q / p) ** k for q in rivals)) if p > 0 else 1.0


def spread_k(p: float, top: float, rivals: int, target: float, steps: float) -> int | None:
    """The least k for `rivals` known wrong answers of which the commonest has the share `top` of all votes.

    k = ceil(ln(M (1-eps)/eps) / ln(p/q1)), Wald's bound for M hypotheses. None where the wrong one is as
    common as the right one: no k helps. p may be under 1/2.
    """
    if rivals < 1 or not (0 <= top <= 1 and 0 <= p <= 1):
        raise UsageError(f"p={p}, top={top}, rivals={rivals}; expected shares and 1 rival or more")
    allowed = budget(target, steps)
    if p <= top:
        return None
    if top == 0:
        return 1
    return max(1, math.ceil(math.log(rivals * (1 - allowed) / allowed) / math.log(p / top)))
