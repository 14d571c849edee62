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
_NUMBER = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,9}))?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")

WRITTEN_OUT = 10_000
"""Noughts that a power of ten is written with; beyond them it stays a power."""

READ: Mapping[str, Sequence[str]] = {
    "atomic": ("ATOMIC",),
    "propose": ("SUBPROBLEM", "COMPOSITION"),
    "choose": ("CANDIDATE",),
    "solve": ("SOLUTION",),
    "compose": ("SOLUTION",),
}
"""The labels of the lines that are read of a stage's response."""

NEEDED: Mapping[str, Sequence[str]] = {"choose": ("candidates",), "compose": ("parts",)}
"""What a stage's text must name besides the problem."""


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
        if wrong := _wrong(stage, text):
            raise UsageError(f"{file}: {stage} {wrong}")
    return found


def _wrong(stage: str, text: str) -> str | None:
    """What is wrong with a text for a stage."""
    allowed = Template(STAGES[stage]).get_identifiers()
    odd = next(
        (each.start() for each in Template.pattern.finditer(text) if each["invalid"] is not None), None
    )
    if odd is not None:
        return (
            f"has {text[odd:].split()[0][:20]!r}, expected a name behind the dollar sign; by itself it is $$"
        )
    names = Template(text).get_identifiers()
    if unknown := [name for name in names if name not in allowed]:
        may = ", ".join(f"${name}" for name in allowed)
        return f"may name {may} (a dollar sign is $$), saw ${', $'.join(unknown)}"
    if missing := [name for name in ("problem", *NEEDED.get(stage, ())) if name not in names]:
        return f"must name ${' and $'.join(missing)}: without it the model is not told what it is asked about"
    if missing := [label for label in READ[stage] if f"{label}:" not in text]:
        return f"must ask for a line {missing[0]}: which is what is read of a response"
    return None


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
    """What decides whether solutions are equal: a JSON value where it is one, else its words.

    Numbers are equal by their decimal value, and so are true, True and TRUE.
    """
    plain = " ".join(solution.split()).strip("`$ ").removesuffix(".")
    if _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    if _NUMBER.fullmatch(plain):
        return _number(plain)
    for text in (plain, plain.casefold()):
        try:
            return json.loads(text, parse_constant=str.casefold, parse_float=_number, parse_int=_number)
        except (ValueError, RecursionError):
            continue
    return plain.casefold()


def _number(text: str) -> str:
    """In its shortest form, of any length: neither rounded nor bounded as Python's own numbers are."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text.casefold()
    sign, whole, fraction, power = found[1], found[2], found[3] or "", int(found[4] or 0)
    digits = (whole + fraction).rstrip("0")
    power += len(whole) - len(digits)
    digits = digits.lstrip("0")
    if not digits:
        return "0"
    return ("-" if sign == "-" else "") + _written(digits, power)


def _written(digits: str, power: int) -> str:
    """digits * 10^power, where digits neither begin nor end with a nought."""
    if abs(power) > WRITTEN_OUT + len(digits):
        return f"{digits}e{power}"
    if power >= 0:
        return digits + "0" * power
    padded = digits.rjust(1 - power, "0")
    return f"{padded[:power]}.{padded[power:]}"


def _only(text: str, label: str) -> str:
    found = [value for name, value in _lines(text) if name == label]
    if len(found) != 1 or not found[0]:
        raise RedFlag("malformed", f"{len(found)} lines of {label}, expected one with a value")
    return found[0]


def _lines(text: str) -> list[tuple[str, str]]:
    return [(label, value.strip()) for label, value in _LABELLED.findall(text)]
