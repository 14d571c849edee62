"""What changes at a step that is in trouble: other words, another model, and at last nobody but a person.

Draws are made in rounds, of as many as the voter wants of an empty ballot. A round is in trouble with the
second flag since the last change, or where its votes, and the answer that led before it, are not all one;
each such round leads one rung up. Pure. Invariant: who fills a draw depends on rounds before its own alone,
and those are all in when it is launched, so neither the order of arrival nor a crash changes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from maker.errors import UsageError

Rung: TypeAlias = Literal["variant", "model", "park"]
"""What changes: the prompt's words, the model, or that the step is parked."""

FLAGS = 2
"""That make trouble. They cluster: what was flagged twice will be flagged again if nothing changes."""


@dataclass(frozen=True, slots=True)
class Ladder:
    rungs: tuple[Rung, ...] = ()
    """None: nothing ever changes, and the panel's models are drawn in turn."""
    round: int = 1
    """Draws."""

    def __bool__(self) -> bool:
        return bool(self.rungs)

    def bounds(self, draw: int) -> tuple[int, int]:
        """The first draw of a draw's round, and that of the next one."""
        start = draw - draw % self.round
        return start, start + self.round

    def climbed(self, said: Sequence[str | None]) -> int:
        """How many rungs whole rounds have led up; `said`: each draw's key, None where it was flagged."""
        rungs, flags, votes = 0, 0, Counter[str]()
        for start in range(0, len(said), self.round):
            now = said[start : start + self.round]
            flags += now.count(None)
            answers = {max(votes, key=votes.__getitem__)} if votes else set[str]()
            answers.update(key for key in now if key is not None)
            votes.update(key for key in now if key is not None)
            if flags >= FLAGS or len(answers) > 1:
                rungs, flags = rungs + 1, 0
        return min(rungs, len(self.rungs))

    def variant(self, climbed: int) -> int:
        """Which wording of the prompt; 0 is the task's first."""
        return self.rungs[:climbed].count("variant")

    def member(self, climbed: int) -> int | None:
        """Which model of the panel draws; None where they are drawn in turn."""
        return self.rungs[:climbed].count("model") if "model" in self.rungs else None

    def parks(self, climbed: int) -> bool:
        return "park" in self.rungs[:climbed]


NO_LADDER = Ladder()


def parse(text: str | None) -> list[Rung]:
    """`variant,model,park`; None or `none` is no ladder. Raises UsageError."""
    if not isinstance(text, str | None):
        raise UsageError(f"escalate={text!r}, expected rungs in one string, such as 'variant,model,park'")
    words = [] if text in (None, "none") else [word.strip() for word in text.split(",")]
    known: dict[str, Rung] = {rung: rung for rung in get_args(Rung)}
    if unknown := [word for word in words if word not in known]:
        names = ", ".join(known)
        raise UsageError(f"escalate={text!r}: {unknown[0]!r} is no rung; expected {names}, or none")
    if "park" in words[:-1]:
        raise UsageError(f"escalate={text!r}: nothing comes after `park`; expected it at the end, if at all")
    return [known[word] for word in words]
