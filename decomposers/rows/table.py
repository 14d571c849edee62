"""The rows of a file: CSV with a line of names first, or JSONL with an object a line.

Invariant: a file with a bad row is refused as a whole, with the lines of such rows, before anything is drawn.
The file's bytes are held in memory while it is read, its rows one at a time.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import PurePath

from maker import answers
from maker.errors import UsageError, inert
from maker.input_file import InputFile
from maker.nouns import Json

Row = dict[str, Json]

SHOWN = 10
"""Bad rows that an error lists."""


@cache
def check(file: InputFile, columns: tuple[str, ...]) -> int:
    """The number of rows; UsageError lists those that cannot be read or lack one of the columns."""
    count, bad = 0, list[str]()
    for line, row in _read(file, columns):
        count += 1
        if isinstance(row, dict):
            missing = [name for name in columns if name not in row]
            row = f"no {', '.join(missing)}; it has {', '.join(row)}" if missing else row
        if isinstance(row, str):
            bad.append(f"  line {line}: {inert(row)}")
    if bad or not count:
        more = [f"  and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
        what = f"bad rows: {len(bad)} of {count}" if bad else "no rows"
        raise UsageError("\n".join([f"{file.path}: {what}", *bad[:SHOWN], *more]))
    return count


def rows(file: InputFile) -> Iterator[tuple[int, Row]]:
    """(number from 1, row) of a file that was checked."""
    for number, (_, row) in enumerate(_read(file), 1):
        assert isinstance(row, dict)
        yield number, row


def _read(file: InputFile, columns: Sequence[str] = ()) -> Iterator[tuple[int, Row | str]]:
    """(line from 1, row or what is wrong with it); a CSV file is read if it has the columns."""
    suffix, content = PurePath(file.path).suffix.lower(), file.read().removeprefix(b"\xef\xbb\xbf")
    if suffix == ".csv":
        return _csv(content, columns)
    if suffix in (".jsonl", ".ndjson"):
        return _jsonl(content)
    raise UsageError(f"{file.path}: expected a file named .csv or .jsonl")


def _jsonl(content: bytes) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(io.BytesIO(content), 1):
        if line.strip():
            yield number, _object(line)


def _object(line: bytes) -> Row | str:
    try:
        row = answers.loads(line)
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return "no JSON: half of a surrogate pair, expected whole characters"
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return row if isinstance(row, dict) else f"{type(row).__name__}, expected an object"


def _csv(content: bytes, columns: Sequence[str]) -> Iterator[tuple[int, Row | str]]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        yield content.count(b"\n", 0, error.start) + 1, f"{error}; the file must be UTF-8"
        return
    # the whole process's; a value may be as long as the file
    csv.field_size_limit(max(csv.field_size_limit(), len(content)))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = next(reader, [])
        if "" in names or len(set(names)) < len(names):
            yield 1, "the first line must name every column, each once"
            return
        if missing := [name for name in columns if name not in names]:
            yield 1, f"no column named {', '.join(missing)}; the columns are {', '.join(names)}"
            return
        for values in filter(None, reader):
            row: Row = dict(zip(names, values, strict=False))
            fits = len(values) == len(names)
            yield reader.line_num, row if fits else f"{len(values)} values, expected {len(names)}"
    except csv.Error as error:
        yield reader.line_num, f"{error}; what comes after it was not read"
