"""`maker export`: a run's samples, decisions and events as tables for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from maker import export as exporting
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.errors import UsageError
from maker.export import Csv, Parquet
from maker.run_directory import RunDirectory


def export(
    run: Run,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Parquet files, every value as it is.")
    ] = None,
    sheets: Annotated[
        Path | None, typer.Option("--csv", metavar="FOLDER", help="CSV files, formulas made inert.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write samples, decisions and events of RUN as tables; its plug-ins are not imported."""
    if parquet is None and sheets is None:
        raise UsageError("give --parquet FOLDER, --csv FOLDER or both")
    directory = RunDirectory(run)
    directory.manifest()
    for folder, suffix, writer in ((parquet, "parquet", Parquet), (sheets, "csv", Csv)):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is no folder: give another")
        if folder is not None:
            rows = exporting.export(directory, folder, suffix, writer)
            line = {"event": "exported", "run": str(run), "folder": str(folder), "form": suffix, **rows}
            counts = ", ".join(f"{count:,} {table}" for table, count in rows.items())
            print(json.dumps(line) if as_json else f"{counts} in {folder}")
