"""Texts that no model should say and one day does: what a parser must refuse quietly and soon.

Half of them know nothing of the task, half are mutations of right answers, since a parser's weak places lie
just beside what it takes. Invariant: the same seed and truths give the same texts, in every process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random

LONG = 100_000
"""Characters of a text that is meant to be too long."""

STRANGE = (
    "",
    " ",
    "\x00",
    "\ud800",
    "\x1b[2J\x07",
    "\u202e\u200b\ufeff",
    "null",
    "true",
    '""',
    "NaN",
    "-Infinity",
    "1e999",
    "-0",
    "1_000",
    "0x1f",
    "²",
    "٣",
    "1" * 30,
    "9" * 5_000,
    "[]",
    "{}",
    "[[[]]]",
    '{"a": NaN}',
    '{"a": 1, "a": 2}',
    "I'm sorry, but I can't help with that.",
)
NUMBERS = ("NaN", "Infinity", "1e999", "-1", "0", "1.5", "1e3", "007", "٣", "9" * 5_000, "true", '"1"', "")
PIECES = ("[", "]", "{", "}", '"', "'", ",", ":", "=", "\n", "```", "\\", "\ud800", "\x00", "é", "null")

_NUMBER = re.compile(r"-?\d+", re.ASCII)


def texts(seed: int, truths: Sequence[str], count: int = 300) -> Iterator[str]:
    """At least `count` texts; `truths` are answers that the parser takes."""
    random = Random(seed)
    yield from STRANGE
    yield from ("9" * LONG, " " * LONG, "\n" * LONG, "a" * LONG, "[" * LONG, '{"a":' * LONG, "\\" * LONG)
    for truth in truths:
        yield from (
            truth + truth,
            f"```\n{truth}\n```",
            truth.upper(),
            truth + " " * LONG + "!",
            f"No. {truth}!",
        )
    for _ in range(count):
        yield _mutated(random.choice(truths), random) if truths else _made_up(random)


def _made_up(random: Random) -> str:
    return "".join(random.choice(PIECES + NUMBERS) for _ in range(random.randrange(1, 40)))


def _mutated(truth: str, random: Random) -> str:
    """A right answer with one to three things wrong."""
    text = truth
    for _ in range(random.randrange(1, 4)):
        text = random.choice((_cut, _without, _with, _number, _stretched, _swapped))(text, random)
    return text


def _cut(text: str, random: Random) -> str:
    return text[: random.randrange(len(text) + 1)]


def _without(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + text[at + random.randrange(1, 4) :]


def _with(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(PIECES) + text[at:]


def _number(text: str, random: Random) -> str:
    """One number replaced by another kind of number."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return _with(text, random)
    number = random.choice(found)
    return text[: number.start()] + random.choice(NUMBERS) + text[number.end() :]


def _stretched(text: str, random: Random) -> str:
    """One character many times, and no end that fits: where a regular expression may never come back."""
    if not text:
        return random.choice(PIECES) * 40
    at = random.randrange(len(text))
    times = random.choice((40, 1_000, 20_000))
    return text[:at] + text[at] * times + random.choice(("!", text[at:], ""))


def _swapped(text: str, random: Random) -> str:
    words = text.split(" ")
    random.shuffle(words)
    return " ".join(words)
