"""Where a run is: a directory, or a prefix of an object store, as a user names it.

Readers of a run use only what `Place` lists, so that they need not know which of both it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, Self, TypeVar

from maker.errors import UsageError, inert
from maker.objects import ObjectPath

SCHEMES = ("s3", "gs", "az")


class Place(Protocol):
    """What a `pathlib.Path` and an `ObjectPath` have in common, as far as it is used."""

    @property
    def name(self) -> str: ...
    @property
    def parent(self) -> Self: ...
    @property
    def suffix(self) -> str: ...
    def __truediv__(self, name: str, /) -> Self: ...
    def resolve(self) -> Self: ...
    def exists(self) -> bool: ...
    def is_dir(self) -> bool: ...
    def is_file(self) -> bool: ...
    def iterdir(self) -> Iterator[Self]: ...
    def stat(self) -> Any: ...
    def open(self, mode: Literal["rb"], /) -> BinaryIO: ...
    def read_bytes(self) -> bytes: ...
    def read_text(self, encoding: str) -> str: ...


P = TypeVar("P", bound=Place)
"""The places of one sort, where the sort is kept."""


def at(where: str | Place) -> Place:
    """The place that a path or a URI names. Raises UsageError for a URI that is none of a store's."""
    if not isinstance(where, str):
        return where
    scheme, mark, rest = where.partition("://")
    if not mark:
        if where.partition(":/")[0] in (*SCHEMES, "file"):
            raise UsageError(
                f"{where} is no place for a run: a store has two slashes, such as s3://BUCKET/PREFIX"
            )
        return Path(where)
    if scheme == "file" and rest.startswith("/"):
        return Path(rest)
    bucket, _, key = rest.partition("/")
    if scheme not in SCHEMES or not bucket:
        raise UsageError(
            f"{inert(scheme)}://... is no place for a run: expected a path, s3://BUCKET/PREFIX, "
            "gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
        )
    if set("@?#%") & set(rest):
        raise UsageError(
            f"a {scheme}:// place has no @, ?, # or %: credentials come from the environment alone"
        )
    parts = [part for part in key.split("/") if part]
    if {".", ".."} & set(parts):
        raise UsageError(f"{where}: . and .. name nothing in an object store")
    return ObjectPath(f"{scheme}://{bucket}", "/".join(parts))


def entries(folder: P) -> list[P]:
    """What is in a folder; nothing where there is none."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
