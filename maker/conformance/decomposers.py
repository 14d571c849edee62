"""What every decomposer must keep, checked by walking it: with its own `truth`, else with a model's answers.

Whether a task is cut well is not asked. Invariant: equal subjects give equal findings, but for the times in
them. Read next: `stepwise.py`, `whole_run.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from maker.conformance import stepwise, whole_run
from maker.conformance.finding import Finding, run, run_all
from maker.conformance.subject import Subject

CHECKS: dict[str, Callable[[Subject], Finding]] = {
    "walk": stepwise.walks,
    "segments": stepwise.segments,
    "pure": stepwise.pure,
    "state": stepwise.untouched,
    "json": stepwise.plain,
    "growth": stepwise.growth,
    "prompt": stepwise.prompts,
    "parse": stepwise.parse,
    "advance": stepwise.advance,
    "mistake": stepwise.mistakes,
    "sample": whole_run.samples,
    "steps": whole_run.length,
    "verify": whole_run.judged,
    "stitch": whole_run.stitches,
}
"""By name, in the order in which they are run."""


def check(subject: Subject) -> Iterator[Finding]:
    """Every finding, in order; only the first where the task cannot even be walked."""
    (name, first), *rest = CHECKS.items()
    walked = run(name, partial(first, subject))
    yield walked
    if walked.verdict != "fail":
        yield from run_all((name, partial(each, subject)) for name, each in rest)
