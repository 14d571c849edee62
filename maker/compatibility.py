"""Whether a run may go on as it is asked for: the fields that decide its answers, one by one.

It reads plug-ins' files and runs none of them. Invariant: what passes here draws, flags and votes as the run
did from its start; docs/reliability.md has the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maker import plugins
from maker.errors import IncompatibleResumeError, UsageError, inert
from maker.manifest import Manifest, Source
from maker.nouns import Json
from maker.place import Place

TASK = frozenset({"task", "parameters", "prompt"})
"""Fields of the fingerprint in which a fork may not differ either."""
OFFLINE = ("task", "voter", "red_flags")
"""Plug-ins that deciding a recorded run again takes."""
PLUGINS = ("task", "models", "judges", "voter", "red_flags")
"""Fields that name plug-ins."""
WIDTH = 48
"""Characters that a value is shown with at most."""
NOTHING = "(none)"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of the fingerprint, down to the single value."""

    field: str
    stored: Json
    asked: Json


def check(run: Place | str, stored: Manifest, asked: Manifest, hint: str = "") -> None:
    """Raises IncompatibleResumeError with a table of what differs, and what to do about it."""
    if found := differences(stored, asked):
        ends = [hint, _advice(run, asked, found)] if hint else [_advice(run, asked, found)]
        lines = (f"{run} is another run than this command's:", *_table(found), *ends)
        raise IncompatibleResumeError("\n".join(lines))


def differences(stored: Manifest, asked: Manifest) -> list[Difference]:
    here, there = (dict(_leaves("", manifest.fingerprint())) for manifest in (stored, asked))
    pairs = ((name, here.get(name, NOTHING), there.get(name, NOTHING)) for name in {**here, **there})
    return [Difference(*each) for each in pairs if each[1] != each[2]]


def on_disk(stored: Manifest, fields: Sequence[str]) -> Manifest:
    """The manifest with the places and digests that the plug-ins of these fields have now; nothing is
    imported."""
    now: dict[str, Source | list[Source]] = {}
    for name in fields:
        was, group = getattr(stored, name), _GROUPS[name]
        many = isinstance(was, list)
        now[name] = [refreshed(group, each) for each in was] if many else refreshed(group, was)
    return stored.model_copy(update=now)


def refreshed(group: str, source: Source) -> Source:
    """A plug-in with the place and digest that its file has now; no digest when it is gone."""
    try:
        there = plugins.locate(group, source.spec, source.sha256)
    except UsageError:
        return source.model_copy(update={"sha256": ""})
    return source.model_copy(update={"spec": there.spec, "sha256": there.sha256})


_GROUPS = {
    "task": plugins.DECOMPOSERS,
    "models": plugins.MODELS,
    "judges": plugins.MODELS,
    "voter": plugins.VOTERS,
    "red_flags": plugins.RED_FLAGS,
}


def _leaves(name: str, value: Json) -> Iterator[tuple[str, Json]]:
    """(dotted name, value) of every single value."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in pairs:
            yield from _leaves(f"{name}.{key}" if name else f"{key}", each)
    else:
        yield name, NOTHING if value in ("", [], {}) else value


def _table(found: Sequence[Difference]) -> Iterator[str]:
    shown = [("", "in the run", "in this command")]
    shown += [(each.field, _short(each.field, each.stored), _short(each.field, each.asked)) for each in found]
    widths = [max(len(row[column]) for row in shown) for column in (0, 1)]
    for name, stored, asked in shown:
        yield f"  {name:{widths[0]}}  {stored:{widths[1]}}  {asked}"


def _short(field: str, value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return inert(text, 12 if field.endswith(("sha256", "defined")) else WIDTH)


def _advice(run: Place | str, asked: Manifest, found: Sequence[Difference]) -> str:
    names = {each.field.partition(".")[0] for each in found}
    if names & TASK:
        return (
            "The task differs, or its parameters or its file do, so that even a fork cannot keep the steps: "
            "give what the run was begun with, or begin a new run."
        )
    return (
        "Another panel makes another run; a fork keeps the steps before one: "
        f"maker fork {run} --at SEGMENT:INDEX --run-dir NEW {' '.join(_options(asked, names))}"
    )


def _options(asked: Manifest, names: set[str]) -> Iterator[str]:
    """Of the fork that would differ from the run as this command does."""
    if "models" in names:
        yield from (f"--model {model.spec}" for model in asked.models)
    if "judges" in names:
        yield from (f"--judge {name}" for name in [judge.spec for judge in asked.judges] or ["none"])
    if "voter" in names:
        yield f"--voter {asked.voter.spec}"
    if "red_flags" in names:
        yield f"--red-flags '{asked.rules}'"
    if "seed" in names:
        yield f"--seed {asked.seed}"
    if "escalate" in names:
        yield f"--escalate {','.join(asked.escalate) or 'none'}"
