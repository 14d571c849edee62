"""Whether two answers are the same, asked of models and voted on like a step: the task of one comparison.

It reads the task's `judge` and, if there is one, `ruling`. Invariant: what is asked follows from the step and
the two answers, so a resume and a replay compare the same.
"""

from __future__ import annotations

from maker.nouns import Json, Prompt, Segment, Step
from maker.task import Task


class Comparison(Task):
    """One step: the answer is whether `answer` votes for what `first` said."""

    def __init__(self, task: Task, step: Step, first: Json, answer: Json) -> None:
        super().__init__(task.decomposer, task.name)
        self.judges = self.scores = self.varies = False
        self._at, self._pair = step, (first, answer)

    def prompt(self, step: Step) -> Prompt | None:
        return self.comparison(self._at, *self._pair) if step.index == self._at.index else None

    def read(self, step: Step, text: str) -> tuple[str, Json]:
        same = self.ruling(self._at, text)
        return ("true" if same else "false"), same

    def advance(self, step: Step, answer: Json) -> tuple[Step, tuple[Segment, ...]]:
        return Step(step.segment, step.index + 1, None), ()
