"""What a run may spend, as one command after the other says: a cap or a price stays until another is given.

`none` takes one away. What is spent is counted in `budget.py`. Invariant: what a command holds to is recorded
with its claim, so the next one looks at the newest claim alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from maker import prices
from maker.budget import NO_CAP, Spend, Terms
from maker.errors import UsageError, inert
from maker.nouns import Json
from maker.operation import NONE, Operation
from maker.prices import UNIT

_NAMES = ("max_calls", "max_tokens", "max_cost")


def settled(operation: Operation, before: Mapping[str, Json]) -> Operation:
    """With numbers for caps, those of the command before where this one says nothing; None: no cap.

    Raises UsageError for a cap that is none.
    """
    said: dict[str, Any] = {name: _cap(name, getattr(operation, name), before) for name in _NAMES}
    return replace(operation, **said)


def stayed(operation: Operation, before: Mapping[str, Json]) -> dict[str, Json]:
    """The caps that hold because the command before had them."""
    silent = [name for name in _NAMES if getattr(operation, name) is None]
    return {name: before[name] for name in silent if before.get(name) is not None}


def carried(before: Mapping[str, Json]) -> dict[str, Json]:
    """What the next command is to find, for a claim that carries nothing out."""
    return {name: before[name] for name in (*_NAMES, "price") if name in before}


def priced(operation: Operation, before: Mapping[str, Json]) -> bool:
    """Whether every model that draws needs a price."""
    return bool(_kept(operation, before) or _texts(operation))


def terms(operation: Operation, before: Mapping[str, Json], models: Iterable[str]) -> Terms:
    """What a run may spend by a settled operation; `models` are those that draw or have drawn.

    Raises UsageError when a price is missing.
    """
    table = prices.read(_texts(operation), models, _kept(operation, before))
    if operation.max_cost is not None and not table:
        raise UsageError(
            "max_cost needs the price of every model: give --price IN,OUT or --price MODEL=IN,OUT"
        )
    units = (_units(operation.max_calls), _units(operation.max_tokens), _units(operation.max_cost, UNIT))
    return Terms(Spend(*units), table)


def _texts(operation: Operation) -> list[str]:
    return [] if operation.prices == [NONE] else operation.prices


def _kept(operation: Operation, before: Mapping[str, Json]) -> prices.Prices:
    return {} if operation.prices == [NONE] else prices.from_json(before.get("price") or {})


def _cap(name: str, value: float | str | None, before: Mapping[str, Json]) -> float | None:
    if value == NONE:
        return None
    if value is None:
        found: float | None = before.get(name)
        return found
    number = _number(value)
    if number is None or not 0 < number < math.inf:
        raise UsageError(f"{name}={inert(value)}, expected more than 0, or none for no cap")
    if name == "max_cost":
        return float(number)
    if number != int(number):
        raise UsageError(f"{name}={value}, expected a whole number, or none for no cap")
    return int(number)


def _number(value: float | str) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return None if number.is_nan() else number


def _units(cap: float | str | None, unit: int = 1) -> int:
    return NO_CAP if cap is None else int(Decimal(str(cap)) * unit)
