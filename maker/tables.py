"""The records of a run as rows of three tables: samples, decisions, events; for tools that read columns.

Of every record that counts there is one row, in the order of the lanes and their records; what an overtaken
owner appended is left out. What has no fixed form (an answer, a tally, the rest of an event) is JSON text.
A text that UTF-8 cannot hold (a lone surrogate) is written as the inside of a JSON string, and so is every
other text of its row: `escaped` says so, and json.loads('"' + text + '"') gives it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from maker import chapters
from maker.errors import JournalDamagedError, inert
from maker.nouns import Json
from maker.records import Record
from maker.run_directory import RunDirectory

Row = dict[str, Json]

_PLACE = {"lane": str, "segment": str, "step": int, "state": str}
_SAMPLE = {
    **{"draw": int, "model": str, "variant": int, "temperature": float, "seed": int, "text": str},
    **{"finish": str, "tokens_in": int, "tokens_out": int, "latency": float, "echo": str, "system": str},
    **{"request": str, "logprob": float, "tokens_cached": int},
}
_DECISION = {"answer": str, "votes": str, "flags": str, "by": str}
COLUMNS: Mapping[str, Mapping[str, type]] = {
    "samples": {**_PLACE, **_SAMPLE, "rest": str, "escaped": bool},
    "decisions": {**_PLACE, **_DECISION, "rest": str, "escaped": bool},
    "events": {"lane": str, "segment": str, "step": int, "event": str, "rest": str, "escaped": bool},
}
"""Table to column to type; any but `lane`, `event` and `escaped` may be empty."""
JSON_COLUMNS = frozenset({"answer", "votes", "flags", "rest"})
_TABLES = {"sample": "samples", "decision": "decisions", "event": "events"}


def batches(run: RunDirectory) -> Iterator[tuple[str, list[Row]]]:
    """(table, rows): of one chunk at a time, so that memory does not grow with the run."""
    for lane in run.lanes():
        for chapter in chapters.of(run.lane(lane)):
            rows: dict[str, list[Row]] = {table: [] for table in COLUMNS}
            for record in chapter.records("sample", "decision", "event"):
                table = _TABLES[record.pop("kind")]
                rows[table].append(_row(table, lane, record))
            yield from rows.items()


def _row(table: str, lane: str, record: Record) -> Row:
    columns = COLUMNS[table]
    row: Row = {name: record.pop(name, None) for name in columns if name not in ("lane", "rest", "escaped")}
    row = {"lane": lane, **row, "rest": record, "escaped": False}
    for name in JSON_COLUMNS & columns.keys():
        row[name] = json.dumps(row[name]) if row[name] != {} else None
    return _checked(table, row if _is_utf8(row) else _escaped(row))


def _checked(table: str, row: Row) -> Row:
    for name, kind in COLUMNS[table].items():
        value = row[name]
        if not (value is None or type(value) is kind or (kind is float and type(value) is int)):
            raise JournalDamagedError(
                f"lane {inert(row['lane'])}: {table} have a {name} of type {type(value).__name__}, "
                f"expected {kind.__name__}: maker verify says where"
            )
    return row


def _is_utf8(row: Row) -> bool:
    try:
        for value in row.values():
            if isinstance(value, str):
                value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(row: Row) -> Row:
    texts = {
        name: json.dumps(value)[1:-1]
        for name, value in row.items()
        if isinstance(value, str) and name not in JSON_COLUMNS
    }
    return {**row, **texts, "escaped": True}
