"""The argument RUN of every command that is about one: a place, or a name in the storage of runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from maker import place
from maker.place import Place


def named_run(where: str) -> Place:
    """The place of a run; a bare name that is no folder here is one of MAKER_STORAGE."""
    here, storage = place.at(where), os.environ.get("MAKER_STORAGE")
    if not storage or not isinstance(here, Path) or here.name != where or here.exists():
        return here
    return place.at(storage) / where


Run = Annotated[
    Place,
    typer.Argument(
        parser=named_run,
        metavar="RUN",
        help="The run's directory, its URI (s3://...), or, with MAKER_STORAGE set, its name there.",
    ),
]
