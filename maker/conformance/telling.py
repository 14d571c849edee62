"""Answers by a model, for a task that does not know the truth itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from maker import plugins
from maker.conformance.walk import Tell
from maker.model import Model, Request
from maker.nouns import Prompt, Sample, Seat, Step
from maker.task import Task

SAMPLES = 3
"""Drawn at a step: one that can be read is enough to walk on."""


def by_model(spec: str | None, options: Mapping[str, str]) -> Callable[[Task], Tell]:
    """Whoever is named answers, else the model that the task suggests; nobody, if there is none."""

    def teller(task: Task) -> Tell:
        name: str | None = spec or getattr(task.decomposer, "model", None)
        if name is None:
            return lambda step, prompt: ()
        plugin = plugins.find(plugins.MODELS, name)
        fitting = {option: value for option, value in options.items() if plugin.takes(option)}
        return lambda step, prompt: asyncio.run(
            _drawn(plugin.make(fitting, task=task.decomposer), step, prompt)
        )

    return teller


async def _drawn(model: Model, step: Step, prompt: Prompt) -> tuple[str, ...]:
    seats = tuple(Seat(draw, model.name, model.temperatures[draw > 0], draw + 1) for draw in range(SAMPLES))
    samples: list[Sample] = []
    try:
        async for sample in model.draw(Request(step, prompt, seats)):
            samples.append(sample)
    finally:
        await model.aclose()
    return tuple(sample.text for sample in sorted(samples, key=lambda sample: sample.seat.draw))
