"""From what a user asks for to a manifest: names made findable, values typed, defaults filled in."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from typing import TypeAlias

from maker import canonical, ladder, plugins, records
from maker.ballot import Ballot
from maker.errors import PluginError, UsageError
from maker.guard import guarded
from maker.manifest import Manifest, Source
from maker.nouns import Json, Step
from maker.panel import Panel
from maker.retry import Retry
from maker.task import Task
from maker.voter import Want

Named: TypeAlias = str | type | Sequence[str | type]
"""One or several plug-ins: names, or the classes themselves."""


def manifest(
    task: str | type,
    params: Mapping[str, object],
    model: Named | None,
    k: int | None,
    voter: str | None,
    red_flags: str,
    seed: int,
    max_samples: int,
    judge: Named | None = None,
    escalate: str | None = None,
) -> Manifest:
    """The manifest of a new run; see `api.run` for what can be asked. Raises UsageError."""
    cast = rule(k, voter) or "ahead_by_k:k=3"
    if max_samples < 1:
        raise UsageError(f"max_samples={max_samples}, expected 1 or more")
    subject = plugins.find(plugins.DECOMPOSERS, plugins.spec_of(task))
    name = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
    models = _specs(model, "model") or [_suggested(subject, params)]
    return Manifest(
        run=name,
        maker=version("maker"),
        task=_source(subject),
        parameters=subject.typed(params),
        models=[source(plugins.MODELS, each) for each in models],
        judges=judges(judge),
        voter=source(plugins.VOTERS, cast),
        red_flags=rules(red_flags),
        seed=seed,
        escalate=ladder.parse(escalate),
        max_samples=max_samples,
    )


def retry(
    stored: Manifest,
    models: Named | None,
    k: int | None,
    voter: str | None,
    max_samples: int | None,
    judge: Named | None = None,
) -> Retry:
    """Another panel for parked steps: what is not given is the run's own."""
    cast = rule(k, voter)
    more = stored.max_samples if max_samples is None else max_samples
    if more < 1:
        raise UsageError(f"max_samples={more}, expected 1 or more")
    return Retry(
        tuple(source(plugins.MODELS, each) for each in _specs(models, "model")) or tuple(stored.models),
        tuple(stored.judges if judge is None else judges(judge)),
        stored.voter if cast is None else source(plugins.VOTERS, cast),
        more,
    )


def rule(k: int | None, voter: str | None) -> str | None:
    """The voter that `k` or `voter` names, if either is given."""
    if k is not None and voter is not None:
        raise UsageError("give k or a voter, not both (a voter's k goes behind its name: first_to_k:k=3)")
    return voter if k is None else f"ahead_by_k:k={k}"


def source(group: str, spec: str) -> Source:
    """A plug-in as a manifest names it."""
    return _source(plugins.find(group, spec))


def _source(found: plugins.Plugin) -> Source:
    return Source(spec=found.spec, sha256=found.sha256, defined=found.defined)


def rules(red_flags: str) -> list[Source]:
    """`truncated|too_long:tokens=700`, or `none`."""
    names = [] if red_flags == "none" else red_flags.split("|")
    return [source(plugins.RED_FLAGS, name.strip()) for name in names]


def judges(named: Named | None) -> list[Source]:
    """None, or `none` alone: the panel judges."""
    listed = _specs(named, "judge")
    if listed == ["none"]:
        return []
    return [source(plugins.MODELS, each) for each in listed]


def _specs(named: Named | None, option: str) -> list[str]:
    return [] if named is None else plugins.specs_of(named, option)


def check_judges(subject: Task, named: Sequence[Source]) -> None:
    """Raises UsageError when a judge is named that would never be asked."""
    if named and not subject.asks_models:
        raise UsageError(
            f"--judge {named[0].spec}: the task {subject.name} has no method `judge`, so it never asks "
            "a model whether two answers are the same: leave --judge out, or see docs/answers.md"
        )


def check_ladder(subject: Task, named: Manifest) -> None:
    """Raises UsageError when the ladder has a rung that leads nowhere."""
    rungs, told = named.escalate, f"--escalate {','.join(named.escalate)}"
    if "variant" in rungs and not subject.varies:
        raise UsageError(
            f"{told}: the task {subject.name} has no method `variant`, so it cannot ask in other words: "
            "leave `variant` out, or see docs/escalation.md"
        )
    if rungs.count("model") >= len(named.models):
        raise UsageError(
            f"{told}: it needs {rungs.count('model') + 1} models, and the panel has "
            f"{len(named.models)}: give more of --model"
        )
    if rungs and subject.asks_models:
        raise UsageError(f"{told}: the task {subject.name} has models compare answers: leave --escalate out")


def check_voter(subject: Task, panel: Panel) -> None:
    """Raises UsageError when the voter goes by something that the task does not say, or by nobody's votes."""
    names = [member.name for member in panel.members]
    if unknown := set(getattr(panel.voter, "models", ())) - set(names):
        raise UsageError(f"the voter knows a model {min(unknown)}, expected one of {', '.join(names)}")
    if getattr(panel.voter, "reads", "") == "scores" and not subject.scores:
        raise UsageError(
            f"the voter goes by the task's scores, and the task {subject.name} has no method `score(step, "
            "answer)`: give it one, or another --voter"
        )


def first_prompt(subject: Task) -> str:
    """Digest of what is asked at the first step of the first segment; empty where nothing is."""
    try:
        for segment in islice(subject.segments(), 1):
            prompt = subject.prompt(Step(segment.id, 0, segment.state))
            return "" if prompt is None else canonical.digest(records.rendered(prompt))
    except PluginError:
        pass  # the run meets it again, and says where
    return ""


def settings(**chosen: object) -> dict[str, Json]:
    """What a command may choose anew each time, and where and when it was given: for people to read."""
    when = {"maker": version("maker"), "at": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    return {**when, "host": socket.gethostname(), "pid": os.getpid(), **chosen}


def _suggested(subject: plugins.Plugin, params: Mapping[str, object]) -> str:
    """The model a task names itself (its attribute `model`), such as one that ships with Maker."""
    suggestion: str | None = getattr(subject.make(params), "model", None)
    if suggestion is None:
        raise UsageError(
            f"{subject.spec}: no model suits it by default; give one, such as --model openai:NAME"
        )
    return suggestion


def check_cap(panel: Panel) -> None:
    """No step could ever be decided with fewer samples than its voter needs."""
    verdict = guarded("the voter", None, panel.voter.decide, Ballot(panel.max_samples))
    if isinstance(verdict, Want) and verdict.votes > panel.max_samples:
        raise UsageError(
            f"max_samples={panel.max_samples}, but the voter needs {verdict.votes} votes at least"
        )
