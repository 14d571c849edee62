"""From a manifest to the things it names: the task, its models, the panel.

A coordinator and every actor assemble their own; nothing but texts travels between them.
"""

from __future__ import annotations

from collections.abc import Mapping

from maker import plugins
from maker.errors import PluginError, UsageError
from maker.flags import Rule
from maker.manifest import Manifest
from maker.model import Model
from maker.nouns import Sample
from maker.panel import Member, Panel
from maker.task import Task
from maker.voter import Voter


def task(manifest: Manifest) -> Task:
    plugin = plugins.find(plugins.DECOMPOSERS, manifest.task.spec)
    return Task(plugin.make(manifest.parameters), manifest.task.spec)


def models(manifest: Manifest, subject: Task, options: Mapping[str, str]) -> dict[str, Model]:
    """The panel's models by name, in drawing order.

    `options` are operational, such as an endpoint's URL; each goes to the models that take it.
    """
    made: dict[str, Model] = {}
    for source in manifest.models:
        plugin = plugins.find(plugins.MODELS, source.spec)
        fitting = {name: value for name, value in options.items() if plugin.takes(name)}
        model: Model = plugin.make(fitting, task=subject.decomposer)
        if not isinstance(getattr(model, "name", None), str) or len(getattr(model, "temperatures", ())) != 2:
            raise PluginError(f"{source.spec}: a model needs a name and two temperatures (maker/model.py)")
        if model.name in made:
            raise UsageError(f"--model {source.spec}: the panel has a model {model.name} already")
        made[model.name] = model
    return made


def panel(manifest: Manifest, models: Mapping[str, Model]) -> Panel:
    members = tuple(Member(name, model.temperatures) for name, model in models.items())
    return Panel(voter(manifest), members, red_flags(manifest), manifest.max_samples, manifest.seed)


def voter(manifest: Manifest) -> Voter:
    made: Voter = plugins.find(plugins.VOTERS, manifest.voter).make()
    return made


def red_flags(manifest: Manifest) -> Rule:
    """`truncated|too_long:tokens=700` as one rule, the first that objects gives the reason; or `none`."""
    names = [] if manifest.red_flags == "none" else [name.strip() for name in manifest.red_flags.split("|")]
    rules: list[Rule] = [plugins.find(plugins.RED_FLAGS, name).make() for name in names]

    def first_reason(sample: Sample) -> str | None:
        return next((reason for rule in rules if (reason := rule(sample)) is not None), None)

    return first_reason
