"""Answers with a type: a pydantic model reads a response, and its fields say when two answers are equal.

    class Invoice(BaseModel):
        vendor: Annotated[str, Canonical(str.casefold)]
        total: Annotated[float, Canonical(lambda total: round(total, 2))]
        lines: Annotated[list[str], Unordered()]

Nothing is repaired: a text that is not the JSON of a valid answer is a red flag. Invariant: the answer is the
JSON that the response holds, and the model's instance is made from it anew wherever it is needed, so a run,
its resume and its replay see the same.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

from pydantic import BaseModel, GetCoreSchemaHandler, SerializerFunctionWrapHandler, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, core_schema

from maker import canonical
from maker.errors import PluginError, inert
from maker.nouns import Json, RedFlag

_EQUALITY = object()
"""The context in which an instance is written in its canonical form."""
_UNREADABLE = ("json_invalid", "string_unicode")
"""What a model says of JSON that Python reads and it does not: lone surrogates, nesting beyond its depth."""


@dataclass(frozen=True, slots=True)
class Canonical:
    """Annotates a field (or an item of one): values are equal when `form` of them is.

    `form` is given the value as the model holds it; what it returns is compared as JSON. The answer that is
    kept is as the sample said it.
    """

    form: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _written(handler(source), lambda value, write: write(self.form(value)))


@dataclass(frozen=True, slots=True)
class Unordered:
    """Annotates a list: two are equal when they hold the same items, each as often, in any order."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _written(handler(source), lambda value, write: sorted(write(value), key=canonical.key))


def _written(schema: CoreSchema, form: Callable[[Any, SerializerFunctionWrapHandler], Any]) -> CoreSchema:
    """The schema with `form` for its canonical writing; any other writing stays as it is."""

    def write(value: Any, inner: SerializerFunctionWrapHandler, info: core_schema.SerializationInfo) -> Any:
        return form(value, inner) if info.context is _EQUALITY else inner(value)

    wrapped = core_schema.wrap_serializer_function_ser_schema(write, info_arg=True, schema=schema)
    return cast(CoreSchema, {**schema, "serialization": wrapped})


def schema(model: type[BaseModel]) -> str:
    """The JSON schema of a model as text for a prompt: the same each time, in the order of the fields."""
    return json.dumps(json_schema(model), ensure_ascii=False)


@cache
def json_schema(model: type[BaseModel]) -> dict[str, Json]:
    """The JSON schema that answers are held to."""
    found = model.model_json_schema(schema_generator=_Untitled)
    if '"uniqueItems": true' in json.dumps(found):
        raise PluginError(
            f"{model.__name__} has a set, which is written in another order each time: "
            "use Annotated[list[...], Unordered()]"
        )
    if "extra" not in model.model_config:
        for each in (found, *found.get("$defs", {}).values()):
            if "properties" in each:
                each.setdefault("additionalProperties", False)
    return found


class _Untitled(GenerateJsonSchema):
    """A field's title is its name once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Answers:
    """Reads and compares the answers of one task; `model` is their type."""

    def __init__(self, model: object) -> None:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise PluginError(
                f"the task's answer is {inert(repr(model))}, expected a pydantic model, a class"
            )
        self.model = model
        self.schema = json_schema(model)
        said = model.model_config
        self._strict = None if "strict" in said else True
        self._extra: Literal["forbid"] | None = None if "extra" in said else "forbid"

    def load(self, answer: Json) -> BaseModel:
        """The instance that JSON stands for; RedFlag where it stands for none."""
        try:
            text = json.dumps(answer, allow_nan=False)
            return self.model.model_validate_json(text, strict=self._strict, extra=self._extra)
        except ValidationError as error:
            raise _flag(error) from None
        except RecursionError:
            raise RedFlag("malformed", "nested too deep") from None

    def dump(self, answer: Json | BaseModel) -> Json:
        """What a task's own `parse` gave, as JSON."""
        if isinstance(answer, BaseModel):
            return answer.model_dump(mode="json", by_alias=True, round_trip=True)
        return answer

    def canonical(self, answer: BaseModel) -> Json:
        """The value that decides equality."""
        return answer.model_dump(mode="json", round_trip=True, warnings=False, context=_EQUALITY)


def read(text: str) -> Json:
    """The JSON that a response is, or holds in its one fenced block; RedFlag for any other text.

    A name that comes twice in an object and a number that is not finite are no JSON here.
    """
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        block = _fenced(text)
        if block is None:
            raise RedFlag("malformed", f"no JSON: {inert(error, 80)}") from None
    try:
        return loads(block)
    except (ValueError, RecursionError) as error:
        raise RedFlag("malformed", f"no JSON in the fenced block: {inert(error, 80)}") from None


def _fenced(text: str) -> str | None:
    """Inside of the only fenced block, if it is said to be JSON or nothing."""
    parts = text.split("```")
    if len(parts) != 3:
        return None
    tag, newline, block = parts[1].partition("\n")
    return block if newline and tag.strip().lower() in ("", "json") else None


def loads(text: str | bytes) -> Json:
    """JSON in which no name comes twice and every number is finite; raises ValueError, RecursionError."""
    return json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the name {twice!r} comes twice in an object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def _flag(error: ValidationError) -> RedFlag:
    """The first thing that a model minds; nothing of the text's values."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] in _UNREADABLE:
        return RedFlag("malformed", inert(first["msg"], 80))
    place = ".".join(map(str, first["loc"])) or "the answer"
    return RedFlag("schema", f"{inert(place, 80)}: {inert(first['msg'], 200)}")


def yes_or_no(text: str) -> bool:
    """The last word of a response; RedFlag if it is neither."""
    words = text.casefold().split()
    last = words[-1].strip(".!*\"'`") if words else ""
    if last not in ("yes", "no"):
        raise RedFlag("malformed", "neither yes nor no")
    return last == "yes"
