"""A question with places for a row's values: `Classify: {text}`, with {{ and }} for braces.

A place is the name of a column and nothing else: no attribute, index or format, so neither a template nor a
row can reach into the program. A row's values are put in as they are and never read as a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from maker.errors import UsageError
from maker.nouns import Json

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template:
    def __init__(self, text: str) -> None:
        self.text = text
        self.columns: list[str] = []
        """Those it names, each once, in their order."""
        for found in _PLACE.finditer(text):
            if found[0] in ("{", "}"):
                raise UsageError(
                    f"prompt: a lone {found[0]} at character {found.start() + 1}; write it twice"
                )
            if found[1] == "":
                raise UsageError(
                    f"prompt: the braces at character {found.start() + 1} name no column; write its name "
                    "within, as in {column}, or each brace twice"
                )
            if found[1] is not None and found[1] not in self.columns:
                self.columns.append(found[1])
        if not self.columns:
            raise UsageError("prompt: it names no column; write one as {column}")

    def fill(self, row: Mapping[str, Json]) -> str:
        def value(found: re.Match[str]) -> str:
            return found[0][0] if found[1] is None else _text(row[found[1]])

        return _PLACE.sub(value, self.text)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
