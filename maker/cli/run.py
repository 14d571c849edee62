"""`maker run`: start a run, or go on with one."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TextIO

import typer

from maker.cli.progress import Shown
from maker.errors import UsageError

if TYPE_CHECKING:
    from maker.result import RunResult


def _load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Options from a TOML file by their long names, and a table T; below command line and environment."""
    if path is None:
        return None
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {path}: {error}") from None
    known = {option.opts[0].lstrip("-"): str(option.name) for option in context.command.params}
    if unknown := values.keys() - known.keys():
        raise UsageError(f"--config {path}: unknown {sorted(unknown)}, expected {sorted(known)}")
    if isinstance(values.get("T"), dict):
        values["T"] = [f"{name}={value}" for name, value in values["T"].items()]
    context.default_map = {known[name]: value for name, value in values.items()}
    return path


Workers = Annotated[int, typer.Option(help="Actors, one lane each.", envvar="MAKER_WORKERS")]
Engine = Annotated[
    Literal["ray", "inline"], typer.Option(help="Ray actors, or this process.", envvar="MAKER_ENGINE")
]
Address = Annotated[
    str | None, typer.Option(help="A Ray cluster to join; one is started without it.", envvar="RAY_ADDRESS")
]
BaseUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint.", envvar="OPENAI_BASE_URL")]
GiveUpAfter = Annotated[
    str | None, typer.Option(help="How long a model that cannot be reached is tried, such as 10m.")
]
Durability = Annotated[
    Literal["group", "step"], typer.Option(help="Sync the journal once a second, or with every decision.")
]
MaxCalls = Annotated[int | None, typer.Option(help="The most samples that the run may draw.")]
MaxTokens = Annotated[int | None, typer.Option(help="The most tokens, of prompts and responses.")]
MaxCost = Annotated[float | None, typer.Option(help="The most money, by --price.")]
Price = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[MODEL=]IN,OUT",
        help="What a million prompt tokens and a million response tokens cost; repeatable, once a model.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")]


def run(
    task: Annotated[str, typer.Argument(help="A task: a name, package.module:Name or file.py:Name.")],
    parameter: Annotated[
        list[str] | None, typer.Option("-T", metavar="KEY=VALUE", help="A parameter of the task; repeatable.")
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="A file for a task that takes one, such as questions."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            envvar="MAKER_MODEL",
            help="embedded:temperature=1.5, sim:error=0.002,latency=20ms, openai:NAME, file.py:Name; "
            "more than one is a panel, drawn in turn.",
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("--k", "-k", help="Votes by which an answer must lead (3).", envvar="MAKER_K"),
    ] = None,
    voter: Annotated[
        str | None, typer.Option(help="Another rule: first_to_k:k=4, majority:n=5.", envvar="MAKER_VOTER")
    ] = None,
    red_flags: Annotated[
        str, typer.Option(help="Rules joined by |, such as truncated|too_long:tokens=700|refusal.")
    ] = "truncated",
    seed: Annotated[int, typer.Option(help="Decides every seat's seed.", envvar="MAKER_SEED")] = 0,
    max_samples: Annotated[int, typer.Option(help="The most draws at a step; then it is parked.")] = 100,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="The run's directory; one that holds this run goes on. New below runs/."),
    ] = None,
    workers: Workers = 2,
    engine: Engine = "ray",
    address: Address = None,
    base_url: BaseUrl = None,
    give_up_after: GiveUpAfter = None,
    durability: Durability = "group",
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    price: Price = None,
    as_json: AsJson = False,
    config: Annotated[
        Path | None,
        typer.Option(
            callback=_load_config, is_eager=True, help="Options from a TOML file.", envvar="MAKER_CONFIG"
        ),
    ] = None,
) -> None:
    """Run TASK; the same command with the same --run-dir goes on where it was."""
    from maker import api

    params = parameters([*(parameter or []), *_input(task, input)])
    asked = partial(api.run, task, params=params, model=model or None, k=k, voter=voter)
    more = {"red_flags": red_flags, "seed": seed, "max_samples": max_samples, "run_dir": run_dir}
    where = {"workers": workers, "engine": engine, "address": address, "durability": durability}
    budget = {"max_calls": max_calls, "max_tokens": max_tokens, "max_cost": max_cost, "price": price}
    endpoint = {"base_url": base_url, "give_up_after": give_up_after}
    _show(partial(asked, **more, **where, **endpoint, **budget), as_json)


def resume(
    run: Annotated[Path, typer.Argument(help="The run's directory.")],
    max_samples: Annotated[
        int | None, typer.Option(help="A new cap on the draws at a step; of a retried one, on further draws.")
    ] = None,
    retry_parked: Annotated[
        bool, typer.Option("--retry-parked", help="Re-open the parked steps, each with another panel.")
    ] = False,
    model: Annotated[
        list[str] | None, typer.Option(help="Who draws at the retried steps; repeatable.")
    ] = None,
    k: Annotated[int | None, typer.Option("--k", "-k", help="Lead at the retried steps.")] = None,
    voter: Annotated[str | None, typer.Option(help="Another rule at the retried steps.")] = None,
    workers: Workers = 2,
    engine: Engine = "ray",
    address: Address = None,
    base_url: BaseUrl = None,
    give_up_after: GiveUpAfter = None,
    durability: Durability = "group",
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    price: Price = None,
    as_json: AsJson = False,
) -> None:
    """Go on with RUN where it was; parked steps with the samples they have.

    With --retry-parked, the steps that are parked now are voted on by another panel (or, without --model,
    --k and --voter, by the same one) with a cap raised by --max-samples; the steps after them as before.
    """
    from maker import api

    where = {"workers": workers, "engine": engine, "address": address, "durability": durability}
    endpoint = {"base_url": base_url, "give_up_after": give_up_after}
    panel = partial(api.resume, retry_parked=retry_parked, model=model or None, k=k, voter=voter)
    budget = {"max_calls": max_calls, "max_tokens": max_tokens, "max_cost": max_cost, "price": price}
    _show(partial(panel, run, max_samples=max_samples, **where, **endpoint, **budget), as_json)


def _show(call: Callable[..., RunResult], as_json: bool) -> NoReturn:
    """Run, shown while it goes, and exit as its status says."""
    with own_stdout() as out, Shown(as_json, out) as shown:
        result = call(on_launch=shown.launch, on_progress=shown.progress)
        shown.result(result)
    sys.exit(result.exit_code)


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """The real stdout; whatever else writes there meanwhile (Ray does) goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(kept, "w", encoding="utf-8", closefd=False) as out:
            yield out
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _input(task: str, file: Path | None) -> list[str]:
    """The file as the task's parameter `input`."""
    from maker import plugins

    if file is None:
        return []
    if not plugins.find(plugins.DECOMPOSERS, task).takes("input"):
        raise UsageError(f"--input {file}: the task {task} reads no file, it has no parameter `input`")
    return [f"input={file.resolve()}"]


def parameters(texts: list[str]) -> dict[str, object]:
    """What `-T` was given, by name."""
    values: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise UsageError(f"-T {text}: expected KEY=VALUE")
        if name in values:
            raise UsageError(f"-T {name}: given twice")
        values[name] = value
    return values
