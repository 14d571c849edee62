"""Draws many responses at about the cost of one, and exactly as if each were drawn alone.

A row of the batch is a text that some seats have in common. In each pass every seat takes its *own*
next tokens from its row's logits; seats that agree stay together, and a row splits where they do not.
A guess copied from the question is carried along, so that one pass can confirm many tokens: it is
only ever confirmed by the seats' own draws, so a bad guess costs time and changes nothing.
Invariant: a seat's text depends on its prompt, temperature and seed alone. Read next: `__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from maker.workers.embedded import chance
from maker.workers.embedded.transformer import CONTEXT, Cache, Transformer
from maker.workers.embedded.vocabulary import EOS, PAD
from maker.workers.embedded.weights import Array

Guess = Callable[[list[int], int], list[int]]
"""`Dialect.guess`."""


@dataclass(slots=True)
class Draw:
    """One response, wished for and then filled."""

    temperature: float
    seed: int
    tokens: list[int] = field(default_factory=list)
    """The response; the end mark is the last one, unless `cut`."""
    cut: bool = False
    """It ran into its cap."""
    logprob: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, its draws and the most tokens that each may have."""

    prompt: list[int]
    draws: list[Draw]
    cap: int


@dataclass(slots=True)
class _Row:
    tokens: list[int]
    prompt: int
    """So many of the tokens are the prompt's."""
    end: int
    """The row is cut when it has so many tokens."""
    cached: int
    """So many of the tokens have been through the transformer."""
    seats: list[int]
    guess: list[int] = field(default_factory=list)

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.cached


class Drawing:
    """One batch in one dialect, from its prompts to the last end mark."""

    def __init__(self, transformer: Transformer, guess: Guess, asked: list[Asked]) -> None:
        self._transformer, self._guess = transformer, guess
        self._draws = [draw for one in asked for draw in one.draws]
        self._heat = np.array([draw.temperature for draw in self._draws])
        self._numbers = chance.uniforms([draw.seed for draw in self._draws], CONTEXT)
        self._rows = self._first_rows(asked)
        self._cache = Cache(transformer.layers, 2 * len(asked))

    def run(self) -> None:
        while self._rows:
            self._pass()

    def _first_rows(self, asked: list[Asked]) -> list[_Row]:
        rows, seat = [], 0
        for one in asked:
            seats = list(range(seat, seat := seat + len(one.draws)))
            end = min(CONTEXT, len(one.prompt) + one.cap)
            rows.append(_Row(one.prompt, len(one.prompt), end, 0, seats))
        return rows

    # -- a pass ------------------------------------------------------------------------------------

    def _pass(self) -> None:
        for row in self._rows:
            row.guess = self._guess(row.tokens, row.prompt)[: row.end - len(row.tokens) - 1]
        logits = self._logits(max(len(row.guess) for row in self._rows) + 1)
        seats = [seat for row in self._rows for seat in row.seats]
        spread = np.repeat(np.arange(len(self._rows)), [len(row.seats) for row in self._rows])
        first = np.array([len(row.tokens) - row.prompt for row in self._rows])[spread]
        index = np.minimum(first[:, None] + np.arange(logits.shape[1]), CONTEXT - 1)
        numbers = self._numbers[np.array(seats)[:, None], index]
        chosen = chance.choose(logits[spread], self._heat[seats], numbers)
        sums = chance.log_chances(logits[spread], chosen).cumsum(1)
        self._settle(dict(zip(seats, zip(chosen.tolist(), sums.tolist(), strict=True), strict=True)))

    def _logits(self, most: int) -> Array:
        """Of each row: after its last token, and after every token of its guess."""
        rows = self._rows
        chunks = [row.tokens[row.cached :] + row.guess for row in rows]
        tokens = np.full((len(rows), max(map(len, chunks))), PAD)
        for number, chunk in enumerate(chunks):
            tokens[number, : len(chunk)] = chunk
        hidden = self._transformer.hidden(tokens, np.array([row.cached for row in rows]), self._cache)
        last = np.array([row.pending for row in rows])[:, None] - 1
        wanted = np.minimum(last + np.arange(most), tokens.shape[1] - 1)
        return self._transformer.logits(hidden[np.arange(len(rows))[:, None], wanted])

    # -- who goes on where -------------------------------------------------------------------------

    def _settle(self, drawn: dict[int, tuple[list[int], list[float]]]) -> None:
        """Every row goes on as the rows that its seats' tokens make of it, or ends."""
        kept: list[_Row | None] = []
        split: list[tuple[int, _Row]] = []
        for number, row in enumerate(self._rows):
            heirs = self._heirs(row, drawn)
            kept.append(heirs[0] if heirs else None)
            split += [(number, heir) for heir in heirs[1:]]
        for number, heir in split:
            self._cache.copy(number, len(kept))
            kept.append(heir)
        self._rows = self._close_up(kept)

    def _heirs(self, row: _Row, drawn: dict[int, tuple[list[int], list[float]]]) -> list[_Row]:
        heirs, together = [], row.seats
        for depth, expected in enumerate([*row.guess, None]):
            groups: dict[int | None, list[int]] = {}
            for seat in together:
                groups.setdefault(drawn[seat][0][depth], []).append(seat)
            together = groups.pop(expected, [])
            for token, seats in groups.items():
                for seat in seats:
                    self._draws[seat].logprob += drawn[seat][1][depth]
                tokens = [*row.tokens, *row.guess[:depth], token or 0]
                heir = _Row(tokens, row.prompt, row.end, len(tokens) - 1, seats)
                if not self._ended(heir):
                    heirs.append(heir)
            if not together:
                break
        return heirs

    def _ended(self, row: _Row) -> bool:
        stopped = row.tokens[-1] == EOS
        if not stopped and len(row.tokens) < row.end:
            return False
        for seat in row.seats:
            self._draws[seat].tokens, self._draws[seat].cut = row.tokens[row.prompt :], not stopped
        return True

    def _close_up(self, rows: list[_Row | None]) -> list[_Row]:
        """Rows that ended make room: the last ones move into their places, in the cache too."""
        for number in range(len(rows) - 1, -1, -1):
            if rows[number] is None:
                last = rows.pop()
                if number < len(rows):
                    self._cache.copy(len(rows), number)
                    rows[number] = last
        return [row for row in rows if row is not None]
