"""Options as people type them: `name=value` texts, made what a constructor is annotated with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Container, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from maker.errors import MakerError, PluginError, UsageError, inert

T = TypeVar("T")

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(value: object) -> object:
    """`20ms`, `1.5s`, `10m` or a plain number, in seconds."""
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2]] if found else value


Seconds = Annotated[float, BeforeValidator(seconds)]


def duration(name: str, value: object, expected: str = "a time such as 90s or 10m") -> float:
    """Seconds of a duration as typed; raises UsageError when it is none."""
    try:
        return TypeAdapter(Seconds).validate_python(value)
    except ValidationError:
        raise UsageError(f"{name}={value!r}, expected {expected}") from None


def split(text: str) -> tuple[list[str], dict[str, str]]:
    """`NAME,a=1,b=2` as its first word, if any, and its named values; both may hold commas."""
    words, named = [], {}
    for part in re.split(r",(?=[A-Za-z_]\w*=)", text) if text else []:
        name, equals, value = part.partition("=")
        if equals and name.isidentifier():
            named[name] = value
        else:
            words.append(part)
    return words, named


def parameters(target: Callable[..., object]) -> list[inspect.Parameter]:
    """What a plug-in's constructor can be given."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p for p in inspect.signature(target).parameters.values() if p.kind in kinds]


def build(
    target: Callable[..., T], what: str, words: list[str], named: Mapping[str, object], **given: object
) -> T:
    """Call a constructor with typed texts; `given` are objects it may ask for by name.

    Raises UsageError for an option it does not know or cannot read, PluginError when it raises itself.
    """
    asked = {name: value for name, value in given.items() if name in _names(target)}
    values = typed(target, what, words, named, asked)
    try:
        return target(**values, **asked)
    except MakerError:
        raise
    except ValueError as error:
        raise UsageError(f"{what}: {inert(error)}") from error
    except Exception as error:
        raise PluginError(f"{what} could not be made: {type(error).__name__}: {error}") from error


def typed(
    target: Callable[..., object],
    what: str,
    words: list[str],
    named: Mapping[str, object],
    asked: Container[str] = (),
) -> dict[str, object]:
    """Words and named texts as the values that the constructor is annotated with; `asked` come otherwise."""
    known = {p.name: p for p in parameters(target) if p.name not in asked}
    free = [name for name in known if name not in named]
    texts = dict(zip(free, words, strict=False)) | dict(named)
    if unknown := [*words[len(free) :], *(name for name in texts if name not in known)]:
        raise UsageError(f"{what}: no option {', '.join(unknown)}; options: {', '.join(known) or 'none'}")
    required = [name for name, p in known.items() if p.default is inspect.Parameter.empty]
    if missing := [name for name in required if name not in texts]:
        raise UsageError(f"{what}: {', '.join(missing)} must be given")
    hints = _hints(target)
    return {name: _read(what, name, value, hints.get(name, Any)) for name, value in texts.items()}


def _read(what: str, name: str, value: object, hint: Any) -> object:
    adapter: TypeAdapter[object] = TypeAdapter(hint)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        wrong = error
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return adapter.validate_json(value)
        except ValidationError as error:
            wrong = error
    raise UsageError(f"{what}: {name}={value!r}: {wrong.errors()[0]['msg']}")


def _hints(target: Callable[..., object]) -> dict[str, Any]:
    made_by = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    return get_type_hints(target if made_by is object.__init__ else made_by, include_extras=True)


def _names(target: Callable[..., object]) -> set[str]:
    return {p.name for p in parameters(target)}
