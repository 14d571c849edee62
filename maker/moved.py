"""Files named by a path of another machine: found again here by their content, and compared by it alone.

A run that begins on a laptop goes on in a cluster, where its plug-ins and input files lie in another folder.
Invariant: what is found holds what was asked for, to the byte.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_FILE = re.compile(r"[^:]*/[^:]*\.py(?=:)")
"""At the beginning of a plug-in's spec."""


def found(path: Path, sha256: str) -> Path:
    """`path`, or where it is none, the file of this content under its last names below the current folder."""
    if not sha256 or path.is_file():
        return path
    names = path.parts[1:] if path.is_absolute() else path.parts
    candidates = (Path.cwd().joinpath(*names[start:]) for start in range(len(names)))
    return next((each for each in candidates if _holds(each, sha256)), path)


def placeless(value: object) -> object:
    """A value of a manifest without the folders in it: specs of plug-ins in files, input files."""
    match value:
        case {"spec": str(spec), "sha256": str(sha256), **rest} if sha256 and (file := _FILE.match(spec)):
            return {"spec": Path(file[0]).name + spec[file.end() :], "sha256": sha256, **rest}
        case {"path": str(path), "sha256": str(sha256), **rest} if sha256 and not rest:
            return {"path": Path(path).name, "sha256": sha256}
        case dict():
            return {name: placeless(each) for name, each in value.items()}
        case list():
            return [placeless(each) for each in value]
    return value


def _holds(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False
