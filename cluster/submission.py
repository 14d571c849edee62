"""What a job on a cluster is told: the command line of a run, its name there, what is known of it.

Pure: it neither sends nor reads anything. Invariant: no key is in what a job is told, for anybody who sees
the cluster's dashboard sees that.
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from maker.errors import UsageError, inert
from maker.nouns import Json

RUN, STORAGE = "maker_run", "maker_storage"
"""Of a job's metadata."""
GOING = ("PENDING", "RUNNING")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Job:
    """One try of a run, as the cluster knows it."""

    id: str
    run: str
    storage: str
    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    message: str
    exit_code: int | None
    """Of the run's command, when it has come to its end."""
    began: int
    """Milliseconds since 1970, as the head node says."""

    @property
    def going(self) -> bool:
        return self.status in GOING

    def to_json(self) -> dict[str, Json]:
        shown = {"job": self.id, "run": self.run, "storage": self.storage, "status": self.status}
        return {**shown, "exit_code": self.exit_code}


@dataclass(frozen=True, slots=True)
class Submission:
    """Raises UsageError for a name or storage that cannot be, and for a key among the words."""

    run: str
    storage: str
    words: Sequence[str]
    """Of `maker run`, from the task on."""

    def __post_init__(self) -> None:
        check_name(self.run)
        check_storage(self.storage)

    @property
    def directory(self) -> str:
        return directory(self.storage, self.run)

    @property
    def entrypoint(self) -> str:
        """For the shell of the head node."""
        where = ("--run-dir", self.directory, "--engine", "ray", "--json")
        return joined(["python", "-m", "maker", "run", *self.words, *where])

    @property
    def metadata(self) -> dict[str, str]:
        return {RUN: self.run, STORAGE: self.storage}

    def is_of(self, job: Job) -> bool:
        """A job of this run: another storage may hold another of its name."""
        return (job.run, job.storage.rstrip("/")) == (self.run, self.storage.rstrip("/"))

    def next_id(self, jobs: Iterable[Job]) -> str:
        """A job's id is used once in a cluster's life, a run may take several."""
        taken = {job.id for job in jobs}
        tries = (f"{self.run}-{number}" if number > 1 else self.run for number in range(1, len(taken) + 2))
        return next(name for name in tries if name not in taken)


def joined(words: Iterable[str]) -> str:
    """For a shell."""
    return shlex.join(words)


def directory(storage: str, run: str) -> str:
    return f"{storage.rstrip('/')}/{run}"


def new_name() -> str:
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a run's name is 1 to 80 letters, digits and ._- that begin with one of the first two, not "
            f"{inert(name)!r}"
        )
    return name


def check_storage(storage: str) -> str:
    """Raises UsageError for one that holds a password, which everybody could read."""
    url = urlsplit(storage)
    if "://" in storage and (url.username or url.password or url.query):
        raise UsageError(
            f"the storage {url.scheme}://{url.hostname or ''}{url.path} holds credentials or options: a "
            "job's arguments are shown in the dashboard; put them into the environment, here and on the nodes"
        )
    if not storage or ("://" not in storage and not storage.startswith("/")):
        raise UsageError(
            f"the storage {inert(storage)!r} is neither a URI such as s3://bucket/runs nor an absolute path "
            "that every node has"
        )
    return storage


def check_secrets(words: Iterable[str], environment: Mapping[str, str]) -> None:
    """Raises UsageError when a key of this environment is among the words, naming the variable only."""
    text = "\n".join(words)
    for name, value in environment.items():
        if _secret(name) and len(value) >= 8 and value in text:
            raise UsageError(
                f"the value of {name} is among the arguments, which the dashboard shows: give it to the "
                "nodes by their environment, or by --key-file"
            )


def _secret(name: str) -> bool:
    return any(word in name.upper().split("_") for word in ("KEY", "TOKEN", "SECRET", "PASSWORD"))


def newest(jobs: Collection[Job], run: str) -> Job | None:
    """The last job of a run of this name on this cluster."""
    return max((job for job in jobs if job.run == run), key=lambda job: job.began, default=None)
