"""Sorting integers by merging, one comparison a step.

Which integers meet is settled by bottom-up merge sort; which of the two comes next ("left" or "right", the
left one if they are equal) is the model's to say, so the order is stable.
Read next: `wording.py` (prompt and parser), `merging.py` (what meets what), `referee.py` (the verifier).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from pydantic import StrictInt

from maker import questions
from maker.decomposers.sorting import merging, referee, wording
from maker.decomposers.sorting.wording import Side
from maker.errors import UsageError
from maker.input_file import InputFile
from maker.nouns import Json, Message, Prompt, Segment, Step

MAX_TOKENS = 300
"""Of a response; the one line takes about five."""

EMBEDDED_BELOW = 10**9
"""The model in the package was trained on integers of up to nine digits."""

_LIST = re.compile(r"\[([^\[\]]*)\]")
_WORDING = re.compile(
    r"(?:sort(?: (?:the|this|these)(?: following)?)?(?: list of)?(?: (?:list|integers|numbers))?"
    r"(?: in (?:ascending|increasing) order| from (?:smallest to largest|lowest to highest))?"
    r"(?:, with commas(?: between them)?)?[:.]?)?",
    re.IGNORECASE,
)
"""What may stand before the list."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_RULES = Message("system", wording.RULES)


class Sorting:
    """One list (`numbers`), or those of a question file (`input`), each a segment.

    numbers: integers, as in -T numbers='[3, 1, 2]'. input: a file of lines such as
    {"id": "q1", "question": "Sort the following list of integers in ascending order: [3, 1, 2]",
    "answer": "[1, 2, 3]"}.
    """

    def __init__(self, numbers: list[StrictInt] | None = None, input: InputFile | None = None) -> None:
        if (numbers is None) == (input is None):
            raise UsageError(
                "sorting: give one list, -T numbers='[3, 1, 2]', or --input with a question file"
            )
        self._questions = None if input is None else questions.read(input, _problem, _answer)
        self._lists: dict[str, list[int]] = {each.segment: each.problem for each in self._questions or ()}
        if numbers is not None:
            self._lists = {"list": numbers}
        self.steps = round(sum(merging.expected(len(items)) for items in self._lists.values()))
        known = all(abs(number) < EMBEDDED_BELOW for items in self._lists.values() for number in items)
        self.model = "embedded" if known else None

    # -- the chain ---------------------------------------------------------------------------------

    def segments(self) -> Iterator[Segment]:
        for name, items in self._lists.items():
            yield Segment(name, merging.first(items))

    def prompt(self, step: Step) -> Prompt | None:
        pair = merging.pair(step.state)
        return Prompt((_RULES, Message("user", wording.question(*pair))), MAX_TOKENS) if pair else None

    def parse(self, step: Step, text: str) -> Side:
        return wording.parse(text)

    def check(self, step: Step, answer: Json) -> bool:
        """The form alone: what `parse` gives has it, a person's answer may not."""
        return answer in ("left", "right")

    def advance(self, step: Step, answer: Side) -> Json:
        return merging.advance(step.state, answer)

    # -- the result --------------------------------------------------------------------------------

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The sorted list; of a question file every list, with the score."""
        results = {name: merging.result(finals[name]) for name in self._lists}
        return results["list"] if self._questions is None else questions.scored(self._questions, results)

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool | str:
        """Every comparison and every sorted list, whatever a question file says."""
        return questions.judged(self._lists, decided, referee.judge)

    # -- the truth, for models that are simulated and for measuring ---------------------------------

    def truth(self, step: Step) -> str:
        """The text of the right answer."""
        return wording.write("right" if _right_is_next(step) else "left")

    def mistake(self, step: Step, rank: int) -> str:
        """The text of the wrong answer; there is but one."""
        return wording.write("left" if _right_is_next(step) else "right")


def _right_is_next(step: Step) -> bool:
    pair = merging.pair(step.state)
    return pair is not None and pair[1] < pair[0]


def _problem(text: str) -> list[int]:
    """The list of a question in a known wording; ValueError for any other: it may ask for another order."""
    found = list(_LIST.finditer(text))
    if len(found) != 1:
        raise ValueError(f"question: saw {len(found)} lists in brackets, expected one, as in [3, 1, 2]")
    before, after = text[: found[0].start()].split(), text[found[0].end() :].strip()
    if not _WORDING.fullmatch(" ".join(before)) or after not in ("", "."):
        raise ValueError(
            f"question: saw {text[:80]!r}, expected a list alone or behind words such as 'Sort the following "
            "list of integers in ascending order:', and nothing else"
        )
    return _integers("question", found[0][1])


def _answer(value: Json) -> Json:
    if isinstance(value, int):
        raise ValueError("answer: saw a number, expected a list")
    return value if isinstance(value, list) else _integers("answer", value.strip().strip("[]"))


def _integers(what: str, text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(map(_INTEGER.fullmatch, words)):
        raise ValueError(f"{what}: saw {text[:80]!r}, expected integers with commas between them")
    return [int(word) for word in words]
