"""A place in an object store (s3, gs, az): what Maker uses of `pathlib.Path`, and conditional writes.

Credentials and endpoints are the environment's, as obstore reads it; none is kept or shown here. Objects are
written whole. Invariant: of all that put an object exclusively one succeeds, and it learns so even when the
response was lost, for it recognises its own bytes. Nothing here knows what a journal is.
"""

from __future__ import annotations

import io
import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO

from maker.errors import StorageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PATIENCE = 60.0
"""Seconds that a request is tried again while the store is busy, fails or cannot be reached."""
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
"""Seconds between tries of an exclusive write, beside obstore's own; the last one recurs."""
AT_ONCE = 16
"""Requests that run at a time where many objects are read."""
KEPT_BYTES = 64 << 20
"""Of immutable objects that are kept in memory after they were read."""


@dataclass(frozen=True, slots=True)
class Stat:
    st_size: int


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """One object, or all below a prefix. Raises StorageError for what the store refuses."""

    bucket: str
    """With its scheme: `s3://bucket`."""
    key: str
    """Without a slash at either end; empty for the bucket itself."""
    size: int | None = field(default=None, compare=False)
    """Bytes, where a listing has told."""

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> ObjectPath:
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    @property
    def suffix(self) -> str:
        _, dot, last = self.name.rpartition(".")
        return dot + last

    def resolve(self) -> ObjectPath:
        return self

    # -- reading -----------------------------------------------------------------------------------

    def is_file(self) -> bool:
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        return bool(self.names_after("", 1))

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def stat(self) -> Stat:
        if self.size is not None:
            return Stat(self.size)
        with _asked(self):
            return Stat(_store(self.bucket).head(self.key)["size"])

    def read_bytes(self) -> bytes:
        with _asked(self):
            return bytes(_store(self.bucket).get(self.key).bytes())

    def read_text(self, encoding: str) -> str:
        return self.read_bytes().decode(encoding)

    def open(self, mode: str) -> BinaryIO:
        """For reading; an object that never changes is asked for once."""
        data = _KEPT.get(self)
        if data is None:
            data = self.read_bytes()
            _KEPT.put(self, data)
        return io.BytesIO(data)

    def iterdir(self) -> Iterator[ObjectPath]:
        """Objects and prefixes, by name; nothing where there are none."""
        with _asked(self):
            found = _store(self.bucket).list_with_delimiter(self.key or None)
        here = [self._named(prefix) for prefix in found["common_prefixes"]]
        here += [self._named(each["path"], each["size"]) for each in found["objects"]]
        return iter(sorted(here, key=lambda each: each.key))

    def names_after(self, name: str, most: int = 1000) -> Sequence[ObjectPath]:
        """The first objects below this prefix whose names come after `name`: one request for up to 1000."""
        offset = (self / name).key if name else None
        with _asked(self):
            listed = _store(self.bucket).list(self.key or None, offset=offset, chunk_size=most)
            return [self._named(each["path"], each["size"]) for each in next(iter(listed), [])]

    def _named(self, key: str, size: int | None = None) -> ObjectPath:
        return ObjectPath(self.bucket, key, size)

    # -- writing -----------------------------------------------------------------------------------

    def put(self, data: bytes, exclusively: bool = False) -> None:
        """Write the object whole and durably; `exclusively` raises FileExistsError when there is another.

        An exclusive write must have bytes that nobody else would write there.
        """
        try:
            if exclusively:
                self._create(data)
                return
            with _asked(self):
                _store(self.bucket).put(self.key, data, mode="overwrite", use_multipart=False)
        except FileNotFoundError:
            raise StorageError(f"{self}: there is no {self.bucket}; make it, or name another") from None

    def remove(self) -> None:
        """The object may be gone already."""
        with suppress(FileNotFoundError), _asked(self):
            _store(self.bucket).delete(self.key)

    def _create(self, data: bytes) -> None:
        _load()
        from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError

        end, tries = time.monotonic() + PATIENCE, 0
        while True:
            try:
                with _asked(self, raw=(AlreadyExistsError, PreconditionError, GenericError)):
                    _store(self.bucket).put(self.key, data, mode="create", use_multipart=False)
                return
            except (AlreadyExistsError, PreconditionError) as error:
                refusal: Exception = error
                if (there := self._content()) is not None:
                    if there == data:  # ours: the response was lost
                        return
                    raise FileExistsError(str(self)) from None
            except GenericError as error:
                refusal = error
                if _hopeless(error):
                    raise _refused(self, error) from None
            if time.monotonic() > end:
                raise _refused(self, refusal)
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    def _content(self) -> bytes | None:
        try:
            return self.read_bytes()
        except FileNotFoundError:  # refused, and nothing is there: the store was in a conflict with itself
            return None


