"""`maker ctl`: pause a run that goes on, let it go on, change how hard it asks its models."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from maker import control
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.errors import UsageError
from maker.run_directory import RunDirectory


def ctl(
    run: Run,
    max_concurrency: Annotated[
        int | None, typer.Option(help="The most requests to one model at a time, of all actors together.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The one model that --max-concurrency is for, such as openai:NAME.")
    ] = None,
    pause: Annotated[
        bool, typer.Option("--pause", help="Draw nothing new; what is under way is kept.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Draw again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change RUN while it goes on: the command that carries it out follows within 2 seconds.

    The last word counts for the commands that come after, too: a run that is paused stays so until --resume.
    """
    directory = RunDirectory(run)
    directory.manifest()
    ended = directory.result()
    if ended is not None and ended["status"] == "done":
        raise UsageError(f"{run} is done: there is nothing to control")
    made = control.request(0, pause, resume, max_concurrency, model)
    number = directory.add_control(lambda command: made.model_copy(update={"command": command}).model_dump())
    asked = made.model_dump(exclude_none=True, exclude={"command", "at"})
    if as_json:
        print(json.dumps({"event": "control", "run": str(run), "number": number, **asked}))
        return
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asked.items())
    print(f"asked: {said}; a command that carries {run} out follows within 2 seconds")
