"""A problem that the model itself takes apart: MAKER's Algorithm 4 (appendix F), every stage voted.

A node is a segment. Its stages are steps: is the problem atomic? If so, solve it. If not, propose ways to
split it (free texts: one valid sample each), vote on them by number, fork into a child for each subproblem,
and from their joined solutions vote on the composed one. The paper takes the answer with most votes of a
fixed number; here every stage is first to ahead by k, as everywhere.
Read next: `wording.py` (prompts and parsers).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from maker import questions
from maker.decomposers.recursive import wording
from maker.errors import UsageError
from maker.input_file import InputFile
from maker.nouns import Fork, Json, Message, Prompt, Segment, Step
from maker.task import MAX_DEPTH

MAX_TOKENS = 2000
"""Of a response."""


class Recursive:
    """One problem (`problem`), or those of a question file (`input`), each the root of a tree.

    depth: forks within forks, 0 to 32; below, a problem is solved as it is. candidates: ways to split that
    are proposed at a node, 1 or more. most: subproblems of a split, 2 or more. prompts: a TOML file with
    texts for some of the stages atomic, propose, choose, solve and compose, in place of our own.
    """

    def __init__(
        self,
        problem: str | None = None,
        input: InputFile | None = None,
        depth: int = 8,
        candidates: int = 3,
        most: int = 4,
        prompts: InputFile | None = None,
    ) -> None:
        if (problem is None) == (input is None):
            raise UsageError("recursive: give one problem, -T problem=..., or --input with a question file")
        if not 0 <= depth <= MAX_DEPTH or candidates < 1 or most < 2:
            raise UsageError(
                f"recursive: depth={depth}, candidates={candidates}, most={most}; expected a depth of 0 to "
                f"{MAX_DEPTH}, 1 candidate or more, and 2 subproblems or more"
            )
        if problem is not None and not problem.strip():
            raise UsageError("recursive: the problem is empty")
        self._questions = questions.read(input, _problem, _answer) if input else None
        self._problems = {each.segment: each.problem for each in self._questions or ()}
        if problem is not None:
            self._problems = {"problem": problem}
        self.depth, self.candidates, self.most = depth, candidates, most
        self._templates = wording.templates(prompts)

    # -- the tree ----------------------------------------------------------------------------------

    def segments(self) -> Iterator[Segment]:
        for name, problem in self._problems.items():
            yield Segment(name, self._node(problem, 0))

    def _node(self, problem: str, depth: int) -> Json:
        return {"problem": problem, "stage": "atomic" if depth < self.depth else "solve"}

    def prompt(self, step: Step) -> Prompt | None:
        stage = step.state["stage"]
        if stage == "done":
            return None
        text = self._templates[stage].substitute(_shown(step.state), most=self.most)
        return Prompt((Message("user", text),), MAX_TOKENS, proposal=stage == "propose")

    def parse(self, step: Step, text: str) -> Json:
        match step.state["stage"]:
            case "atomic":
                return wording.atomic(text)
            case "propose":
                return wording.split(text, self.most)
            case "choose":
                return wording.candidate(text, len(step.state["splits"]))
        return {"solution": wording.solution(text)}

    def check(self, step: Step, answer: Json) -> bool | str:
        """The form alone: what `parse` gives has it, a person's answer may not."""
        match step.state["stage"]:
            case "atomic":
                return isinstance(answer, bool) or "expected true or false: whether the problem is atomic"
            case "propose":
                return _is_split(answer, self.most) or (
                    f'expected {{"problems": [2 to {self.most} texts], "composition": text}}, none empty'
                )
            case "choose":
                count = len(step.state["splits"])
                fits = type(answer) is int and 1 <= answer <= count
                return fits or f"expected the number of a candidate, 1 to {count}"
        fits = isinstance(answer, dict) and answer.keys() == {"solution"} and _is_text(answer["solution"])
        return fits or 'expected {"solution": text}, not empty'

    def canonical(self, answer: Json) -> Json:
        if isinstance(answer, dict) and "solution" in answer:
            return {"solution": wording.same_form(answer["solution"])}
        return answer

    def advance(self, step: Step, answer: Json) -> Json | Fork:
        state = step.state
        match state["stage"]:
            case "atomic":
                return {**state, "stage": "solve" if answer else "propose"}
            case "propose":
                return self._proposed(step, [*state.get("splits", ()), answer])
            case "choose":
                return self._split(step, state["splits"][answer - 1])
        return {"stage": "done", **answer}

    def _proposed(self, step: Step, splits: list[Json]) -> Json | Fork:
        """Enough proposals are voted on, unless they are all the same."""
        if len(splits) < self.candidates:
            return {**step.state, "splits": splits}
        distinct = [split for number, split in enumerate(splits) if split not in splits[:number]]
        if len(distinct) == 1:
            return self._split(step, distinct[0])
        return {**step.state, "stage": "choose", "splits": distinct}

    def _split(self, step: Step, split: Json) -> Fork:
        depth = step.segment.count("/") + 1
        children = [self._node(problem, depth) for problem in split["problems"]]
        return Fork(children, {"problem": step.state["problem"], "stage": "compose", **split})

    def join(self, step: Step, finals: list[Json]) -> Json:
        return {**step.state, "solutions": [final["solution"] for final in finals]}

    # -- the result --------------------------------------------------------------------------------

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The solution; of a question file every one, with the score."""
        if self._questions is None:
            return finals["problem"]["solution"]
        forms = {name: wording.same_form(final["solution"]) for name, final in finals.items()}
        return questions.scored(self._questions, forms)


def _problem(text: str) -> str:
    if not text.strip():
        raise ValueError("question: it is empty, expected a problem")
    return text


def _is_split(answer: Json, most: int) -> bool:
    if not isinstance(answer, dict) or answer.keys() != {"problems", "composition"}:
        return False
    problems = answer["problems"]
    return (
        isinstance(problems, list)
        and 2 <= len(problems) <= most
        and all(map(_is_text, [*problems, answer["composition"]]))
    )


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _answer(value: Json) -> Json:
    return wording.same_form(value if isinstance(value, str) else json.dumps(value))


def _shown(state: Json) -> dict[str, Any]:
    """What a template may name."""
    splits = [_of_one(split) for split in state.get("splits", ())]
    solved = zip(state.get("problems", ()), state.get("solutions", ()), strict=False)
    parts = [f"{problem}\n    has the solution {solution}" for problem, solution in solved]
    return {
        "problem": state["problem"],
        "candidates": wording.numbered(splits, ""),
        "parts": wording.numbered(parts, "S"),
        "composition": state.get("composition", ""),
    }


def _of_one(split: Json) -> str:
    problems: Iterable[str] = split["problems"]
    return f"{'; '.join(problems)}\n    {split['composition']}"
