"""Whether an endpoint draws anew each time: the same question a few times over, whose answer is chance.

It asks and says what it saw; nothing is kept. A run cannot tell a cache from a model that is sure, unless the
endpoint tells probabilities (`repeats.py`); here every honest answer is another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from maker.model import Model, Request
from maker.nouns import Message, Prompt, Sample, Seat, Step

PROMPT = Prompt((Message("user", "Write 20 random digits. Answer with the digits alone."),), max_tokens=64)
SEEDS = (1, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class Draws:
    """Of four requests, one after the other; the first two with the same seed."""

    samples: tuple[Sample, ...]

    @property
    def repeat(self) -> str | None:
        """What is wrong, if something is."""
        texts = {sample.text for sample in self.samples}
        ids = [sample.request for sample in self.samples if sample.request is not None]
        if len(texts) == 1:
            return f"{len(self.samples)} draws of 20 random digits at temperature 1 are all the same"
        if len(set(ids)) < len(ids) and self.samples[2].request != self.samples[3].request:
            return "one response came for two requests"
        return None

    @property
    def keeps_seed(self) -> bool:
        first, again, *_ = (sample.text for sample in self.samples)
        return first == again


async def draw(model: Model) -> Draws:
    """Raises BlockedError where the model cannot draw."""
    samples = []
    for number, seed in enumerate(SEEDS):
        seats = (Seat(number, model.name, 1.0, seed),)
        samples += [each async for each in model.draw(Request(Step("probe", 0, None), PROMPT, seats))]
    return Draws(tuple(samples))
