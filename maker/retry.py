"""Another panel for the steps that are parked: an amendment of each.

It reads the run and writes nothing; the worker of a lane records an amendment and goes on. Invariant: what
was drawn so far counts, and the new cap is on top of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maker.amendment import Amendment
from maker.heads import Head, heads
from maker.manifest import Source
from maker.nouns import Json
from maker.run_directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Retry:
    models: tuple[Source, ...]
    judges: tuple[Source, ...]
    voter: Source
    max_samples: int
    """Further draws at each step, at most."""

    def to_json(self) -> dict[str, Json]:
        """For people, and for the claim of the command that retries."""
        models, judges = ([each.spec for each in sources] for sources in (self.models, self.judges))
        who = {"models": models, "judges": judges, "voter": self.voter.spec}
        return {**who, "max_samples": self.max_samples}

    def amendments(self, run: RunDirectory) -> Mapping[str, Sequence[Amendment]]:
        """By lane, one for each step that is parked, or still open under the panel of another retry."""
        found: defaultdict[str, list[Amendment]] = defaultdict(list)
        for lane, head in heads(run):
            if head.park and not head.children:
                found[lane].append(self._amendment(head, head.park["state"]))
            elif head.amendment and not self._is_of(head.amendment):
                found[lane].append(self._amendment(head, head.amendment.state))
        return found

    def _is_of(self, amendment: Amendment) -> bool:
        was = (amendment.models, amendment.judges, amendment.voter)
        return was == (self.models, self.judges, self.voter)

    def _amendment(self, head: Head, state: str) -> Amendment:
        return Amendment(
            segment=head.segment,
            step=head.index,
            state=state,
            models=self.models,
            judges=self.judges,
            voter=self.voter,
            max_samples=head.drawn + self.max_samples,
        )
