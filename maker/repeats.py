"""Votes that are none: an endpoint that gives one answer again and again instead of drawing anew.

A cache, or a seed that is always the same, makes every ballot unanimous, and a wrong answer with it. Two
signs tell it from a model that is sure. Response ids that come again, each with its text, for other seats.
And texts that repeat more than their own probability lets them: a text of probability p comes again by chance
in p of all draws, so each repeat is worth ln(1 / p), and a draw that says something else clears the account.

Pure: fed with samples, it says when to warn. Invariant: of honest draws at temperature 1 a warning by texts
has a chance of at most 1e-9 for each text that was followed by another (Ville's inequality).
"""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from maker.nouns import Json
from maker.records import Record, event

K = TypeVar("K")
V = TypeVar("V")
Sign: TypeAlias = Literal["ids", "texts"]

IDS = 8
"""Response ids that must come again before it is more than an accident."""
EVIDENCE = math.log(1e9)
KEPT = 2048
"""Ids and steps that are remembered: a repeat comes soon after."""


@dataclass(slots=True)
class _Seen:
    """Of one model."""

    texts: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """By response id."""
    again: set[str] = field(default_factory=set)
    """Ids that came again with the same text."""
    meaningless: bool = False
    """An id came with two texts: it names no response."""
    evidence: float = 0.0
    """Of repeats since the last draw that said something else."""


@dataclass(slots=True)
class Repeats:
    """`note` every sample as it comes in."""

    _models: defaultdict[str, _Seen] = field(default_factory=lambda: defaultdict(_Seen))
    _firsts: OrderedDict[tuple[Json, ...], Record] = field(default_factory=OrderedDict)
    """Of each thing asked at temperature 1, the first sample."""
    _told: set[tuple[str, Sign]] = field(default_factory=set)

    def note(self, sample: Record) -> Record | None:
        """The event to write, once for each model and sign."""
        if sample["request"] is None and sample["temperature"] != 1.0:
            return None  # it shows neither sign
        seen = self._models[sample["model"]]
        if self._by_id(sample, seen):
            return self._warning(sample["model"], "ids")
        return self._warning(sample["model"], "texts") if self._by_text(sample, seen) else None

    def _warning(self, model: str, sign: Sign) -> Record | None:
        if (model, sign) in self._told:
            return None
        self._told.add((model, sign))
        return event("repeats", model=model, sign=sign)

    def _by_id(self, sample: Record, seen: _Seen) -> bool:
        name, text = sample["request"], sample["text"]
        if name is None or seen.meaningless:
            return False
        name = name if "#" in name else f"{name}#0"  # the first choice, of one or of several
        if name not in seen.texts:
            _keep(seen.texts, name, text)
            return False
        seen.meaningless = seen.texts[name] != text
        seen.again.add(name)
        return len(seen.again) >= IDS and not seen.meaningless

    def _by_text(self, sample: Record, seen: _Seen) -> bool:
        if sample["temperature"] != 1.0 or sample["logprob"] is None:
            return False
        asked = tuple(sample[name] for name in ("model", "segment", "step", "state", "variant"))
        first = self._firsts.get(asked)
        if first is None:
            _keep(self._firsts, asked, sample)
        elif first["text"] != sample["text"]:
            seen.evidence = 0.0
        else:
            seen.evidence -= min(0.0, first["logprob"])
        return seen.evidence >= EVIDENCE


def _keep(shelf: OrderedDict[K, V], name: K, value: V) -> None:
    shelf[name] = value
    if len(shelf) > KEPT:
        shelf.popitem(last=False)
