"""The embedded model's 64 tokens, and the chat template that finds its question in a prompt.

The template keeps the last user message from its last `previous_move` on; whatever stands before
(rules, procedure) is not read, so editing it changes nothing. It knows no other task. Invariant:
`decode(encode(text)) == text` for every text that can be encoded. Read next: `transformer.py`.
"""

from __future__ import annotations

import re
from typing import Final

from maker.errors import UsageError
from maker.nouns import Message

PAD, BOS, ANSWER, EOS = range(4)
"""Nothing, begin of text, "now comes the answer", end of text."""

LARGEST: Final = 20
"""Disks are numbered 1 to this."""

_SPECIAL = ("<pad>", "<bos>", "<answer>", "<eos>")
_FIXED = (
    "previous_move = None\ncurrent_state = [[",
    "previous_move = [",
    "]\ncurrent_state = [[",
    "move = [",
    "]\nnext_state = [[",
    "], [",
    "]]",
)
_FIRST = tuple(str(number) for number in range(LARGEST + 1))
_LATER = tuple(f", {number}" for number in range(LARGEST + 1))
_USED = _SPECIAL + _FIXED + _FIRST + _LATER

VOCABULARY: Final = _USED + tuple(f"<spare{number}>" for number in range(64 - len(_USED)))
NONE, PREVIOUS, CURRENT, MOVE, NEXT, BETWEEN, END = range(len(_SPECIAL), len(_SPECIAL) + len(_FIXED))
FIRST: Final = len(_SPECIAL) + len(_FIXED)
"""The token of the number 0 where a list begins; number d is `FIRST + d`."""
LATER: Final = FIRST + len(_FIRST)
"""The token of ", 0"; number d after another one is `LATER + d`."""

_TOKEN = {text: token for token, text in enumerate(_USED) if token > EOS}
_LONGEST_FIRST = re.compile(
    "|".join(
        re.escape(text) + r"(?!\d)" * text[-1:].isdigit() for text in sorted(_TOKEN, key=len, reverse=True)
    )
)
"""A number must end where its token ends: 21 is not a 2 and a 1."""


def encode(text: str) -> list[int]:
    """Longest match from the left; UsageError at the first character that no token begins with."""
    tokens, at = [], 0
    while at < len(text):
        found = _LONGEST_FIRST.match(text, at)
        if found is None:
            raise _foreign(f"{text[at : at + 24]!r}, which is none of its tokens")
        tokens.append(_TOKEN[found[0]])
        at = found.end()
    return tokens


def decode(tokens: list[int]) -> str:
    return "".join(VOCABULARY[token] for token in tokens)


def template(messages: tuple[Message, ...]) -> list[int]:
    """The prompt as the model sees it: begin, the question, "now comes the answer"."""
    asked = next((message.content for message in reversed(messages) if message.role == "user"), "")
    at = asked.rfind("previous_move")
    if at < 0:
        raise _foreign("a prompt without `previous_move`")
    return [BOS, *encode(asked[at:]), ANSWER]


def _foreign(seen: str) -> UsageError:
    return UsageError(
        f"the embedded model saw {seen}; it knows the towers of Hanoi with 1 to {LARGEST} disks and "
        "nothing else. For another task name an endpoint's model, such as --model openai:MODEL."
    )
