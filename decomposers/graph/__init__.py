"""Which nodes of a graph can be reached, and in how many hops: breadth first, one node of the queue a step.

The model is given the neighbours of a node and the nodes seen so far, and says which of the neighbours are
new. The code keeps the queue, the seen nodes and their hops.
Read next: `wording.py` (prompt and parser), `search.py` (the queue), `referee.py` (the verifier).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from maker.decomposers.graph import referee, search, wording
from maker.errors import UsageError
from maker.input_file import InputFile
from maker.nouns import Json, Message, Prompt, Segment, Step

MAX_TOKENS = 1000
"""Of a response; the one line takes about three for each neighbour."""

EMBEDDED_NODES, EMBEDDED_NEIGHBOURS = 32, 8
"""The model in the package was trained on nodes below the first with at most so many neighbours."""

Node = Annotated[int, Field(ge=0, lt=10**9)]
_RULES = Message("system", wording.RULES)


class _File(BaseModel):
    edges: list[tuple[Node, Node]]


class Graph:
    """Hops from `start` to every node that can be reached, or to `target` alone.

    The graph is given by `edges` (-T edges='[[0, 1], [1, 2]]'), by `input`, a JSON file {"edges": [[0, 1],
    [1, 2]]}, or at random by `nodes`, `degree` (edges of a node, at most) and `seed`. directed: an edge leads
    from its first node to its second only.
    """

    def __init__(
        self,
        edges: list[tuple[Node, Node]] | None = None,
        input: InputFile | None = None,
        nodes: int | None = None,
        degree: int = 3,
        seed: int = 0,
        start: Node = 0,
        target: Node | None = None,
        directed: bool = False,
    ) -> None:
        if [edges, input, nodes].count(None) != 2:
            raise UsageError(
                "graph: give one of -T edges='[[0, 1], [1, 2]]', --input with a JSON file, and -T nodes=32"
            )
        if input is not None:
            edges = _edges(input)
        if nodes is not None:
            if nodes < 2 or degree < 1:
                raise UsageError(f"graph: nodes={nodes}, degree={degree}; expected 2 and 1, or more")
            edges = search.random_edges(nodes, degree, seed)
        self.graph = search.graph(edges or (), directed)
        self.start, self.target = start, target
        for name, node in (("start", start), ("target", target)):
            if node is not None and node not in self.graph and not (nodes and node < nodes):
                raise UsageError(f"graph: {name}={node}, expected a node of the graph")
        self.steps = len(self.graph)
        self.model = "embedded" if _known(self.graph) else None

    # -- the chain ---------------------------------------------------------------------------------

    def segments(self) -> Iterator[Segment]:
        yield Segment("search", search.first(self.graph, self.start))

    def prompt(self, step: Step) -> Prompt | None:
        node = search.node(step.state)
        if node is None or self.target in step.state["seen"]:
            return None
        question = wording.question(self.graph[node], step.state["seen"])
        return Prompt((_RULES, Message("user", question)), MAX_TOKENS)

    def parse(self, step: Step, text: str) -> list[int]:
        return wording.parse(text, self._neighbours(step))

    def check(self, step: Step, answer: Json) -> bool:
        """The form alone: what `parse` gives has it, a person's answer may not."""
        return isinstance(answer, list) and wording.fits(answer, self._neighbours(step))

    def advance(self, step: Step, answer: list[int]) -> Json:
        return search.advance(self.graph, step.state, answer)

    # -- the result --------------------------------------------------------------------------------

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """Hops by node; with a target its hops alone, None if it cannot be reached."""
        hops = search.hops(finals["search"])
        if self.target is None:
            return {"start": self.start, "hops": hops}
        return {"start": self.start, "target": self.target, "hops": hops.get(self.target)}

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool | str:
        """Every node's new neighbours, and the hops by another way of searching."""
        answers = (answer for _, _, answer in decided)
        return referee.judge(self.graph, self.start, self.target, answers) or True

    # -- the truth, for models that are simulated and for measuring ---------------------------------

    def truth(self, step: Step) -> str:
        """The text of the right answer."""
        seen = set(step.state["seen"])
        return wording.write([node for node in self._neighbours(step) if node not in seen])

    def mistake(self, step: Step, rank: int) -> str:
        """The text of a well-formed wrong answer; the rank says about which neighbour it is mistaken."""
        neighbours, seen = self._neighbours(step), set(step.state["seen"])
        wrong = neighbours[rank % len(neighbours)]
        return wording.write([node for node in neighbours if (node not in seen) != (node == wrong)])

    def _neighbours(self, step: Step) -> list[int]:
        node = search.node(step.state)
        return [] if node is None else self.graph[node]


def _known(graph: Mapping[int, list[int]]) -> bool:
    """Whether the model in the package can read every question."""
    return all(
        node < EMBEDDED_NODES and len(neighbours) <= EMBEDDED_NEIGHBOURS for node, neighbours in graph.items()
    )


def _edges(file: InputFile) -> list[tuple[int, int]]:
    try:
        return _File.model_validate_json(file.read()).edges
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(
            f'{file.path}: {place}: {first["msg"]}; expected {{"edges": [[0, 1], [1, 2]]}}'
        ) from None
