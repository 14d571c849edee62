"""`maker run --target`: the k of a run from a calibration, before it begins; and whose calibration it is.

The plan's k stands in the manifest as any other, so a resume is the same run. Invariant: a calibration of
another task, of other models or red flags is refused, with what differs; other parameters are told.
"""

from __future__ import annotations

from os import PathLike

import structlog

from maker import assembly, calibration, compatibility
from maker import offer as offers
from maker.calibration import Calibration
from maker.compatibility import Difference
from maker.errors import UsageError, inert
from maker.manifest import Manifest
from maker.nouns import Json
from maker.plan import Aim, Plan, plan

log = structlog.get_logger("maker")


def k(manifest: Manifest, target: float | None, path: str | PathLike[str] | None) -> int:
    """The k that reaches the target, by the calibration at `path`. Raises UsageError where none does."""
    if target is None or path is None:
        raise UsageError(
            "a target needs a calibration and a calibration a target: give both (--target 0.95 --calibration "
            "calibration.json), or --k"
        )
    aim, seen = Aim(target), calibration.read(path)
    check(manifest, seen, path)
    found = plan(offers.of(seen, length(manifest, seen), aim.confidence, {}), aim)
    if found.k is None:
        raise UsageError(f"{path}: {found.warnings[0]}")
    _tell(found)
    return found.k


def check(manifest: Manifest, seen: Calibration, path: str | PathLike[str]) -> None:
    """Raises UsageError where the task, models or red flags are others than those calibrated."""
    told = {"task": seen.task, "models": seen.models, "red_flags": seen.red_flags}
    asked = {"parameters": seen.parameters, **told}
    found = compatibility.differences(manifest.model_copy(update=asked), manifest)
    size = [each for each in found if each.field.startswith("parameters")]
    if other := [each for each in found if each not in size]:
        raise UsageError(
            f"{path} is of something else: {'; '.join(map(_said, other))}: "
            "give what was calibrated, or calibrate this"
        )
    for each in size:
        log.warning("calibrated_otherwise", difference=_said(each))


def length(manifest: Manifest, seen: Calibration) -> float:
    """Steps of the task that is asked for. Raises UsageError where nobody says."""
    same = manifest.parameters == seen.parameters and seen.length is not None
    steps = seen.length if same else stated(manifest)
    if not steps:
        raise UsageError(
            f"{manifest.task.spec} does not say how many steps it has (an attribute `steps`), "
            "and k depends on that: plan with `maker plan --steps N`, and run with the k that it tells as --k"
        )
    return steps


def stated(manifest: Manifest) -> int | None:
    """Steps that a task says it has."""
    found: int | None = getattr(assembly.task(manifest).decomposer, "steps", None)
    return found


def _said(difference: Difference) -> str:
    return f"{difference.field} is {_short(difference.asked)} here and {_short(difference.stored)} there"


def _short(value: Json) -> str:
    return inert(value if isinstance(value, str) else repr(value), 60)


def _tell(found: Plan) -> None:
    log.info("planned", k=found.k, steps=found.offer.steps, success=round(found.success, 4))
    for warning in found.warnings:
        log.warning("plan", warning=warning)
