"""The options that every command takes which carries out a run: the fields of `Operation`, typed once.

A command that is decorated with `operational` is given them as one mapping.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, cast, get_type_hints

import typer

from maker.operation import Operation, Operational

_OPTIONS = {
    "workers": typer.Option(help="Actors, one lane each.", envvar="MAKER_WORKERS"),
    "engine": typer.Option(help="Ray actors, or this process.", envvar="MAKER_ENGINE"),
    "address": typer.Option(help="A Ray cluster to join; one is started without it.", envvar="RAY_ADDRESS"),
    "base_url": typer.Option(help="An OpenAI-compatible endpoint.", envvar="OPENAI_BASE_URL"),
    "give_up_after": typer.Option(help="How long a model that cannot be reached is tried, such as 10m."),
    "lost_after": typer.Option(help="How long an actor may not answer before it is replaced, such as 5m."),
    "key_file": typer.Option(
        help="A file with the endpoint's key, on the machines that draw.", envvar="MAKER_KEY_FILE"
    ),
    "durability": typer.Option(help="Sync the journal once a second, or with every decision."),
    "window": typer.Option(
        help="Steps voted on at a time, each from the answer that leads so far at the one before; auto.",
        envvar="MAKER_WINDOW",
    ),
    "seal_seconds": typer.Option(help="In an object store: how long records wait until they are written."),
    "seal_records": typer.Option(help="In an object store: how many records wait at most."),
    "max_calls": typer.Option(
        metavar="N|none",
        help="The most samples that the run may draw; stays until another is given, or none.",
    ),
    "max_tokens": typer.Option(
        metavar="N|none", help="The most tokens, of prompts and responses; stays likewise."
    ),
    "max_cost": typer.Option(metavar="AMOUNT|none", help="The most money, by --price; stays likewise."),
    "price": typer.Option(
        metavar="[MODEL=]IN,OUT[,CACHED]",
        help="What a million prompt, response and cached prompt tokens cost; repeatable, once a model; stays "
        "until another is given, or none.",
    ),
    "max_concurrency": typer.Option(help="The most requests to one model at a time, of all actors together."),
    "requests": typer.Option(
        help="Samples of a step by one request, so that the prompt is paid once, or by one each, so that the "
        "first leads; streamed: both, where the endpoint can; auto: by one each where --window is not 1."
    ),
    "hedge": typer.Option(
        metavar="TIME|auto",
        help="Send a draw that has no reply after so long, such as 2s, once more, and take the first reply; "
        "auto: after the time that 95 of 100 take.",
    ),
}

_CAPS = ("max_calls", "max_tokens", "max_cost")

BaseUrl = Annotated[str | None, _OPTIONS["base_url"]]
GiveUpAfter = Annotated[str | None, _OPTIONS["give_up_after"]]


def operational(command: Callable[..., None]) -> Callable[..., None]:
    """Put the options in the place of a command's parameter `operation`."""
    own = inspect.signature(command, eval_str=True)
    where = list(own.parameters).index("operation")
    kept = [each for each in own.parameters.values() if each.name != "operation"]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        chosen = cast(Operational, {name: given.pop(name) for name in _OPTIONS})
        command(**given, operation=chosen)

    with_options.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*kept[:where], *_parameters(), *kept[where:]]
    )
    return with_options


def _parameters() -> list[inspect.Parameter]:
    types = {
        **get_type_hints(Operational),
        "price": list[str] | None,
        "window": str,
        **dict.fromkeys(_CAPS, str | None),
    }
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[types[field.name], _OPTIONS[field.name]],
        )
        for field in fields(Operation)
    ]
