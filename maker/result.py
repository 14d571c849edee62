"""How a run ended, for programs and people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from maker import summary
from maker.nouns import Json
from maker.run_directory import RunDirectory

Status = Literal["done", "failed", "parked", "budget", "blocked", "stopped", "fenced"]
EXIT_CODES: dict[str, int] = {
    "done": 0,
    "failed": 1,
    "blocked": 1,
    "parked": 3,
    "budget": 4,
    "fenced": 5,
    "stopped": 130,
}


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. Counters are of the whole run, all its commands together."""

    status: Status
    """done: stitched, and verified if the task can; failed: it was judged wrong, or does not fit together;
    parked: some steps wait; budget: a cap on calls, tokens or cost is reached; blocked: it cannot draw;
    stopped: asked to; fenced: another process took over."""
    reason: str | None
    """Why it is not done."""
    result: Json
    """What the task stitched; None unless every segment has finished."""
    verified: bool | None
    """The task's own judgement of every step; None if it has none, or it did not come to it."""
    steps: int
    votes: int
    samples: int
    flagged: int
    contested: int
    """Steps with votes for more than one answer."""
    parked: int
    transport_faults: int
    tokens_in: int
    tokens_out: int
    cost: float | None = None
    """Of these tokens; None where no prices were given."""
    flags: dict[str, int] = field(default_factory=dict)
    """Red flags by reason."""
    by_person: int = 0
    """Steps whose answer is a person's."""
    tokens_cached: int = 0
    """Of the prompt tokens, those that an endpoint had in its prefix cache."""
    drifts: int = 0
    """Times that a model began to answer under another name or fingerprint."""
    repeats: int = 0
    """Times that a model was found to give one answer again and again instead of drawing anew: its votes may
    be none (docs/escalation.md)."""
    hedged: int = 0
    """Draws that were sent twice: calls beside the samples. The second reply is taken to cost what the first
    did, and is in the tokens and the cost."""
    lost_workers: int = 0
    """In this command."""
    seconds: float = 0.0
    """Wall clock of this command."""
    run: str = ""
    """The run's directory."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def stored(directory: RunDirectory) -> RunResult | None:
    """The result of a run that is done or was judged wrong: nothing is drawn again."""
    found = directory.result()
    if found is None or (found["status"] != "done" and found["verified"] is not False):
        return None
    summary.check_result(directory, summary.summarise(directory))
    return RunResult(**(found | {"seconds": 0.0, "run": str(directory.path)}))
