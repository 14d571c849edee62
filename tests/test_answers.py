"""A typed answer is the JSON that was said, valid or flagged, and its fields say when two are equal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

import maker
from maker import Canonical, Message, Prompt, RedFlag, Segment, Step, Unordered, answers, canonical
from maker.answers import Answers
from maker.errors import PluginError
from maker.nouns import Json
from maker.task import Task

STEP = Step("a", 0, None)
Folded = Annotated[str, Canonical(str.casefold)]


class Line(BaseModel):
    article: Folded
    price: Annotated[Decimal, Canonical(lambda price: round(price, 1))]


class Invoice(BaseModel):
    vendor: Folded
    total: Annotated[float, Canonical(lambda total: round(total, 2))]
    currency: Literal["EUR", "USD"] = "EUR"
    due: date | None = Field(default=None, alias="dueDate")
    tags: Annotated[list[Folded], Unordered()] = []
    lines: Annotated[list[Line], Unordered()] = []

    @field_validator("total")
    @classmethod
    def positive(cls, total: float) -> float:
        if total < 0:
            raise ValueError("a total is 0 or more")
        return total


class Typed:
    """One step that asks for an invoice."""

    answer = Invoice

    def segments(self) -> list[Segment]:
        return [Segment("a", None)]

    def prompt(self, step: Step) -> Prompt | None:
        return Prompt((Message("user", maker.schema(Invoice)),)) if step.index == 0 else None

    def check(self, step: Step, answer: Invoice) -> bool | str:
        return answer.total < 1e6 or "too dear"

    def advance(self, step: Step, answer: Invoice) -> Json:
        return {"vendor": answer.vendor, "due": answer.due and answer.due.isoformat()}

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        return finals["a"]

    def verify(self, decided: Any) -> bool:
        return all(isinstance(answer, Invoice) for _, _, answer in decided)

    def truth(self, step: Step) -> str:
        return '{"vendor": "Acme", "total": 12.5, "dueDate": "2026-01-31"}'

    def mistake(self, step: Step, rank: int) -> str:
        return f'{{"vendor": "Acme", "total": {rank}}}'


def task(**changed: Any) -> Task:
    return Task(type("Changed", (Typed,), changed)(), "typed")


def flag(text: str, subject: Task | None = None) -> RedFlag:
    with pytest.raises(RedFlag) as raised:
        (subject or task()).read(STEP, text)
    return raised.value


def test_the_answer_is_what_the_text_says_and_its_methods_get_an_instance() -> None:
    _, answer = task().read(STEP, ' {"dueDate": "2026-01-31", "vendor": "ACME", "total": 1}\n')
    assert answer == {"dueDate": "2026-01-31", "vendor": "ACME", "total": 1}
    assert task().advance(STEP, answer)[0].state == {"vendor": "ACME", "due": "2026-01-31"}


def test_one_fenced_block_may_stand_in_prose() -> None:
    said = '{"vendor": "Acme", "total": 1}'
    for text in (said, f"```json\n{said}\n```", f"Here it is:\n```\n{said}\n```\nAnything else?"):
        assert task().read(STEP, text)[1] == json.loads(said)


VALID = '{"vendor": "a", "total": 1}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would rather not say.",
        f"The answer is {VALID}",
        f"{VALID} {VALID}",
        f"```json\n{VALID}\n```\n```json\n{VALID}\n```",
        f"```python\n{VALID}\n```",
        f"```{VALID}```",
        "{'vendor': 'a', 'total': 1}",
        '{"vendor": "a", "total": 1,}',
        '{"vendor": "a", "total": 1, "total": 2}',
        '{"vendor": "a", "total": NaN}',
        '{"vendor": "a", "total": 1e999}',
        '{"vendor": "a", "total": -Infinity}',
        '{"vendor": "\\ud800", "total": 1}',
        '{"vendor": "\ud800", "total": 1}',
        '{"vendor": "a", "total": ' + "1" * 5000 + "}",
        '{"vendor": "a", "total": ' + "[" * 100_000,
        '{"vendor": "a", "tags": ' + "[" * 500 + "]" * 500 + "}",
        "```" * 100_000,
    ],
)
def test_what_is_no_json_is_malformed(text: str) -> None:
    assert flag(text).reason == "malformed"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("[]", "the answer: "),
        ("null", "the answer: "),
        ('{"vendor": "a"}', "total: Field required"),
        ('{"vendor": "a", "total": "1"}', "total: Input should be a valid number"),
        ('{"vendor": 1, "total": 1}', "vendor: Input should be a valid string"),
        ('{"vendor": "a", "total": -1}', "total: Value error, a total is 0 or more"),
        ('{"vendor": "a", "total": 1, "currency": "eur"}', "currency: Input should be 'EUR' or 'USD'"),
        ('{"vendor": "a", "total": 1, "\\u001b[31m": 1}', r"\x1b[31m: Extra inputs are not permitted"),
        ('{"vendor": "a", "total": 1, "due": "2026-01-31"}', "due: Extra inputs"),
        ('{"vendor": "a", "total": 1, "lines": [{"article": "x"}]}', "lines.0.price: Field required"),
    ],
)
def test_json_that_is_no_valid_answer_is_flagged_and_never_repaired(text: str, detail: str) -> None:
    found = flag(text)
    assert found.reason == "schema"
    assert found.detail.startswith(detail)


def test_a_model_that_says_how_strict_it_is_has_its_way() -> None:
    class Loose(BaseModel):
        model_config = ConfigDict(extra="ignore", strict=False)
        number: int

    one, answer = task(answer=Loose, check=lambda *_: True).read(STEP, '{"number": "1", "more": 2}')
    assert answer == {"number": "1", "more": 2}
    assert one == task(answer=Loose, check=lambda *_: True).read(STEP, '{"number": 1}')[0]


def test_the_tasks_check_flags_a_valid_answer_too() -> None:
    assert flag('{"vendor": "a", "total": 1e7}').reason == "too dear"


def key(answer: Json) -> str:
    return task().read(STEP, json.dumps(answer))[0]


def test_answers_are_equal_by_the_canonical_forms_of_their_fields() -> None:
    one = {
        "vendor": "Acme",
        "total": 1.001,
        "tags": ["a", "B", "a"],
        "lines": [{"article": "X", "price": "1.00"}, {"article": "y", "price": "2.04"}],
    }
    other = {
        "lines": [{"price": "2.0", "article": "Y"}, {"price": "1.01", "article": "x"}],
        "tags": ["b", "A", "a"],
        "total": 1.0,
        "vendor": "ACME",
        "currency": "EUR",
        "dueDate": None,
    }
    assert key(one) == key(other)
    for changed in ({"vendor": "acm"}, {"total": 1.02}, {"tags": ["b", "a"]}, {"currency": "USD"}):
        assert key(one) != key({**one, **changed})


INVOICES = st.fixed_dictionaries(
    {
        "vendor": st.sampled_from(["acme", "ACME", "Straße", "STRASSE", "acme ", ""]),
        "total": st.floats(0, 10).map(lambda total: round(total, 3)),
        "tags": st.lists(st.sampled_from("abAB"), max_size=3),
    }
)


@given(one=INVOICES, other=INVOICES, seed=st.integers())
def test_equality_is_that_of_the_fields_forms_and_blind_to_order(one: Json, other: Json, seed: int) -> None:
    def form(answer: Json) -> Json:
        tags = sorted(tag.casefold() for tag in answer["tags"])
        return [answer["vendor"].casefold(), round(answer["total"], 2), tags]

    assert (key(one) == key(other)) == (form(one) == form(other))
    Random(seed).shuffle(shuffled := list(one["tags"]))
    assert key(one) == key({**one, "tags": shuffled})


@given(answer=INVOICES)
def test_a_kept_answer_has_the_key_of_its_sample_and_is_what_was_said(answer: Json) -> None:
    first, kept = task().read(STEP, json.dumps(answer))
    again = task().read(STEP, json.dumps(canonical.plain(kept)))
    assert (first, answer) == (again[0], again[1])


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='{}[]",:`0123456789eE+-.\\u nNaInfity', max_size=80),
    st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=9).map(json.dumps),
    st.tuples(st.just(VALID), st.integers(0, 30), st.text(max_size=3)).map(lambda t: t[0][: t[1]] + t[2]),
    st.text(alphabet="\ud800\udfff\x00\x1b\u202e`{}", max_size=30).map(lambda text: f"```json\n{text}\n```"),
)


@given(text=HOSTILE)
def test_any_text_is_an_answer_or_a_red_flag(text: str) -> None:
    try:
        Task(Typed(), "typed").read(STEP, text)
    except RedFlag as found:
        assert found.reason in ("malformed", "schema", "too dear")
        assert found.detail.isprintable()


@pytest.mark.parametrize(
    "unit", ["[", '{"a":', "1", "```", '"', "\\", "\n", " ", "-", "1e", "\\u", '{"total":1},']
)
def test_a_megabyte_of_anything_is_read_in_a_moment(unit: str) -> None:
    began = time.process_time()
    flag(unit * (1_000_000 // len(unit)))
    flag('{"vendor": ' + unit * (1_000_000 // len(unit)))
    assert time.process_time() - began < 2


def test_a_task_may_parse_itself_and_give_json_or_an_instance() -> None:
    def words(self: Typed, step: Step, text: str) -> Any:
        vendor, total = text.split()
        return Invoice(vendor=vendor, total=float(total), dueDate=date(2026, 1, 31))

    def pairs(self: Typed, step: Step, text: str) -> Any:
        return {"vendor": text, "total": "no number"}

    _, answer = task(parse=words).read(STEP, "Acme 2")
    assert answer["dueDate"] == "2026-01-31"
    assert task(parse=words).advance(STEP, answer)[0].state == {"vendor": "Acme", "due": "2026-01-31"}
    assert flag("Acme", task(parse=pairs)).reason == "schema"


def test_a_method_canonical_is_given_the_instance_and_decides_alone() -> None:
    subject = task(canonical=lambda self, answer: answer.vendor)
    assert subject.read(STEP, VALID)[0] == subject.read(STEP, '{"vendor": "a", "total": 2}')[0]


class Hashed(BaseModel):
    tags: set[str]


@pytest.mark.parametrize(("answer", "said"), [(Invoice.__name__, "a class"), (Hashed, "Unordered")])
def test_an_answer_that_is_no_model_or_has_no_order_to_be_written_in_is_refused(
    answer: Any, said: str
) -> None:
    with pytest.raises(PluginError, match=said):
        Answers(answer)


def test_a_task_without_parse_and_answer_is_refused() -> None:
    with pytest.raises(PluginError, match="no parse"):
        task(answer=None)


def test_prompts_carry_the_schema_and_its_text_is_the_same_each_time() -> None:
    prompt = task().prompt(STEP)
    assert prompt is not None
    assert prompt.schema == json.loads(maker.schema(Invoice)) == json.loads(prompt.messages[0].content)
    assert prompt.schema["additionalProperties"] is False
    assert list(prompt.schema["properties"])[:2] == ["vendor", "total"]
    own = task(prompt=lambda self, step: Prompt((), schema={"type": "object"})).prompt(STEP)
    assert own is not None
    assert own.schema == {"type": "object"}


@pytest.mark.parametrize("schema", [{"a": {1}}, "text"])
def test_a_schema_that_the_journal_could_not_hold_is_the_tasks_fault(schema: Any) -> None:
    with pytest.raises(PluginError, match="prompt"):
        task(prompt=lambda self, step: Prompt((), schema=schema)).prompt(STEP)


def test_a_validator_that_breaks_parks_the_step_and_names_its_line() -> None:
    class Broken(BaseModel):
        @field_validator("*")
        @classmethod
        def breaks(cls, value: int) -> int:
            raise KeyError(value)

        number: int

    with pytest.raises(PluginError, match=r"KeyError at step a:0, state null \(.*test_answers.py"):
        task(answer=Broken).read(STEP, '{"number": 1}')


def run(folder: Path, model: str = "sim:error=0.1", **options: Any) -> maker.RunResult:
    return maker.run(Typed, model=model, engine="inline", run_dir=folder / "run", **options)


def test_a_typed_run_is_journaled_replayed_and_verified(tmp_path: Path) -> None:
    from maker import review
    from maker.run_directory import RunDirectory

    result = run(tmp_path)
    assert (result.status, result.verified) == ("done", True)
    assert result.result == {"vendor": "Acme", "due": "2026-01-31"}
    [decision] = RunDirectory(tmp_path / "run").records(("decision",))
    assert decision["answer"] == json.loads(Typed().truth(STEP))
    assert [each.same for each in review.decided_again(tmp_path / "run")] == [True]


def test_a_person_decides_with_a_valid_answer_only(tmp_path: Path) -> None:
    from maker import api

    parked = run(tmp_path, "sim:flags=1.0", max_samples=3)
    assert (parked.status, parked.flags) == ("parked", {"malformed": 3})
    with pytest.raises(maker.MakerError, match="schema: total: Field required"):
        api.decide(tmp_path / "run", ("a", 0), {"vendor": "a"})
    api.decide(tmp_path / "run", ("a", 0), {"vendor": "By hand", "total": 2})
    ended = api.resume(tmp_path / "run", engine="inline")
    assert (ended.status, ended.result["vendor"]) == ("done", "By hand")


def test_reading_takes_a_response_as_json_alone() -> None:
    assert answers.read('"```"') == "```"
