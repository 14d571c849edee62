"""Breadth-first search as states: which node is looked at next, and what the new nodes lead to.

A state is {"seen": nodes, "hops": numbers, "next": position}: the nodes seen so far in the order in which
they were seen, how many hops each is from the start, and where among them the next node to look at stands;
from there on they are the queue.
Invariant: nothing is looked up among the seen nodes here; which ones are new is the model's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random

from maker.nouns import Json

Edge = tuple[int, int]
Graph = Mapping[int, Sequence[int]]
"""Node to its neighbours, in ascending order."""


def graph(edges: Iterable[Edge], directed: bool) -> dict[int, list[int]]:
    """Loops and edges that come twice make no difference."""
    neighbours: dict[int, set[int]] = {}
    for source, target in edges:
        neighbours.setdefault(source, set()).add(target)
        neighbours.setdefault(target, set()).update(() if directed else (source,))
    return {node: sorted(around - {node}) for node, around in neighbours.items()}


def random_edges(nodes: int, degree: int, seed: int) -> list[Edge]:
    """Every node has `degree` ends of edges, joined by lot; loops and repetitions are left out."""
    ends = [node for node in range(nodes) for _ in range(degree)]
    Random(seed).shuffle(ends)
    joined = {(min(pair), max(pair)) for pair in zip(ends[::2], ends[1::2], strict=False)}
    return sorted(pair for pair in joined if pair[0] != pair[1])


def first(graph: Graph, start: int) -> Json:
    """The state before the first node is looked at."""
    return _settled(graph, [start], [0], 0)


def node(state: Json) -> int | None:
    """The node to look at; None when the queue is empty."""
    seen, at = state["seen"], state["next"]
    return seen[at] if at < len(seen) else None


def advance(graph: Graph, state: Json, new: Sequence[int]) -> Json:
    at = state["next"]
    hops = [*state["hops"], *(state["hops"][at] + 1 for _ in new)]
    return _settled(graph, [*state["seen"], *new], hops, at + 1)


def hops(state: Json) -> dict[int, int]:
    """Of each node that was reached."""
    return dict(zip(state["seen"], state["hops"], strict=True))


def _settled(graph: Graph, seen: list[int], hops: list[int], at: int) -> Json:
    """Nodes without neighbours are no question."""
    while at < len(seen) and not graph.get(seen[at]):
        at += 1
    return {"seen": seen, "hops": hops, "next": at}
