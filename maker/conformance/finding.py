"""What a check has found: data, which the command line prints and a test asserts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from maker.errors import MakerError, inert
from maker.nouns import Json


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    """The check's name."""
    verdict: Literal["ok", "warn", "fail", "skip"]
    """`warn` is for people to judge; `skip`: there was nothing to check it with."""
    seen: str
    expected: str = ""
    todo: str = ""

    def __str__(self) -> str:
        """One line, safe to print."""
        said = self.seen
        if self.expected:
            said += f"; expected {self.expected}"
        if self.todo:
            said += f"; {self.todo}"
        return inert(said, 1000)

    def to_json(self) -> dict[str, Json]:
        words = {"seen": self.seen, "expected": self.expected, "todo": self.todo}
        return {"check": self.check, "verdict": self.verdict, **words}


def ok(seen: str) -> Finding:
    return Finding("", "ok", seen)


def skip(why: str, todo: str = "") -> Finding:
    return Finding("", "skip", why, todo=todo)


def warn(seen: str, expected: str, todo: str = "") -> Finding:
    return Finding("", "warn", seen, expected, todo)


def fail(seen: str, expected: str, todo: str = "") -> Finding:
    return Finding("", "fail", seen, expected, todo)


Check: TypeAlias = Callable[[], Finding]


def run(name: str, check: Check) -> Finding:
    """A check's finding under its name; what a plug-in raises in it is one too."""
    try:
        return replace(check(), check=name)
    except MakerError as error:
        return Finding(name, "fail", str(error), "no exception")


def run_all(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    return (run(name, check) for name, check in checks)
