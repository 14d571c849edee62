"""A search by steps finds the hops that another way of searching finds; every step is judged."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maker
from maker.decomposers.graph import Graph, search, wording
from maker.errors import UsageError
from maker.nouns import RedFlag, Step
from tests.conftest import Maker
from tests.support import Decided, walk

EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40)


def shortest(edges: list[tuple[int, int]], directed: bool, start: int) -> dict[str, int]:
    """Bellman and Ford's way: relax every edge until nothing gets shorter."""
    both = edges + ([] if directed else [(target, source) for source, target in edges])
    hops, changed = {start: 0}, True
    while changed:
        changed = False
        for source, target in both:
            if source in hops and hops[source] + 1 < hops.get(target, 10**9):
                hops[target], changed = hops[source] + 1, True
    return {str(node): number for node, number in hops.items()}


@given(EDGES, st.booleans())
def test_the_hops_are_the_shortest(edges: list[tuple[int, int]], directed: bool) -> None:
    start = edges[0][0]
    task = Graph(edges=edges, start=start, directed=directed)
    decided, finals = walk(task)
    found = json.loads(json.dumps(task.stitch(finals)))
    assert found == {"start": start, "hops": shortest(edges, directed, start)}
    assert task.verify(decided) is True


@given(EDGES, st.booleans(), st.integers(0, 39))
def test_a_search_for_one_node_stops_there(edges: list[tuple[int, int]], directed: bool, at: int) -> None:
    start, target = edges[0][0], edges[at % len(edges)][1]
    task = Graph(edges=edges, start=start, target=target, directed=directed)
    decided, finals = walk(task)
    expected = shortest(edges, directed, start).get(str(target))
    assert task.stitch(finals) == {"start": start, "target": target, "hops": expected}
    assert task.verify(decided) is True
    assert len(decided) <= len(walk(Graph(edges=edges, start=start, directed=directed))[0])


def test_no_planted_fault_passes_the_judge() -> None:
    task = Graph(nodes=20, seed=3)
    decided, _ = walk(task)
    for at, step in enumerate(steps(task, decided)):
        for rank in range(3):
            wrong = (step.segment, step.index, task.parse(step, task.mistake(step, rank)))
            assert wrong[2] != decided[at][2]
            assert task.verify([*decided[:at], wrong, *decided[at + 1 :]]) is not True
        assert task.verify(decided[:at]) is not True
    assert "more steps" in str(task.verify([*decided, ("search", len(decided), [])]))


def steps(task: Graph, decided: Decided) -> list[Step]:
    state, found = next(iter(task.segments())).state, []
    for name, index, answer in decided:
        found.append(Step(name, index, state))
        state = task.advance(found[-1], answer)
    return found


def test_a_random_graph_is_the_same_each_time_and_no_node_has_too_many_neighbours() -> None:
    graphs = [Graph(nodes=32, degree=3, seed=seed).graph for seed in (1, 1, 2)]
    assert graphs[0] == graphs[1] != graphs[2]
    assert all(len(around) <= 3 for around in graphs[0].values())
    assert len(graphs[0]) > 28


def test_a_node_without_neighbours_is_no_question() -> None:
    task = Graph(edges=[(0, 1), (0, 2), (2, 3)], directed=True)
    asked = [task.prompt(step) for step in steps(task, walk(task)[0])]
    lines = [prompt.messages[-1].content for prompt in asked if prompt]
    assert lines == ["neighbours = [1, 2]\nseen = [0]", "neighbours = [3]\nseen = [0, 1, 2]"]


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("new = [17, 22]", [17, 22]),
        ("New=[]", []),
        ("new = [3], or rather\nnew = [ 3 ,22 ]\n", [3, 22]),
        ("the new = [3, 17, 22].", [3, 17, 22]),
    ],
)
def test_the_last_list_of_a_response_counts(text: str, new: list[int]) -> None:
    assert wording.parse(text, [3, 17, 22]) == new


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[17]",
        "new = 17",
        "new = [17",
        "new = [17,]",
        "new = [22, 17]",
        "new = [17, 17]",
        "new = [5]",
        "new = [17.0]",
        "new = [[17]]",
        "new = [17]\nnew = none",
        f"new = [{'9' * 400}]",
    ],
)
def test_what_is_no_part_of_the_neighbours_is_flagged(text: str) -> None:
    with pytest.raises(RedFlag, match="malformed"):
        wording.parse(text, [3, 17, 22])


def test_an_answer_of_a_person_must_be_a_part_of_the_neighbours_too() -> None:
    task = Graph(edges=[(0, 1), (0, 2)])
    step = Step("search", 0, search.first(task.graph, 0))
    assert [task.check(step, answer) for answer in ([], [1, 2], [2])] == [True] * 3
    assert [task.check(step, answer) for answer in ([2, 1], [3], [1.0], ["1"], "1", None)] == [False] * 6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give one of"),
        ({"edges": [(0, 1)], "nodes": 3}, "give one of"),
        ({"edges": [(0, 1)], "start": 2}, "start=2, expected a node of the graph"),
        ({"edges": [(0, 1)], "target": 2}, "target=2, expected a node of the graph"),
        ({"nodes": 1}, "nodes=1"),
        ({"nodes": 5, "start": 5}, "start=5"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Graph(**given)  # type: ignore[arg-type]


def test_a_graph_may_come_from_a_file_and_a_bad_one_is_explained(maker: Maker) -> None:
    file = maker.folder / "graph.json"
    file.write_text('{"edges": [[0, 1], [1, 2], [2, 3], [0, 3]]}')
    words = ("run", "graph", "--input", "graph.json", "--model", "sim", "--json")
    assert maker(*words).done["result"] == {"start": 0, "hops": {"0": 0, "1": 1, "3": 1, "2": 2}}
    for text, said in (
        ("{", "Invalid JSON"),
        ('{"edges": [[0]]}', "edges.0.1"),
        ('{"edges": [[0, -1]]}', "edges.0.1"),
    ):
        file.write_text(text)
        ended = maker(*words)
        assert ended.code == 2
        assert said in ended.err
        assert 'expected {"edges": [[0, 1], [1, 2]]}' in ended.err


def run(folder: Path, k: int) -> maker.RunResult:
    return maker.run(
        "graph",
        params={"nodes": 400, "seed": 2},
        model="sim:error=0.02",
        k=k,
        engine="inline",
        run_dir=folder / f"run-{k}",
    )


def test_a_graph_is_searched_with_voting_and_not_without(tmp_path: Path) -> None:
    voted, alone = (run(tmp_path, k) for k in (3, 1))
    edges = search.random_edges(400, 3, 2)
    assert (voted.status, voted.verified) == ("done", True)
    assert voted.result == {"start": 0, "hops": shortest(edges, False, 0)}
    assert (alone.status, alone.verified) == ("failed", False)


def test_a_random_order_of_edges_makes_no_difference() -> None:
    edges = search.random_edges(30, 3, 4)
    mixed = [*edges, (7, 7), *(pair[::-1] for pair in edges)]
    Random(0).shuffle(mixed)
    assert Graph(edges=mixed).graph == Graph(edges=edges).graph
