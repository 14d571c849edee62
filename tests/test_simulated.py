"""The simulated model errs as often as it is told to, in the ways it is told to, by its seeds alone."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter

import pytest

from maker.decomposers.hanoi import Hanoi
from maker.errors import UsageError
from maker.model import Request
from maker.nouns import Prompt, Sample, Seat, Step
from maker.workers.simulated import MALFORMED, Simulated
from tests.support import Spell

TASK = Hanoi(8)
STEP = Step("0", 9, {"previous": [1, 0, 1], "pegs": [[8, 7, 6, 5, 4], [1], [3, 2]]})


def draw(model: Simulated, count: int, step: Step = STEP) -> list[Sample]:
    seats = tuple(Seat(number, "sim", None, number) for number in range(count))

    async def collect() -> list[Sample]:
        return [sample async for sample in model.draw(Request(step, Prompt(()), seats))]

    return asyncio.run(collect())


def near(count: int, share: float, of: int) -> bool:
    """Within five standard deviations of a binomial."""
    return abs(count - share * of) <= 5 * math.sqrt(of * share * (1 - share))


def test_errors_and_flags_come_at_the_rates_asked_for() -> None:
    samples = draw(Simulated(TASK, error=0.2, flags=0.1), 4000)
    flagged = sum(sample.text == MALFORMED for sample in samples)
    wrong = sum(sample.text not in (MALFORMED, TASK.truth(STEP)) for sample in samples)
    assert near(flagged, 0.1, 4000)
    assert near(wrong, 0.2, 4000 - flagged)


def test_wrong_answers_spread_evenly_over_the_rivals() -> None:
    texts = Counter(sample.text for sample in draw(Simulated(TASK, error=1.0, rivals=3), 3000))
    assert len(texts) == 3
    assert all(near(count, 1 / 3, 3000) for count in texts.values())


def test_hard_steps_are_a_share_of_the_steps_and_have_their_own_error() -> None:
    model = Simulated(TASK, hard=0.3, hard_error=1.0)
    right = [
        draw(model, 1, Step("0", index, STEP.state))[0].text == TASK.truth(STEP) for index in range(1000)
    ]
    assert near(right.count(False), 0.3, 1000)
    assert right == [
        draw(model, 1, Step("0", index, STEP.state))[0].text == TASK.truth(STEP) for index in range(1000)
    ]


def test_latency_is_lognormal_around_its_median_and_changes_no_answer() -> None:
    still = draw(Simulated(TASK, error=0.3), 200)
    began = time.monotonic()
    moved = draw(Simulated(TASK, error=0.3, latency=0.02, sigma=0.5), 200)
    took = time.monotonic() - began
    assert {s.seat.draw: s.text for s in moved} == {s.seat.draw: s.text for s in still}
    latencies = [sample.latency for sample in moved]
    assert latencies == sorted(latencies)
    assert 0.016 < latencies[100] < 0.025
    assert took >= latencies[-1]


def test_a_task_without_truth_cannot_be_simulated() -> None:
    with pytest.raises(UsageError, match=r"the task cannot be simulated.*--model"):
        Simulated(Spell())  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"error": 1.5}, {"flags": -1}, {"rivals": 0}, {"latency": -1}])
def test_senseless_rates_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Simulated(TASK, **options)  # type: ignore[arg-type]
