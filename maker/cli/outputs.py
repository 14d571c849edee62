"""Files that a command writes at its end: refused before anything is paid for."""

from __future__ import annotations

from pathlib import Path

from maker.errors import UsageError


def in_a_folder(path: Path | None) -> Path | None:
    """As the callback of an option."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        what = "that is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise UsageError(f"{path}: {what}; expected the name of a file in a folder that exists")
    return path


def svg(path: Path | None) -> Path | None:
    """The same of a picture."""
    if path is not None and path.suffix != ".svg":
        raise UsageError(f"{path}: pictures are SVG; expected a name that ends in .svg")
    return in_a_folder(path)
