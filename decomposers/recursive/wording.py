"""What a model is asked at each stage, and how its response is read. A user may replace any of the prompts.

A response may reason first; what counts are its labelled lines, each of which must be there exactly once (but
SUBPROBLEM). Invariant: a text of n characters is read in time linear in n, and never repaired.
Read next: `__init__.py`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from string import Template

from maker.errors import UsageError
from maker.input_file import InputFile
from maker.nouns import Json, RedFlag

STAGES: Mapping[str, str] = {
    "atomic": """Here is a problem:
$problem

Can it be solved in one small step in which nothing can slip, such as one operation on single digits? If it
needs several, it should be split.
End with one line: ATOMIC: yes or ATOMIC: no""",
    "propose": """Here is a problem:
$problem

Split it into smaller problems of which none needs the solution of another, and say how the solution follows
from theirs. State each so that it can be understood without the rest.
End with two to $most lines: SUBPROBLEM: <the problem>
and then one line: COMPOSITION: <how to get the solution from theirs, named S1, S2, ... in order>""",
    "choose": """Here is a problem:
$problem

These are ways to split it:
$candidates

Which of them is correct and makes the smaller problems simplest?
End with one line: CANDIDATE: <its number>""",
    "solve": """Here is a problem:
$problem

Solve it.
End with one line: SOLUTION: <the solution and nothing else>""",
    "compose": """Here is a problem:
$problem

It was split, and the parts are solved:
$parts

This is how the solution follows: $composition
End with one line: SOLUTION: <the solution and nothing else>""",
}
"""By stage: a template, with the names that it may use behind a dollar sign."""

_LABELLED = re.compile(r"^[ \t]*(ATOMIC|SUBPROBLEM|COMPOSITION|CANDIDATE|SOLUTION):[ \t]*(.*)$", re.MULTILINE)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+")


def templates(file: InputFile | None) -> dict[str, Template]:
    """The prompts by stage: those of a TOML file (a text for each stage that it names), else our own.

    Raises UsageError for a file that is no such thing.
    """
    own = _read(file) if file else {}
    return {stage: Template(own.get(stage, text)) for stage, text in STAGES.items()}


def _read(file: InputFile) -> Mapping[str, str]:
    try:
        found = tomllib.loads(file.read().decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: no TOML: {error}") from None
    for stage, text in found.items():
        if stage not in STAGES or not isinstance(text, str):
            raise UsageError(f"{file}: saw {stage!r}, expected texts for stages, of {', '.join(STAGES)}")
        unknown = {*Template(text).get_identifiers()} - {*Template(STAGES[stage]).get_identifiers()}
        if unknown or not Template(text).is_valid():
            names = ", ".join(f"${name}" for name in Template(STAGES[stage]).get_identifiers())
            raise UsageError(f"{file}: {stage} may name {names} (a dollar sign is $$), saw {sorted(unknown)}")
    return found


def numbered(texts: Sequence[str], mark: str) -> str:
    return "\n".join(f"{mark}{number}: {text}" for number, text in enumerate(texts, 1))


# -- responses -------------------------------------------------------------------------------------


def atomic(text: str) -> bool:
    said = _only(text, "ATOMIC").rstrip(".").casefold()
    if said not in ("yes", "no"):
        raise RedFlag("malformed", "ATOMIC is neither yes nor no")
    return said == "yes"


def split(text: str, most: int) -> dict[str, Json]:
    """{"problems": 2 to `most` texts, "composition": text}"""
    problems = [value for label, value in _lines(text) if label == "SUBPROBLEM"]
    if not 2 <= len(problems) <= most or not all(problems):
        raise RedFlag("malformed", f"{len(problems)} subproblems, expected 2 to {most}")
    return {"problems": problems, "composition": _only(text, "COMPOSITION")}


def candidate(text: str, count: int) -> int:
    """Its number, from 1."""
    said = _only(text, "CANDIDATE").rstrip(".")
    if not re.fullmatch(r"[0-9]{1,3}", said, re.ASCII) or not 1 <= int(said) <= count:
        raise RedFlag("malformed", f"CANDIDATE is not a number from 1 to {count}")
    return int(said)


def solution(text: str) -> str:
    return _only(text, "SOLUTION")


def same_form(solution: str) -> Json:
    """What decides whether solutions are equal: a JSON value where it is one, else its words."""
    plain = " ".join(solution.split()).strip("`$ ").removesuffix(".")
    if _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    if _INTEGER.fullmatch(plain):
        return _integer(plain)
    try:
        return json.loads(plain, parse_constant=str.casefold, parse_float=str, parse_int=_integer)
    except (ValueError, RecursionError):
        return plain.casefold()


def _integer(digits: str) -> str:
    """Of any length: Python's own conversion is bounded."""
    return "-" * digits.startswith("-") + (digits.lstrip("+-").lstrip("0") or "0")


def _only(text: str, label: str) -> str:
    found = [value for name, value in _lines(text) if name == label]
    if len(found) != 1 or not found[0]:
        raise RedFlag("malformed", f"{len(found)} lines of {label}, expected one with a value")
    return found[0]


def _lines(text: str) -> list[tuple[str, str]]:
    return [(label, value.strip()) for label, value in _LABELLED.findall(text)]
