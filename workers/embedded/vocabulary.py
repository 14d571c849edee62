"""Tokens and their texts: four special ones that every dialect has, then the dialect's own.

It cuts a text at the longest match and knows nothing of any task. Invariant: `decode(encode(text)) ==
text` for every text that can be encoded. Read next: `dialects/__init__.py`.
"""

from __future__ import annotations

import re

PAD, BOS, ANSWER, EOS = range(4)
"""Nothing, begin of text, "now comes the answer", end of text."""

SPECIAL = ("<pad>", "<bos>", "<answer>", "<eos>")


class Vocabulary:
    """All tokens of one dialect; `texts` begins with the special ones."""

    def __init__(self, *own: str) -> None:
        self.texts = SPECIAL + own
        self._token = {text: token for token, text in enumerate(self.texts) if token > EOS and text}
        longest_first = sorted(self._token, key=len, reverse=True)
        # a number must end where its token ends: 21 is not a 2 and a 1
        self._word = re.compile(
            "|".join(re.escape(text) + r"(?![0-9])" * text[-1:].isdigit() for text in longest_first)
        )

    def __getitem__(self, text: str) -> int:
        return self._token[text]

    def encode(self, text: str) -> list[int]:
        """Longest match from the left; ValueError at the first character that no token begins with."""
        tokens, at = [], 0
        while at < len(text):
            found = self._word.match(text, at)
            if found is None:
                raise ValueError(f"no token begins with {text[at : at + 24]!r}")
            tokens.append(self._token[found[0]])
            at = found.end()
        return tokens

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.texts[token] for token in tokens)
