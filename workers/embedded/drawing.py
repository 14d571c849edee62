"""Draws many responses at about the cost of one, and exactly as if each were drawn alone.

A row of the batch is a text that some seats have in common. In each pass every seat takes its *own*
next tokens from its row's logits; seats that agree stay together, and a row splits where they do not.
A draft is carried along, so that one pass can confirm many tokens: it is only ever confirmed by the seats'
own draws, so a bad draft costs time and changes nothing.
Invariant: a seat's text depends on its prompt, temperature and seed alone. Read next: `__init__.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum
from typing import TypeAlias

import numpy as np

from maker.workers.embedded import chance
from maker.workers.embedded.drafting import Drafts
from maker.workers.embedded.transformer import CONTEXT, Cache, Transformer
from maker.workers.embedded.vocabulary import EOS, PAD
from maker.workers.embedded.weights import Array

_PORTION = 256
"""Tokens that go through the transformer at once, so that short rows are not padded to the longest of all."""


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
    """At temperature 1, whatever the draw's own."""


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
    draft: list[int] = field(default_factory=list)

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.cached


_Drawn: TypeAlias = tuple[list[int], list[float]]
"""Of one seat in one pass: tokens, and the logarithms of their chances at temperature 1."""


class Drawing:
    """One batch in one dialect, from its prompts to the last end mark."""

    def __init__(self, transformer: Transformer, drafts: Drafts, asked: list[Asked]) -> None:
        self._transformer, self._drafts, self._asked = transformer, drafts, asked
        self._draws = [draw for one in asked for draw in one.draws]
        self._logs: list[list[float]] = [[] for _ in self._draws]
        self._numbers = chance.uniforms([draw.seed for draw in self._draws], CONTEXT)
        self._rows = self._first_rows(asked)
        self._cache = Cache(transformer.layers, 2 * len(asked))

    def run(self) -> None:
        while self._rows:
            self._pass()
        for one in self._asked:
            self._drafts.learn(one.prompt, one.draws[0].tokens)

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
            row.draft = self._drafts.draft(row.tokens, row.prompt)[: row.end - len(row.tokens) - 1]
        self._settle(self._drawn(self._logits()))

    def _drawn(self, logits: Array) -> dict[int, _Drawn]:
        """What every seat would say after its row's last token, and after every token of the draft."""
        rows, seats = self._rows, [seat for row in self._rows for seat in row.seats]
        of_row = [number for number, row in enumerate(rows) for _ in row.seats]
        heats = [self._draws[seat].temperature for seat in seats]
        alike: dict[tuple[int, float], int] = {}  # seats of one row and temperature have one distribution
        of_kind = [alike.setdefault(kind, len(alike)) for kind in zip(of_row, heats, strict=True)]
        kinds, temperatures = map(list, zip(*alike, strict=True))
        heights = chance.heights(logits[kinds], np.array(temperatures))
        first = np.array([len(row.tokens) - row.prompt for row in rows])[of_row]
        index = np.minimum(first[:, None] + np.arange(logits.shape[1]), CONTEXT - 1)
        chosen = chance.choose(heights[of_kind], self._numbers[np.array(seats)[:, None], index])
        logs = np.take_along_axis(chance.log_chances(logits)[of_row], chosen[..., None], -1)[..., 0]
        return dict(zip(seats, zip(chosen.tolist(), logs.tolist(), strict=True), strict=True))

    def _logits(self) -> Array:
        """Of each row: after its last token, and after every token of its draft."""
        rows = self._rows
        chunks = [row.tokens[row.cached :] + row.draft for row in rows]
        most = max(len(row.draft) for row in rows) + 1
        made = np.empty((len(rows), most, self._transformer.vocabulary), np.float32)
        for begin, end in _portions([len(chunk) for chunk in chunks]):
            made[begin:end] = self._portion(begin, chunks[begin:end], most)
        return made

    def _portion(self, begin: int, chunks: list[list[int]], most: int) -> Array:
        tokens = np.full((len(chunks), max(map(len, chunks))), PAD)
        for number, chunk in enumerate(chunks):
            tokens[number, : len(chunk)] = chunk
        rows = self._rows[begin : begin + len(chunks)]
        last = np.array([row.pending for row in rows])[:, None] - 1
        wanted = np.minimum(last + np.arange(most), tokens.shape[1] - 1)
        cached = np.array([row.cached for row in rows])
        return self._transformer.logits(tokens, cached, wanted, self._cache, begin)

    # -- who goes on where -------------------------------------------------------------------------

    def _settle(self, drawn: dict[int, _Drawn]) -> None:
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

    def _heirs(self, row: _Row, drawn: dict[int, _Drawn]) -> list[_Row]:
        """Seats that leave the draft at the same place with the same token go on together."""
        leave: dict[tuple[int, int], list[int]] = {}
        for seat in row.seats:
            chosen, logs = drawn[seat]
            depth = next((at for at, token in enumerate(row.draft) if chosen[at] != token), len(row.draft))
            leave.setdefault((depth, chosen[depth]), []).append(seat)
            self._logs[seat] += logs[: depth + 1]
        heirs = []
        for (depth, token), seats in leave.items():
            tokens = [*row.tokens, *row.draft[:depth], token]
            heirs.append(_Row(tokens, row.prompt, row.end, len(tokens) - 1, seats))
        return [heir for heir in heirs if not self._ended(heir)]

    def _ended(self, row: _Row) -> bool:
        stopped = row.tokens[-1] == EOS
        if not stopped and len(row.tokens) < row.end:
            return False
        for seat in row.seats:
            draw = self._draws[seat]
            draw.tokens, draw.cut, draw.logprob = (
                row.tokens[row.prompt :],
                not stopped,
                fsum(self._logs[seat]),
            )
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


def _portions(widths: list[int]) -> list[tuple[int, int]]:
    """Rows that go through the transformer together, from and to: some of about PORTION tokens, or one."""
    made, begin, widest = [], 0, 0
    for row, width in enumerate(widths):
        widest = max(widest, width)
        if row > begin and (row + 1 - begin) * widest > _PORTION:
            made.append((begin, row))
            begin, widest = row, width
    return [*made, (begin, len(widths))]
