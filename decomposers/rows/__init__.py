"""One question about each row of a CSV or JSONL file: classify, extract, clean up.

A row is a segment of one step; its id is the row's number, so that ids are in the order of the file. The
state is what of the row the question needs, then the answer. A row that cannot be decided is parked and the
others go on. Read next: `table.py` (the file), `template.py` (the question), `answer_type.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator

from maker import answers
from maker.decomposers.rows import table
from maker.decomposers.rows.answer_type import AnswerType
from maker.decomposers.rows.template import Template
from maker.errors import UsageError
from maker.input_file import InputFile
from maker.nouns import Json, Message, Prompt, RedFlag, Segment, Step

LISTED = 10_000
"""Rows of which the result holds every answer; of more, `maker result` lists them from the journal."""


def _words(value: object) -> object:
    """`a, b` or a list, without the blanks around each; a JSON text is left for the next reader."""
    words = value.split(",") if isinstance(value, str) and not value.startswith("[") else value
    return [_stripped(word) for word in words] if isinstance(words, list) else words


def _stripped(word: object) -> object:
    return word.strip() if isinstance(word, str) else word


Words = Annotated[list[str], BeforeValidator(_words)]


class Rows:
    """Asks `prompt`, in which {column} stands for a value of the row, about each row of `input`.

    input: a file named .csv (its first line names the columns) or .jsonl (an object a line). answer: a
    pydantic model, as package.module:Name or file.py:Name; choices: words of which the answer is one, such as
    a,b,c; neither: any text. expected: the column of the right answer, for simulated models. max_tokens: cap
    on a response.
    """

    def __init__(
        self,
        input: InputFile,
        prompt: str,
        answer: AnswerType | None = None,
        choices: Words | None = None,
        expected: str | None = None,
        max_tokens: int | None = None,
    ) -> None:
        if answer is not None and choices is not None:
            raise UsageError("rows: give an answer's type or choices, not both")
        if choices is not None and (len(set(choices)) < max(2, len(choices)) or "" in choices):
            raise UsageError(f"rows: choices={choices}, expected two words or more, each once and none empty")
        if max_tokens is not None and max_tokens < 1:
            raise UsageError(f"rows: max_tokens={max_tokens}, expected 1 or more")
        self._template = Template(prompt)
        self._input, self._choices, self._expected = input, choices, expected
        self.answer: type[BaseModel] | None = None if answer is None else answer.load()
        self._columns = [*self._template.columns, *([expected] if expected else [])]
        self._max_tokens = max_tokens
        self._rules = [Message("system", rules)] if (rules := self._instruction()) else []
        self.steps = table.check(input, tuple(self._columns))

    def _instruction(self) -> str | None:
        if self.answer is not None:
            schema = answers.schema(self.answer)
            return f"Answer with one JSON object that fits this schema, and nothing else:\n{schema}"
        if self._choices is not None:
            return f"Answer with exactly one of these, and nothing else: {', '.join(self._choices)}"
        return None

    # -- the chains --------------------------------------------------------------------------------

    def segments(self) -> Iterator[Segment]:
        for number, row in table.rows(self._input):
            yield Segment(f"{number:09d}", {name: row[name] for name in self._columns})

    def prompt(self, step: Step) -> Prompt | None:
        if step.index == 1:
            return None
        question = Message("user", self._template.fill(step.state))
        return Prompt((*self._rules, question), self._max_tokens)

    def parse(self, step: Step, text: str) -> Json:
        if self.answer is not None:
            return answers.read(text)
        said = text.strip()
        if not said or (self._choices is not None and said not in self._choices):
            raise RedFlag("malformed", "none of the choices" if said else "nothing")
        return said

    def check(self, step: Step, answer: Any) -> bool | str:
        """The form alone: what `parse` gives has it, a person's answer may not."""
        if self._choices is not None:
            return answer in self._choices or f"expected one of {', '.join(self._choices)}, as a text"
        if self.answer is None:
            return (isinstance(answer, str) and answer.strip() != "") or "expected a text that is not empty"
        return True

    def advance(self, step: Step, answer: Any) -> Json:
        return answer.model_dump(mode="json", by_alias=True) if isinstance(answer, BaseModel) else answer

    # -- the result --------------------------------------------------------------------------------

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The answers in the order of the rows; of a long file their number."""
        if len(finals) > LISTED:
            return {"rows": len(finals), "answers": "maker result RUN"}
        return [finals[name] for name in sorted(finals)]

    # -- the truth, for models that are simulated ----------------------------------------------------

    @property
    def truth(self) -> Callable[[Step], str]:
        if self._expected is None:
            raise AttributeError("without -T expected=COLUMN nobody knows the right answers")
        return self._truth

    def _truth(self, step: Step) -> str:
        return _text(step.state[self._expected])

    def mistake(self, step: Step, rank: int) -> str:
        """The text of a wrong answer; ranks tell wrong answers apart."""
        right = self._truth(step)
        if self._choices is not None:
            wrong = [choice for choice in self._choices if choice != right]
            return wrong[rank % len(wrong)]
        if self.answer is None:
            return f"{right} ({rank})"
        return json.dumps(_changed(json.loads(right), rank))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _changed(value: Json, rank: int) -> Json:
    """Another value of the same type, as far as one can tell."""
    if isinstance(value, dict):
        first = next((name for name, each in value.items() if each is not None), None)
        return value if first is None else {**value, first: _changed(value[first], rank)}
    if isinstance(value, list):
        return [*value, *[_changed(value[0], rank)] * (rank + 1)] if value else value
    if isinstance(value, bool):
        return not value
    return value + rank + 1 if isinstance(value, int | float) else f"{value} ({rank})"
