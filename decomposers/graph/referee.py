"""An independent verifier of a finished search: every node's new neighbours, and the hops level by level.

It keeps its own queue and shares no code with `search.py`, so that one mistake cannot hide in both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from maker.nouns import Json


def judge(
    graph: Mapping[int, Sequence[int]], start: int, target: int | None, answers: Iterable[Json]
) -> str | None:
    """What is wrong with the answers to the nodes of the queue, or None."""
    given, queue, hops = iter(answers), deque([start]), {start: 0}
    while queue and target not in hops:
        node = queue.popleft()
        if not graph.get(node):
            continue
        answer, expected = next(given, None), [other for other in graph[node] if other not in hops]
        if answer != expected:
            return f"node {node}: {answer} are new, expected {expected}"
        hops |= dict.fromkeys(expected, hops[node] + 1)
        queue.extend(expected)
    if next(given, None) is not None:
        return "more steps than nodes"
    return None if hops == levels(graph, start, hops) else "the hops are not the shortest"


def levels(graph: Mapping[int, Sequence[int]], start: int, wanted: Iterable[int]) -> dict[int, int]:
    """Hops to the wanted nodes that can be reached, all nodes of a level at a time."""
    found, level, depth = {start: 0}, {start}, 0
    while level:
        depth += 1
        level = {other for node in level for other in graph.get(node, ())} - found.keys()
        found |= dict.fromkeys(level, depth)
    return {node: found[node] for node in wanted if node in found}
