"""`maker doctor`: what is wrong with this installation, each finding with what to do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from maker.errors import MakerError

FOLDERS = ("decomposers", "voters", "workers", "cluster")


def doctor(
    model: Annotated[
        str | None, typer.Option(help="Also try this model, such as openai:NAME.", envvar="MAKER_MODEL")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible endpoint.", envvar="OPENAI_BASE_URL")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a check.")] = False,
) -> None:
    """Check the installation; exit code 1 if something is wrong."""
    healthy = True
    for name, check in _checks(model, base_url):
        try:
            verdict, detail = "ok", check()
        except Warning as warning:
            verdict, detail = "warn", str(warning)
        except Exception as error:
            verdict, detail, healthy = "FAIL", f"{error}", False
        line = {"check": name, "verdict": verdict.lower(), "detail": detail}
        print(json.dumps(line) if as_json else f"{verdict:4}  {name:9}  {detail}", flush=True)
    sys.exit(0 if healthy else 1)


def _checks(model: str | None, base_url: str | None) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "links", _links
    yield "packages", _packages
    yield "weights", _weights
    yield "ray", _ray
    yield "key", _key
    if model or base_url:
        yield "endpoint", lambda: _endpoint(model or "openai:probe", base_url)


def _links() -> str:
    here = Path(__file__).parents[1]
    broken = [name for name in FOLDERS if not (here / name / "__init__.py").is_file()]
    if broken:
        raise MakerError(
            f"maker/{broken[0]} is not a folder or a link to one: the checkout has lost its symbolic links; "
            "clone with `git clone -c core.symlinks=true`, on Linux, macOS or WSL"
        )
    return f"maker/{{{','.join(FOLDERS)}}} are in place"


def _packages() -> str:
    names = ("ray", "openai", "pydantic", "numpy", "tenacity")
    return ", ".join(f"{name} {version(name)}" for name in names)


def _weights() -> str:
    from maker.workers import embedded

    for dialect in embedded.dialects.KNOWN:
        embedded.load(dialect)
    return "the embedded model's weights match their digest"


def _ray() -> str:
    from maker.cluster import ray_crew

    with ray_crew.started():
        pass
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode != "token":
        raise Warning(
            f"Ray starts, but RAY_AUTH_MODE is {mode!r}: anyone who reaches it can run code; unset it"
        )
    return "Ray starts, token authentication is on"


def _key() -> str:
    if "OPENAI_API_KEY" not in os.environ:
        raise Warning("OPENAI_API_KEY is not set: openai:NAME needs it for all but loopback endpoints")
    return "OPENAI_API_KEY is set"


def _endpoint(model: str, base_url: str | None) -> str:
    from maker import plugins

    plugin = plugins.find(plugins.MODELS, model)
    made = plugin.make({"base_url": base_url} if base_url and plugin.takes("base_url") else {})
    if not hasattr(made, "probe"):
        return f"{made.name} has no endpoint"
    return str(asyncio.run(_probe(made)))


async def _probe(model: object) -> object:
    try:
        return await model.probe()  # type: ignore[attr-defined]
    finally:
        await model.aclose()  # type: ignore[attr-defined]
