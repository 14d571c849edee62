"""The same task in another process, with another hash seed and hostile texts; it may hang or die there.

A parser that never comes back cannot be stopped from within, so each text has its time, after which the
process ends itself and leaves a traceback. Invariant: whatever the plug-in does, `told` returns.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

from maker import canonical, plugins
from maker.conformance import hostile, walk
from maker.errors import MakerError, UsageError, inert
from maker.nouns import Json, RedFlag, Step
from maker.task import Task

LIMIT = 5.0
"""Seconds that one text may take; a parser needs microseconds."""

SEGMENTS = 1000
"""How many segments are compared."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the other process said."""

    segments: list[list[Json]]
    steps: list[dict[str, Json]]
    texts: int
    """Hostile texts that were read."""
    slowest: float
    """Seconds that one of them took at most."""
    problems: list[tuple[str, str]]
    """(method, what it did and with which text)."""
    ended: str = ""
    """How the process ended, if not as it should."""


def told(spec: str, parameters: Mapping[str, object], spoken: Sequence[walk.Spoken], seed: int) -> Told:
    """Ask another process what it makes of the same steps, and of hostile texts."""
    request = {
        "path": sys.path,
        "spec": spec,
        "parameters": dict(parameters),
        "spoken": [[step.segment, step.index, step.state, texts] for step, texts in spoken],
        "limit": LIMIT,
        "seed": seed,
    }
    try:
        asked = json.dumps(request)
    except TypeError as error:
        raise UsageError(f"parameters must be JSON, as a manifest holds them: {error}") from error
    hashes = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    child = subprocess.run(
        [sys.executable, "-m", __name__],
        input=asked,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hashes},
    )
    there = plugins.locate(plugins.DECOMPOSERS, spec).file
    return _heard(child.stdout.splitlines(), child.stderr, str(there.parent) if there else "")


def _heard(lines: Sequence[str], errors: str, home: str) -> Told:
    heard: dict[str, Any] = {"segments": [], "steps": [], "texts": 0, "slowest": 0.0}
    problems, begun, done = [], "", False
    for line in map(json.loads, lines):
        match line:
            case {"begin": text}:
                begun = text
            case {"problem": [method, what]}:
                problems.append((method, what))
            case {"done": True}:
                done = True
            case _:
                heard.update(line)
    return Told(**heard, problems=problems, ended="" if done else _death(begun, errors, home))


def _death(begun: str, errors: str, home: str) -> str:
    """Why the process ended: where in the plug-in's own folder, and the text that it was reading."""
    frames = re.findall(r'File "(.+)", line (\d+)', errors)
    own = [f" ({file}:{line})" for file, line in frames if file.startswith(home)]
    reading = f", reading {begun}" if begun else ""
    if errors.startswith("Timeout"):
        return f"did not come back within {LIMIT:.1f} s{''.join(own[:1])}{reading}"
    last = errors.strip().splitlines()[-1:] or ["no last words"]
    return f"its process died: {inert(last[0])}{''.join(own[-1:])}{reading}"


# -- in the other process --------------------------------------------------------------------------


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever the plug-in prints is not for whoever asked
    request = json.load(sys.stdin)
    sys.path[:] = request["path"]
    task = Task(plugins.find(plugins.DECOMPOSERS, request["spec"]).make(request["parameters"]), "checked")
    spoken = [(Step(name, index, state), tuple(texts)) for name, index, state, texts in request["spoken"]]
    _say(out, segments=first_segments(task))
    _say(out, steps=list(walk.retold(task, spoken)))
    for line in _hostilities(task, spoken, request["seed"], request["limit"]):
        _say(out, **line)
    _say(out, done=True)


def first_segments(task: Task) -> list[list[Json]]:
    return [[segment.id, canonical.key(segment.state)] for segment in islice(task.segments(), SEGMENTS)]


def _hostilities(
    task: Task, spoken: Sequence[walk.Spoken], seed: int, limit: float
) -> Iterator[dict[str, Json]]:
    truths = sorted({texts[0] for _, texts in spoken if texts}, key=len)[:20]
    slowest, count = 0.0, 0
    for count, text in enumerate(hostile.texts(seed, truths), start=1):
        step, _ = spoken[count % len(spoken)]
        yield {"begin": shown(text)}
        faulthandler.dump_traceback_later(limit, exit=True)
        began = time.perf_counter()
        problem = _read(task, step, text)
        slowest = max(slowest, time.perf_counter() - began)
        faulthandler.cancel_dump_traceback_later()
        if problem:
            yield {"problem": [problem[0], f"{problem[1]}, reading {shown(text)}"]}
    yield {"texts": count, "slowest": slowest}


def _read(task: Task, step: Step, text: str) -> tuple[str, str] | None:
    """(method, what it raised), as a run would come to it: what is read may be voted for."""
    try:
        _, answer = task.read(walk.fresh(step), text)
    except RedFlag:
        return None
    except MakerError as error:
        return "parse", str(error)
    try:
        after, children = task.advance(walk.fresh(step), answer)
        if not children:
            task.prompt(after)
    except MakerError as error:
        return "advance", str(error)
    return None


def shown(text: str) -> str:
    """A text and its length, for people."""
    return f"a text of {len(text):,} characters, {inert(ascii(text[:100]), 60)}"


def _say(out: TextIO, **line: Json) -> None:
    print(json.dumps(line), file=out, flush=True)


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(str(error))
