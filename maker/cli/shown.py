"""How a step's winner and votes are shown: a table for people, JSON lines, outside text inert."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from shutil import get_terminal_size

from maker.errors import inert
from maker.nouns import Json
from maker.records import Record

WIDTH = max(24, (get_terminal_size((160, 24)).columns - 56) // 2)
"""Of an answer's key in a table, in characters, so that a row fits the terminal; a longer one is cut."""

ROWS = 20
"""Of a table that people are shown, and steps that are asked again, where nothing is said."""

_BY = {"person": "  decided by a person", "proposal": "  the first valid sample, a proposal"}


def how(record: Record) -> str:
    """What a decision has beside votes and an answer, if anything."""
    children = record.get("children", 0)
    forks = f"  forks into {children} segment{'s' * (children > 1)}" if children else ""
    return _BY.get(record.get("by", ""), "") + forks


def votes(record: Record) -> dict[str, int]:
    """By key, in the order of the record: most first."""
    return {each["key"]: len(each["draws"]) for each in record["votes"]}


def flags(record: Record) -> dict[str, int]:
    """By reason."""
    return {each["reason"]: len(each["draws"]) for each in record["flags"]}


def winner(record: Record | None) -> str | None:
    """The key that won a recorded step; None while it waits."""
    if record is None or record["kind"] != "decision" or not record["votes"]:
        return None
    key: str = record["votes"][0]["key"]
    return key


def cell(key: str | None, counts: Mapping[str, int]) -> str:
    """An answer and the votes, the leader's first, in two columns of a table."""
    text = "-" if key is None else inert(key, WIDTH - 3)
    return f"{text:{WIDTH}}  {'-'.join(map(str, counts.values())) or '0':8}"


def heading(*columns: str) -> str:
    """Of a table whose rows are a step and several such cells."""
    return f"{'step':12}  " + "  ".join(f"{name:{WIDTH}}  {'votes':8}" for name in columns)


def row(segment: str, index: int, *columns: str) -> str:
    return f"{inert(f'{segment}:{index}'):12}  " + "  ".join(columns)


class Table:
    """Rows as they come, up to a limit: as JSON, where none is given, all of them; for people the first ones
    under a heading."""

    def __init__(self, as_json: bool, limit: int | None, heading: str) -> None:
        self.rows = 0
        """That came, shown or not."""
        self._json, self._heading = as_json, heading
        self._limit = limit or (math.inf if as_json else ROWS)

    def add(self, line: dict[str, Json], text: str) -> None:
        if self.rows < self._limit:
            head = "" if self._json or self.rows else f"{self._heading}\n"
            print(json.dumps(line) if self._json else f"{head}{text}", flush=True)
        self.rows += 1

    def end(self, line: dict[str, Json], text: str) -> None:
        if self._json:
            print(json.dumps(line))
            return
        if self.rows > self._limit:
            print(f"... and {self.rows - self._limit:,} more: --limit, or --json for all")
        print(text)
