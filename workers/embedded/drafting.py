"""Drafts of what a response says next, so that one pass can confirm many tokens instead of drawing one.

A draft is how the model's last answer to a question like this one began, if there was any, and then the
dialect's guess. It holds no weights and decides nothing: draws confirm it token by token, or do not.
Invariant: whatever is drafted or remembered, no text is another for it. Read next: `drawing.py`.
"""

from __future__ import annotations

from collections.abc import Hashable

from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.vocabulary import EOS

_END = bytes([EOS])
_MOST = 1 << 14
"""Beginnings that are kept; when there are more, all are forgotten."""


class Drafts:
    """One dialect's, in one process."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._begins: dict[Hashable, bytes] = {}

    def draft(self, tokens: list[int], prompt: int) -> list[int]:
        """What may well come next, up to an end mark, given all tokens and the number of the prompt's."""
        begin = self._begins.get(self._dialect.alike(tokens[:prompt]), b"")
        said = bytes(tokens[prompt:])
        remembered = list(begin[len(said) :]) if begin.startswith(said) else []
        return remembered + self._dialect.guess(tokens + remembered, prompt)

    def learn(self, prompt: list[int], said: list[int]) -> None:
        if len(self._begins) >= _MOST:
            self._begins.clear()
        begin, _, _ = bytes(said[: self._dialect.begin]).partition(_END)
        self._begins[self._dialect.alike(prompt)] = begin
