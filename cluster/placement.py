"""What an actor takes of its node, as the models in it declare, and how many of them a cluster has room for.

Words and amounts are Ray's: `num_cpus`, `num_gpus`, `memory` in bytes, or a resource of the user's own; a
fraction of a GPU lets several actors share it. It asks no cluster. Invariant: an actor takes what all its
models take together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from maker.errors import MakerError, PluginError
from maker.model import Model

_NODE_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU"}
"""As a node calls what an actor asks for; the other names are the same."""


def needs(models: Iterable[Model]) -> dict[str, float]:
    """What one actor takes that holds these models; a model without `resources` takes nothing."""
    found: dict[str, float] = {}
    for model in models:
        for name, amount in _declared(model).items():
            found[name] = found.get(name, 0.0) + amount
    return {name: amount for name, amount in found.items() if amount}


def _declared(model: Model) -> Mapping[str, float]:
    declared = getattr(model, "resources", {})
    if isinstance(declared, Mapping) and all(map(_sound, declared.items())):
        return declared
    raise PluginError(
        f"{model.name}: resources={declared!r}; expected names and amounts from 0 up, "
        'such as {"num_cpus": 1, "num_gpus": 0.5}'
    )


def _sound(item: tuple[object, object]) -> bool:
    name, amount = item
    number = isinstance(amount, int | float) and not isinstance(amount, bool)
    return isinstance(name, str) and number and 0 <= float(amount) < math.inf  # type: ignore[arg-type]


def options(needs: Mapping[str, float]) -> dict[str, object]:
    """As options of an actor. One that needs nothing asks for no CPU: it waits for its models."""
    plain = ("num_cpus", "num_gpus", "memory")
    own = {name: amount for name, amount in needs.items() if name not in plain}
    asked: dict[str, object] = {name: needs[name] for name in plain if name in needs}
    return {"num_cpus": 0, **asked, **({"resources": own} if own else {})}


def room(needs: Mapping[str, float], nodes: Iterable[Mapping[str, float]], most: int) -> int:
    """How many of `most` actors the nodes can hold; `nodes` are the resources of each.

    Raises MakerError when none can hold even one.
    """
    nodes = list(nodes)
    found = min(most, sum(_fitting(needs, node, most) for node in nodes))
    if found:
        return found
    there = {name: max((node.get(_on_node(name), 0.0) for node in nodes), default=0.0) for name in needs}
    raise MakerError(
        f"no node of the cluster can hold a worker: its models need {_said(needs)} on one node, the most "
        f"that a node has is {_said(there)}; start a node that has it, or give another --model"
    )


def emptiest(nodes: Mapping[str, Mapping[str, float]], workers: Mapping[str, int]) -> str:
    """The node with the fewest workers; empty if there are none.

    One that lends no CPU (as heads often do not) is left alone where others lend some.
    """
    lending = [name for name, node in nodes.items() if node.get("CPU")] or list(nodes)
    return min(lending, key=lambda name: (workers.get(name, 0), name), default="")


def _fitting(needs: Mapping[str, float], node: Mapping[str, float], most: int) -> int:
    fits = (math.floor(node.get(_on_node(name), 0.0) / amount + 1e-9) for name, amount in needs.items())
    return min(fits, default=most)


def _on_node(name: str) -> str:
    return _NODE_NAMES.get(name, name)


def _said(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in sorted(resources.items()))
