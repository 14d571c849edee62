"""From a manifest to the things it names: the task, its models, the panel, and the panels of amended steps.

A coordinator and every actor assemble their own; nothing but texts travels between them. Invariant: a
plug-in is imported only if its file is what the manifest says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from maker import plugins
from maker.amendment import Amendment
from maker.ballot import Ballot
from maker.errors import IncompatibleResumeError, PluginError, UsageError
from maker.flags import Rule
from maker.guard import guarded
from maker.ladder import NO_LADDER, Ladder
from maker.manifest import Manifest, Source
from maker.model import Model
from maker.nouns import Sample
from maker.panel import Member, Panel
from maker.plugins import Plugin
from maker.task import Decomposer, Task
from maker.voter import Voter, Want

ANY = 1 << 30
"""A cap that no step reaches."""
_Names: TypeAlias = dict[Source, str]
"""Models in drawing order, with the names that their seats carry."""


def task(manifest: Manifest) -> Task:
    return Task(decomposer(manifest.task, manifest.parameters), manifest.task.spec)


def decomposer(source: Source, parameters: Mapping[str, object]) -> Decomposer:
    made: Decomposer = _plugin(plugins.DECOMPOSERS, source).make(parameters)
    return made


def offline_panel(manifest: Manifest) -> Panel:
    """For deciding again what is recorded: no model is made, and there are the samples that there are."""
    members = (Member("recorded", (None, None)),)
    return Panel(voter(manifest.voter), members, red_flags(manifest.red_flags), max_samples=ANY)


def voter(source: Source) -> Voter:
    made: Voter = _plugin(plugins.VOTERS, source).make()
    return made


def red_flags(sources: Sequence[Source]) -> Rule:
    """The rules as one; the first that objects gives the reason."""
    rules: list[Rule] = [_plugin(plugins.RED_FLAGS, source).make() for source in sources]

    def first_reason(sample: Sample) -> str | None:
        return next((reason for rule in rules if (reason := rule(sample)) is not None), None)

    return first_reason


class Panels:
    """The run's own panel and those of amended steps; every model is made once.

    `options` are operational, such as an endpoint's URL; each goes to the models that take it.
    """

    def __init__(self, manifest: Manifest, subject: Task, options: Mapping[str, str]) -> None:
        self._subject, self._options = subject, options
        self._made: dict[Source, Model] = {}
        self._own: _Names = {}
        members, judges = self._cast(manifest.models, manifest.judges)
        self._own = {**members, **judges}
        self.models = self._by_name(self._own)
        """The run's own, by name: those that vote on steps, and those that judge."""
        flags, cap = red_flags(manifest.red_flags), manifest.max_samples
        who = self._members(members), self._members(judges)
        cast = voter(manifest.voter)
        ladder = Ladder(tuple(manifest.escalate), first_want(cast, cap))
        self.own = Panel(cast, who[0], flags, cap, manifest.seed, who[1], ladder)

    def amended(self, amendment: Amendment) -> Panel:
        """The panel of an amended step: red flags and seed are the run's, and there is no ladder."""
        members, judges = map(self._members, self._cast(amendment.models, amendment.judges))
        cast, cap = voter(amendment.voter), amendment.max_samples
        given = replace(self.own, voter=cast, members=members, judges=judges, max_samples=cap)
        return replace(given, ladder=NO_LADDER)

    def models_of(self, amendment: Amendment) -> dict[str, Model]:
        """By name, its judges too."""
        members, judges = self._cast(amendment.models, amendment.judges)
        return self._by_name({**members, **judges})

    def __iter__(self) -> Iterator[Model]:
        """Every model that was made."""
        return iter(self._made.values())

    def _cast(self, models: Sequence[Source], judges: Sequence[Source]) -> tuple[_Names, _Names]:
        members = self._named("--model", models, self._own)
        return members, self._named("--judge", judges, {**self._own, **members})

    def _named(self, option: str, sources: Sequence[Source], taken: _Names) -> _Names:
        """One that is named as another model goes by its spec, so that seats tell."""
        found: _Names = {}
        for source in sources:
            own = self._model(source).name
            name = taken.get(source, source.spec if own in {*taken.values(), *found.values()} else own)
            if source in found or name in found.values():
                raise UsageError(f"{option} {source.spec}: the panel has a model {name} already")
            found[source] = name
        return found

    def _by_name(self, names: _Names) -> dict[str, Model]:
        return {name: self._model(source) for source, name in names.items()}

    def _members(self, names: _Names) -> tuple[Member, ...]:
        return tuple(Member(name, self._model(source).temperatures) for source, name in names.items())

    def _model(self, source: Source) -> Model:
        if source not in self._made:
            self._made[source] = _model(source, self._subject, self._options)
        return self._made[source]


def first_want(cast: Voter, cap: int) -> int:
    """Votes that a voter wants at first; PluginError if it raises."""
    verdict = guarded("the voter", None, cast.decide, Ballot(cap))
    return verdict.votes if isinstance(verdict, Want) else 1


def _model(source: Source, subject: Task, options: Mapping[str, str]) -> Model:
    plugin = _plugin(plugins.MODELS, source)
    fitting = {name: value for name, value in options.items() if plugin.takes(name)}
    model: Model = plugin.make(fitting, task=subject.decomposer)
    if not isinstance(getattr(model, "name", None), str) or len(getattr(model, "temperatures", ())) != 2:
        raise PluginError(f"{source.spec}: a model needs a name and two temperatures (maker/model.py)")
    return model


def _plugin(group: str, source: Source) -> Plugin:
    """Import what a manifest names; IncompatibleResumeError when its file is another one here."""
    there = plugins.locate(group, source.spec, source.sha256)
    if there.sha256 == source.sha256:
        found = plugins.load(there)
        if found.defined == source.defined:
            return found
    raise IncompatibleResumeError(
        f"{source.spec}: {there.file} is not the file that the run names (by its sha256): "
        "put that one in its place, also on every machine of the cluster"
    )
