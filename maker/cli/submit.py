"""`maker submit`: a run as a job on a Ray cluster; the same command goes on with a run that exists."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maker.cli import run as running
from maker.cli.following import Follower
from maker.cli.run import AsJson
from maker.errors import UsageError, inert

if TYPE_CHECKING:
    from maker.cluster.jobs import Jobs
    from maker.cluster.packing import Folder
    from maker.cluster.submission import Submission

Address = Annotated[
    str,
    typer.Option(
        help="The cluster's dashboard: http://HEAD:8265.", envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"]
    ),
]
Storage = Annotated[
    str,
    typer.Option(
        help="Where runs are kept: a URI, or a folder that all nodes share.", envvar="MAKER_STORAGE"
    ),
]

_OF_THE_JOB = ("run_dir", "engine", "address", "as_json")
"""Options of `maker run` that a job is given by its place."""


def _with_options_of_run(command: Callable[..., None]) -> Callable[..., None]:
    """Those of `maker run` before the command's own; it finds them in its context."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    taken = [
        each for each in inspect.signature(running.run).parameters.values() if each.name not in _OF_THE_JOB
    ]
    names = [each.name for each in taken]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        command(**{name: value for name, value in given.items() if name not in names})

    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*taken, *own)]
    with_options.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    return with_options


@_with_options_of_run
def submit(
    context: typer.Context,
    address: Address,
    storage: Storage,
    name: Annotated[
        str | None, typer.Option(help="The run's name; one that exists goes on. A new one if not given.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return when it has been submitted.")] = False,
    working_dir: Annotated[
        Path | None,
        typer.Option(
            help="The folder that travels, in which the job runs. The current one, if files of it are named."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Names or paths of the folder to leave at home; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run TASK as a job on a Ray cluster, with this version of Maker and the current folder's files.

    A run that exists goes on; one that is going is left alone. Ctrl-C ends the waiting, not the run.
    """
    from maker.cluster import submission
    from maker.cluster.jobs import Jobs
    from maker.cluster.packing import Folder

    if working_dir is not None:
        _enter(working_dir)
    folder = Folder(Path.cwd(), tuple(exclude or ()))
    words, travels = travelling(context, folder)
    submission.check_secrets([storage, *words], os.environ)
    asked = submission.Submission(name or submission.new_name(), storage, words)
    follower, jobs = Follower(as_json), Jobs(address)
    job = _submit(jobs, asked, folder if travels or working_dir else None)
    follower.submitted(job, asked, address)
    if no_wait:
        sys.exit(0)
    try:
        ended = follower.wait(jobs, job, asked.directory)
    except KeyboardInterrupt:
        follower.left(job, asked.run, asked.directory)
        sys.exit(130)
    follower.end(jobs, ended)


def _enter(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"--working-dir {folder}: there is no such folder")
    os.chdir(folder)


def _submit(jobs: Jobs, asked: Submission, folder: Folder | None) -> str:
    known = list(jobs)
    if going := next((job for job in known if job.going and asked.is_of(job)), None):
        raise UsageError(
            f"run {asked.run} is going already, as job {going.id} ({going.status}, storage "
            f"{inert(going.storage)}): see `maker status {asked.directory}`, "
            f"`maker logs {asked.run}`, `maker stop {asked.run}`"
        )
    job = asked.next_id(known)
    jobs.submit(job, asked.entrypoint, asked.metadata, folder)
    return job


# -- what the job is told ---------------------------------------------------------------------------


def travelling(context: typer.Context, folder: Folder) -> tuple[list[str], bool]:
    """The words of `maker run` that were given, files by their place in the folder; whether it has any."""
    names = inspect.signature(running.run).parameters.keys() - {*_OF_THE_JOB, "config"}
    arguments, options, found = list[str](), list[str](), list[str]()
    for parameter in context.command.params:
        name = str(parameter.name)
        given, source = context.params[name], context.get_parameter_source(name)
        if name not in names or given is None or source is None or source.name == "DEFAULT":
            continue
        values = list(given) if isinstance(given, list | tuple) else [given]
        for value in values:
            word = _placed(name, str(value), folder, found)
            if parameter.param_type_name == "argument":
                arguments.append(word)
            else:
                options += _option(parameter, value, word)
    return [*arguments, *options], bool(found)


def _option(parameter: Any, value: object, word: str) -> list[str]:
    if isinstance(value, bool):
        return [parameter.opts[0] if value else parameter.secondary_opts[0]]
    longest = max(parameter.opts, key=len)
    return [f"{longest}={word}"] if longest.startswith("--") else [longest, word]


def _placed(name: str, word: str, folder: Folder, found: list[str]) -> str:
    """A word with the file that it names by its place in the folder, which is noted in `found`."""
    place: Callable[[str], str] = functools.partial(_place, folder=folder, found=found)
    match name:
        case "task" | "model" | "judge" | "voter":
            return _placed_spec(word, place, folder, found)
        case "red_flags":
            return "|".join(_placed_spec(each.strip(), place, folder, found) for each in word.split("|"))
        case "input" | "calibration":
            return place(word)
        case "parameter":
            key, _, value = word.partition("=")
            return f"{key}={place(value)}" if Path(value).is_file() else word
    return word


def _placed_spec(spec: str, place: Callable[[str], str], folder: Folder, found: list[str]) -> str:
    """Of a plug-in: its file, or for `package.module:Name` whether the package is in the folder."""
    where, colon, rest = spec.partition(".py:")
    if colon:
        return f"{place(f'{where}.py')}:{rest}"
    top = spec.partition(":")[0].partition(".")[0]
    if top and ((folder.root / top).is_dir() or (folder.root / f"{top}.py").is_file()):
        found.append(top)
    return spec


def _place(word: str, folder: Folder, found: list[str]) -> str:
    path = Path(word).expanduser()
    if (below := folder.place_of(path)) is not None:
        if not (folder.root / below).is_file():
            raise UsageError(f"{inert(word)}: there is no such file in {folder.root}")
        found.append(below)
        return below
    if path.resolve().is_relative_to(folder.root):
        raise UsageError(
            f"{inert(word)} does not travel to the cluster (--exclude, or a name that may hold a secret)"
        )
    if path.is_absolute():
        print(
            f"maker: {inert(word)} is outside of {folder.root} and does not travel: every node must have it",
            file=sys.stderr,
        )
        return word
    raise UsageError(
        f"{inert(word)} is outside of {folder.root}, which is all that travels to the cluster: "
        "give --working-dir, or an absolute path that every node has"
    )
