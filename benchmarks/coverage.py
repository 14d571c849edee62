"""How often the 95 % intervals of a calibration hold a truth that is known, and how wide they are.

    python -m benchmarks.coverage              300 repetitions a point, of the figures alone
    python -m benchmarks.coverage --through    fewer, each a whole calibration with its journal
    python -m benchmarks.coverage --embedded   steps of the embedded model, chosen again and again

A step is hard or not by chance, a vote at it wrong by its own error; flags come by chance, latencies are
lognormal. The truth is that of all steps there could be. An interval that holds 95 % of the time holds in
fewer than 274 of 300 repetitions about once in 800. Of the embedded model 3,000 steps are drawn once: they
are all steps there are, and each repetition chooses from them with replacement.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.record import keep
from maker import assembly, calibrator, measure
from maker.calibration import Figures, Mean, Share
from maker.measure import Draw, StepDraws
from maker.run_directory import RunDirectory

RATES, STEPS, DRAWS = (0.9, 0.99, 0.998), (100, 1000), 3
THROUGH = {100: 10, 1000: 2}
"""Repetitions by steps, where each is a run."""
FLAGS, SIGMA, LATENCY = 0.03, 0.5, 0.02
NEEDED = 274
LATENCIES = 4000
MEASURED = ("error", "valid", "rho", "again", "contested", "collisions", "collisions_unflagged", "latency")


@dataclass(frozen=True)
class World:
    """A simulated model, as `sim` takes it."""

    name: str
    error: float
    """Of easy steps."""
    hard: float = 0.0
    hard_error: float = 0.0

    def moment(self, wrong: int, right: int = 0) -> float:
        """Mean over steps of e**wrong * (1 - e)**right."""
        easy, hard = self.error, self.hard_error
        first = (1 - self.hard) * easy**wrong * (1 - easy) ** right
        return first + self.hard * hard**wrong * (1 - hard) ** right

    def truth(self, draws: int) -> dict[str, float]:
        e, both = self.moment(1), self.moment(2)
        lost = (FLAGS + (1 - FLAGS) * self.error, FLAGS + (1 - FLAGS) * self.hard_error)
        return {
            "error": e,
            "valid": 1 - FLAGS,
            "rho": (both - e * e) / (e * (1 - e)),
            "again": both / e,
            "contested": self._contested(draws),
            "collisions": both,
            "collisions_unflagged": (1 - self.hard) * lost[0] ** 2 + self.hard * lost[1] ** 2,
            "latency": LATENCY * math.exp(SIGMA**2 / 2),
        }

    def _contested(self, draws: int) -> float:
        """Of steps with a valid vote; the wrong answer is always the same."""
        some = [math.comb(draws, n) * (1 - FLAGS) ** n * FLAGS ** (draws - n) for n in range(1, draws + 1)]
        alike = [1 - self.moment(n) - self.moment(0, n) for n in range(1, draws + 1)]
        return sum(p * q for p, q in zip(some, alike, strict=True)) / sum(some)

    def model(self, repetition: int) -> str:
        hard = f",hard={self.hard},hard_error={self.hard_error},hard_seed={repetition}" if self.hard else ""
        return f"sim:error={self.error},flags={FLAGS},latency={LATENCY / 100},sigma={SIGMA}{hard}"


def worlds(p: float) -> Iterator[World]:
    """All steps alike; all errors at few steps, where every other vote is wrong."""
    yield World("all steps", 1 - p)
    yield World("hard steps", 0.0, 2 * (1 - p), 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--through", action="store_true")
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--embedded", action="store_true")
    given = parser.parse_args()
    if given.embedded:
        keep("coverage-embedded", embedded(given.repetitions), "python -m benchmarks.coverage --embedded")
        return
    with ProcessPoolExecutor(3) as pool:
        points = pool.map(partial(_point, given.through, given.repetitions), itertools.product(RATES, STEPS))
        rows = [row for rows in points for row in rows]
    option = " --through" if given.through else ""
    keep("coverage-through" if given.through else "coverage", rows, f"python -m benchmarks.coverage{option}")
    short = [row for row in rows if row["held"] * 300 < NEEDED * row["of"]]
    print(f"{len(short)} of {len(rows)} hold less often than {NEEDED} of 300: {short}")


def _point(through: bool, repetitions: int, point: tuple[float, int]) -> list[dict[str, Any]]:
    """The rows of a point of the grid."""
    p, steps = point
    alike, hard = worlds(p)
    if through:
        return measured(p, steps, DRAWS, hard, THROUGH[steps], True)
    of_one = measured(p, steps, 1, alike, repetitions, False)
    return of_one + [
        row for world in (alike, hard) for row in measured(p, steps, DRAWS, world, repetitions, False)
    ]


def measured(
    p: float, steps: int, draws: int, world: World, repetitions: int, through: bool
) -> list[dict[str, Any]]:
    """A row for each figure: in how many repetitions its interval held the truth, and the widths."""
    truth = world.truth(draws)
    draw = drawn_through if through else drawn
    found = [draw(world, steps, draws, repetition) for repetition in range(repetitions)]
    names = MEASURED if draws > 1 else ("error", "valid")
    point = {"p": p, "steps": steps, "draws": draws, "errors": world.name}
    return [{**point, **row} for row in _held(truth, found, names)]


def _held(
    truth: Mapping[str, float], found: Sequence[Figures], names: Iterable[str]
) -> Iterator[dict[str, Any]]:
    for name in names:
        intervals: Sequence[Share | Mean] = [getattr(each, name) for each in found]
        held = sum(each.low <= truth[name] <= each.high for each in intervals)
        width = statistics.median(each.high - each.low for each in intervals)
        counts = {"held": held, "of": len(found)}
        yield {
            "figure": name,
            "truth": float(f"{truth[name]:.4g}"),
            **counts,
            "width": float(f"{width:.3g}"),
        }


def embedded(repetitions: int) -> list[dict[str, Any]]:
    """Of 20 disks; at temperature 3.0 nine of ten samples are flagged."""
    rows = list[dict[str, Any]]()
    for temperature in ("2.0", "3.0"):
        pool = _embedded_steps(f"embedded:temperature={temperature}")
        whole = measure.figures(pool)
        truth = {name: getattr(whole, name).value for name in MEASURED}
        for steps in STEPS:
            chances = [Random(f"{temperature}/{steps}/{repetition}") for repetition in range(repetitions)]
            found = [measure.figures(chance.choices(pool, k=steps)) for chance in chances]
            point = {"temperature": temperature, "steps": steps, "draws": DRAWS}
            rows += [{**point, **row} for row in _held(truth, found, MEASURED)]
    return rows


def _embedded_steps(model: str) -> list[StepDraws]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        params = {"disks": 20}
        calibrator.calibrate("hanoi", params=params, model=model, steps=3000, run_dir=run, engine="inline")
        directory = RunDirectory(run)
        task = assembly.task(directory.manifest())
        return [seen.draws for seen in calibrator.Reader(task, DRAWS).read(directory)]


def _pool() -> list[list[Draw]]:
    """Right, wrong and flagged draws, each with latencies in even quantiles."""
    quantile = statistics.NormalDist().inv_cdf
    latencies = [LATENCY * math.exp(SIGMA * quantile((n + 0.5) / LATENCIES)) for n in range(LATENCIES)]
    kinds: list[tuple[int | None, str]] = [(0, ""), (1, ""), (None, "malformed")]
    return [[Draw(*kind, 100, 20, latency) for latency in latencies] for kind in kinds]


POOL = _pool()


def drawn(world: World, steps: int, draws: int, repetition: int) -> Figures:
    """The figures of made-up draws."""
    chance = Random(f"{world}/{steps}/{draws}/{repetition}")
    return measure.figures([list(_step(world, draws, chance)) for _ in range(steps)])


def _step(world: World, draws: int, chance: Random) -> Iterator[Draw]:
    error = world.hard_error if chance.random() < world.hard else world.error
    for _ in range(draws):
        flagged, wrong = chance.random() < FLAGS, chance.random() < error
        yield POOL[2 if flagged else int(wrong)][int(chance.random() * LATENCIES)]


def drawn_through(world: World, steps: int, draws: int, repetition: int) -> Figures:
    """The same through a run: sampled steps, the simulated model, the journal, and reading it back."""
    with tempfile.TemporaryDirectory() as folder:
        _, found = calibrator.calibrate(
            "hanoi",
            params={"disks": 20},
            model=world.model(repetition),
            steps=steps,
            draws=draws,
            seed=repetition,
            run_dir=Path(folder) / "run",
            engine="inline",
        )
    assert found is not None
    latency = found.latency
    scaled = Mean(value=latency.value * 100, low=latency.low * 100, high=latency.high * 100)
    return found.model_copy(update={"latency": scaled})


if __name__ == "__main__":
    main()
