"""From a manifest to the things it names: the task, its models, the panel, and the panels of amended steps.

A coordinator and every actor assemble their own; nothing but texts travels between them. Invariant: a
plug-in is imported only if its file is what the manifest says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from maker import plugins
from maker.amendment import Amendment
from maker.errors import IncompatibleResumeError, PluginError, UsageError
from maker.flags import Rule
from maker.manifest import Manifest, Source
from maker.model import Model
from maker.nouns import Sample
from maker.panel import Member, Panel
from maker.plugins import Plugin
from maker.task import Task
from maker.voter import Voter

ANY = 1 << 30
"""A cap that no step reaches."""


def task(manifest: Manifest) -> Task:
    plugin = _plugin(plugins.DECOMPOSERS, manifest.task)
    return Task(plugin.make(manifest.parameters), manifest.task.spec)


def models(manifest: Manifest, subject: Task, options: Mapping[str, str]) -> dict[str, Model]:
    """The panel's models by name, in drawing order.

    `options` are operational, such as an endpoint's URL; each goes to the models that take it.
    """
    return _by_name((source, _model(source, subject, options)) for source in manifest.models)


def panel(manifest: Manifest, models: Mapping[str, Model]) -> Panel:
    flags = red_flags(manifest.red_flags)
    return Panel(voter(manifest.voter), _members(models), flags, manifest.max_samples, manifest.seed)


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
    """The run's own panel and those of amended steps; every model is made once."""

    def __init__(self, manifest: Manifest, subject: Task, options: Mapping[str, str]) -> None:
        self._sources, self._subject, self._options = manifest.models, subject, options
        self._made: dict[Source, Model] = {}
        self.models = _by_name((source, self._model(source)) for source in manifest.models)
        """The run's own, by name."""
        self.own = panel(manifest, self.models)

    def amended(self, amendment: Amendment) -> Panel:
        """The panel of an amended step: red flags and seed are the run's."""
        cast, members = voter(amendment.voter), _members(self.models_of(amendment))
        return replace(self.own, voter=cast, members=members, max_samples=amendment.max_samples)

    def models_of(self, amendment: Amendment) -> dict[str, Model]:
        """By name; one that is named as another of the run's models goes by its spec, so that seats tell."""
        return _by_name(((source, self._model(source)) for source in amendment.models), self._taken)

    def __iter__(self) -> Iterator[Model]:
        """Every model that was made."""
        return iter(self._made.values())

    def _taken(self, source: Source, model: Model) -> bool:
        return model.name in self.models and source not in self._sources

    def _model(self, source: Source) -> Model:
        if source not in self._made:
            self._made[source] = _model(source, self._subject, self._options)
        return self._made[source]


def _model(source: Source, subject: Task, options: Mapping[str, str]) -> Model:
    plugin = _plugin(plugins.MODELS, source)
    fitting = {name: value for name, value in options.items() if plugin.takes(name)}
    model: Model = plugin.make(fitting, task=subject.decomposer)
    if not isinstance(getattr(model, "name", None), str) or len(getattr(model, "temperatures", ())) != 2:
        raise PluginError(f"{source.spec}: a model needs a name and two temperatures (maker/model.py)")
    return model


def _by_name(
    made: Iterable[tuple[Source, Model]],
    taken: Callable[[Source, Model], bool] = lambda source, model: False,
) -> dict[str, Model]:
    found: dict[str, Model] = {}
    for source, model in made:
        name = source.spec if taken(source, model) else model.name
        if name in found:
            raise UsageError(f"--model {source.spec}: the panel has a model {name} already")
        found[name] = model
    return found


def _members(models: Mapping[str, Model]) -> tuple[Member, ...]:
    return tuple(Member(name, model.temperatures) for name, model in models.items())


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
