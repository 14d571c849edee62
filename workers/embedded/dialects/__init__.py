"""The dialects that come with the package, and which one a prompt is in.

Only the last user message is looked at, and of it only the end. Invariant: at most one dialect reads a
prompt, for each reads to the end and their openings, or the ends of the two of Hanoi, differ. Read next:
`hanoi.py`.
"""

from __future__ import annotations

from maker.errors import UsageError
from maker.nouns import Message
from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.dialects import arithmetic, graph, hanoi, hanoi_moves, sorting

KNOWN = (hanoi.DIALECT, hanoi_moves.DIALECT, arithmetic.DIALECT, sorting.DIALECT, graph.DIALECT)


def find(messages: tuple[Message, ...]) -> tuple[Dialect, list[int]]:
    """The dialect of the last user message and its question's tokens; UsageError if it is in none."""
    asked = next((message.content for message in reversed(messages) if message.role == "user"), "")
    for dialect in KNOWN:
        tokens = dialect.template(asked)
        if tokens is not None:
            return dialect, tokens
    known = "; ".join(f"{dialect.name} ({dialect.knows})" for dialect in KNOWN)
    raise UsageError(
        f"the embedded model saw a prompt that ends in {asked[-40:]!r}; it knows {known}; and nothing else. "
        "For another task name an endpoint's model, such as --model openai:MODEL."
    )
