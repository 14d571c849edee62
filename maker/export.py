"""The tables of a run as files: Parquet for tools that read columns, CSV for people with a spreadsheet.

Every file is written under a temporary name and gets its own when all of them are whole; nothing that
exists is written over. Parquet holds every value as it is (see `tables.py`). CSV is for looking: a cell that
a spreadsheet would take for a formula begins with an apostrophe there.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from maker import tables
from maker.errors import JournalDamagedError, UsageError
from maker.journal import storage
from maker.run_directory import RunDirectory
from maker.tables import COLUMNS, Row

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet may run."""


class Writer(Protocol):
    def write(self, rows: list[Row]) -> None: ...
    def close(self) -> None: ...


def export(
    run: RunDirectory, folder: Path, suffix: str, writer: Callable[[Path, Mapping[str, type]], Writer]
) -> dict[str, int]:
    """Write `<table>.<suffix>` for each table into a folder; rows by table.

    Raises UsageError when one of the files exists.
    """
    targets = {table: folder / f"{table}.{suffix}" for table in COLUMNS}
    if taken := [str(path) for path in targets.values() if path.exists()]:
        raise UsageError(f"{', '.join(taken)} exists and is not written over: give another folder")
    rows = dict.fromkeys(COLUMNS, 0)
    with storage(folder), ExitStack() as cleanup:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = {table: path.with_name(f".{path.name}.{os.getpid()}") for table, path in targets.items()}
        for path in temporary.values():
            cleanup.callback(path.unlink, missing_ok=True)
        with ExitStack() as closing:
            writers = {table: writer(temporary[table], COLUMNS[table]) for table in COLUMNS}
            for each in writers.values():
                closing.callback(each.close)
            for table, batch in tables.batches(run):
                writers[table].write(batch)
                rows[table] += len(batch)
        for table, path in targets.items():
            os.link(temporary[table], path)
    return rows


class Parquet:
    """One table as a Parquet file, a row group for each chunk of the journal.

    Raises UsageError when pyarrow is not installed.
    """

    def __init__(self, path: Path, columns: Mapping[str, type]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise UsageError("--parquet needs pyarrow, which is not installed: pip install pyarrow") from None
        types: dict[type, Any] = {
            str: pyarrow.string(),
            int: pyarrow.int64(),
            float: pyarrow.float64(),
            bool: pyarrow.bool_(),
        }
        self._pyarrow, self._path = pyarrow, path
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: list[Row]) -> None:
        try:
            batch = self._pyarrow.RecordBatch.from_pylist(rows, self._schema)
        except (self._pyarrow.ArrowException, OverflowError) as error:
            raise JournalDamagedError(f"{self._path.name}: a record does not fit: {error}") from None
        if rows:
            self._file.write_batch(batch)

    def close(self) -> None:
        self._file.close()


class Csv:
    """One table as a CSV file in UTF-8 with a line of names first."""

    def __init__(self, path: Path, columns: Mapping[str, type]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(columns)

    def write(self, rows: list[Row]) -> None:
        self._csv.writerows(map(_inert, row.values()) for row in rows)

    def close(self) -> None:
        self._file.close()


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
