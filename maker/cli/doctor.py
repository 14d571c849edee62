"""`maker doctor`: what is wrong with this installation, each finding with what to do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maker.cli import cluster_checks
from maker.errors import MakerError, inert
from maker.nouns import Json

if TYPE_CHECKING:
    from maker.fresh_draws import Draws

_SHOWN = {"fail": "FAIL"}
PATIENCE = "30s"
"""With an endpoint that answered once."""
FOLDERS = ("decomposers", "voters", "workers", "cluster")


def doctor(
    model: Annotated[
        str | None, typer.Option(help="Also try this model, such as openai:NAME.", envvar="MAKER_MODEL")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible endpoint.", envvar="OPENAI_BASE_URL")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Check the cluster there: HOST:PORT of Ray, or http://HEAD:8265 as a job."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="Where the cluster's runs are kept.", envvar="MAKER_STORAGE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a check.")] = False,
) -> None:
    """Check the installation; exit code 1 if something is wrong."""
    if address is not None and cluster_checks.is_dashboard(address):
        sys.exit(cluster_checks.as_job(address, storage, lambda line: _show(json.loads(line), as_json)))
    healthy = True
    for name, check in _checks(model, base_url, address, storage):
        try:
            verdict, detail = "ok", check()
        except Warning as warning:
            verdict, detail = "warn", str(warning)
        except Exception as error:
            verdict, detail, healthy = "FAIL", f"{error}", False
        line = {"check": name, "verdict": verdict.lower(), "detail": detail}
        _show(line, as_json)
    sys.exit(0 if healthy else 1)


def _show(line: dict[str, Json], as_json: bool) -> None:
    verdict = _SHOWN.get(line["verdict"], line["verdict"])
    shown = f"{verdict:4}  {line['check']:9}  {inert(line['detail'], 2000)}"
    print(json.dumps(line) if as_json else shown, flush=True)


def _checks(
    model: str | None, base_url: str | None, address: str | None, storage: str | None
) -> cluster_checks.Checks:
    yield "links", _links
    yield "packages", _packages
    yield "weights", _weights
    if address is None:
        yield "ray", _ray
        yield "key", _key
    else:
        yield from cluster_checks.checks(address, storage)
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
    told = {"base_url": base_url} if base_url else {}
    given = {**told, "give_up_after": PATIENCE}
    made = plugin.make({name: value for name, value in given.items() if plugin.takes(name)})
    if not hasattr(made, "probe"):
        return f"{made.name} has no endpoint"
    who, found = asyncio.run(_probe(made))
    if found.repeat:
        raise Warning(
            f"{who}, but {found.repeat}: it caches, or draws with one seed, and all votes of it are one; "
            "turn that off (docs/escalation.md)"
        )
    return f"{who}, each answer drawn anew" + (" by its seed" if found.keeps_seed else "")


async def _probe(model: Any) -> tuple[str, Draws]:
    """Who answers, and whether each request is drawn anew."""
    from maker import fresh_draws

    try:
        return await model.probe(), await fresh_draws.draw(model)
    finally:
        await model.aclose()
