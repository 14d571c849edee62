"""What one set of weights speaks: its tokens, how its question is found in a prompt, and its guesses.

It holds no weights and draws nothing. Invariant: what stands before the last opening in a prompt
changes nothing. Read next: `dialects/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from maker.workers.embedded.vocabulary import ANSWER, BOS, Vocabulary


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    """Of its task, and of its weights file."""
    knows: str
    """For people, in an error."""
    opening: str
    """What its question begins with; a line break in front stands for the begin of a line."""
    words: Vocabulary
    read: Callable[[str], list[int]]
    """Tokens of a question, from its opening to the end of the prompt; ValueError if it is none."""
    guess: Callable[[list[int], int], list[int]]
    """What may well come next, given all tokens so far and how many of them are the prompt's.

    A guess is only ever confirmed by draws: it decides nothing, may be wrong and knows no answer.
    """
    alike: Callable[[list[int]], Hashable] = bytes
    """Of a question's tokens, what the begin of its answer may hang on: questions that have it in common are
    expected to have answers that begin alike. As it is, each question is like itself alone."""
    begin: int | None = None
    """So many tokens of an answer; None is all of it."""

    def template(self, asked: str) -> list[int] | None:
        """The prompt as the model sees it: begin, the question, "now comes the answer"."""
        lines = "\n" + asked
        at = lines.rfind(self.opening)
        if at < 0:
            return None
        try:
            return [BOS, *self.read(lines[at:].removeprefix("\n")), ANSWER]
        except ValueError:
            return None