def read_all(places: Iterable[ObjectPath]) -> None:
    """Have immutable objects at hand, several requests at a time, as far as there is room."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for file in pool.map(lambda place: place.open("rb"), places):
            file.close()


class _Kept:
    """Objects that never change (chunks), as they were read last."""

    def __init__(self) -> None:
        self._lock, self._bytes = Lock(), 0
        self._objects: OrderedDict[ObjectPath, bytes] = OrderedDict()

    def get(self, place: ObjectPath) -> bytes | None:
        with self._lock:
            if place in self._objects:
                self._objects.move_to_end(place)
            return self._objects.get(place)

    def put(self, place: ObjectPath, data: bytes) -> None:
        with self._lock:
            if place not in self._objects:
                self._objects[place] = data
                self._bytes += len(data)
            while self._bytes > KEPT_BYTES:
                self._bytes -= len(self._objects.popitem(last=False)[1])


_KEPT = _Kept()


_LOADING = Lock()


def _load() -> None:
    """The library, when a store is first asked: by one thread at a time, for its parts import one another."""
    with _LOADING:
        import obstore.store  # noqa: F401


@lru_cache(maxsize=16)
def _store(bucket: str) -> ObjectStore:
    from obstore.store import from_url

    backoff = {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2}
    retry = {"max_retries": 20, "retry_timeout": timedelta(seconds=PATIENCE), "backoff": backoff}
    return from_url(bucket, retry_config=retry)  # type: ignore[call-overload, no-any-return]


@contextmanager
def _asked(place: ObjectPath, raw: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """A request's errors as ours, but for those that are to come as they are."""
    _load()
    from obstore.exceptions import BaseError

    try:
        yield
    except raw:
        raise
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise _refused(place, error) from None
        raise FileNotFoundError(2, "there is no such object", str(place)) from None
    except (BaseError, ValueError) as error:
        raise _refused(place, error) from None


def _hopeless(error: Exception) -> bool:
    """Whether it would be refused again: the request is wrong, or none can be made."""
    return "builder error" in str(error) or bool(re.search(r"status code: 4(?!08|09|12|29)\d\d", str(error)))


def _refused(place: ObjectPath, error: Exception) -> StorageError:
    return StorageError(f"{place}: {_reason(error)}; see to it and run the same command again")


def _reason(error: Exception) -> str:
    """What the store said, without what may hold a key: its addresses, headers and body."""
    text = str(error)
    if "BadScheme" in text:
        return "its endpoint is http://, which is refused unless the environment says AWS_ALLOW_HTTP=true"
    if re.search(r"token request|169\.254\.|metadata\.google", text):
        return "the environment has no credentials for it (docs/storage.md says which it may have)"
    code = re.search(r"<Code>(\w{1,60})</Code>", text)
    status = re.search(r"status code: (\d{3}[A-Za-z ]{0,40})", text)
    if code or status:
        return "the store said " + ", ".join(found[1].strip() for found in (status, code) if found)
    if re.search(r"error sending request|timed out|connect", text, re.IGNORECASE):
        return f"the store cannot be reached, or does not answer within {PATIENCE:.0f} s"
    kind = re.fullmatch(r"Generic \w+ error: ([A-Za-z' ]{1,80})", text.partition("\n")[0])
    return kind[1] if kind else f"the store gave {type(error).__name__}"
