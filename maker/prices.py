"""What tokens cost, in whole numbers, so that sums are exact and caps on money hold to the last digit.

    0.15,0.60                            a million prompt tokens, a million response tokens: of every model
    openai:gpt-4.1-mini=0.40,1.60,0.10   of one; and a million prompt tokens that were in the endpoint's cache

The currency is the user's. Nothing here knows what any endpoint asks. Invariant: amounts are whole `UNIT`s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from maker.errors import UsageError
from maker.nouns import Json
from maker.totals import Totals

UNIT = 10**12
"""Units of cost in one of the currency: a price of 0.000001 for a million tokens is one unit a token."""
MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Price:
    """Of one token, in units of cost; or, the same number, of a million tokens in millionths."""

    tokens_in: int
    tokens_out: int
    cached: int
    """No more than `tokens_in`, so that what a draw may cost at most is known before it."""

    def of(self, tokens_in: int, tokens_out: int, cached: int = 0) -> int:
        """cached: of `tokens_in`."""
        paid = self.tokens_in * (tokens_in - cached) + self.cached * cached
        return paid + self.tokens_out * tokens_out


Prices: TypeAlias = Mapping[str, Price]
"""By the model's name; empty where none were given."""


def read(texts: Sequence[str], models: Iterable[str], kept: Prices | None = None) -> dict[str, Price]:
    """The price of each of these models; `kept` are those that hold where no text says another.

    Raises UsageError when one is missing or no such model is there.
    """
    named = [text.rpartition("=") for text in texts]
    given = {name: _price(text, word) for (name, _, word), text in zip(named, texts, strict=True)}
    if len(given) < len(texts):
        raise UsageError(f"--price {' --price '.join(texts)}: a price is given twice")
    models = list(dict.fromkeys(models))
    if unknown := given.keys() - {"", *models}:
        raise UsageError(f"--price {min(unknown)}: no such model, expected one of {', '.join(models)}")
    if not (given or kept):
        return {}
    for_all = dict.fromkeys(models, given[""]) if "" in given else {}
    prices = {**(kept or {}), **for_all, **given}
    if missing := [name for name in models if name not in prices]:
        raise UsageError(f"no price for {', '.join(missing)}: give --price {missing[0]}=IN,OUT as well")
    return {name: prices[name] for name in models}


def cost(prices: Prices, totals: Totals) -> int:
    """Units of cost of all tokens counted; every model among them must have a price."""
    return sum(prices[name].of(*tokens) for name, tokens in totals.by_model.items())


def money(prices: Prices, totals: Totals) -> float | None:
    """The same in the currency; None where no prices were given."""
    return cost(prices, totals) / UNIT if prices else None


def to_json(prices: Prices) -> dict[str, Json]:
    """Model to what a million prompt tokens, response tokens and cached prompt tokens cost."""
    return {
        name: [each / MILLION for each in (price.tokens_in, price.tokens_out, price.cached)]
        for name, price in prices.items()
    }


def from_json(stored: Mapping[str, Json]) -> dict[str, Price]:
    return {name: Price(*(round(price * MILLION) for price in amounts)) for name, amounts in stored.items()}


def _price(text: str, word: str) -> Price:
    amounts = [_amount(text, each) for each in word.split(",")]
    if len(amounts) not in (2, 3):
        raise UsageError(
            f"--price {text}: expected IN,OUT or IN,OUT,CACHED, with or without MODEL= before it: what a "
            "million tokens cost"
        )
    tokens_in, tokens_out, *cached = amounts
    price = Price(tokens_in, tokens_out, *(cached or [tokens_in]))
    if price.cached > price.tokens_in:
        raise UsageError(f"--price {text}: cached prompt tokens cost more than others, expected no more")
    return price


def _amount(text: str, word: str) -> int:
    try:
        scaled = Decimal(word.strip()) * MILLION
        if scaled >= 0 and scaled == int(scaled):
            return int(scaled)
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise UsageError(f"--price {text}: {word!r} is no number from 0 up with at most 6 decimals")
