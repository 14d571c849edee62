"""`maker models`: which models can be named; nothing is imported to list them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from maker import plugins


def models(as_json: Annotated[bool, typer.Option("--json", help="One JSON line a model.")] = False) -> None:
    """List the installed models by the names that --model takes."""
    for entry in plugins.listed(plugins.MODELS):
        package = entry.dist.name if entry.dist else ""
        if as_json:
            print(json.dumps({"name": entry.name, "target": entry.value, "package": package}))
        else:
            print(f"{entry.name:12}  {entry.value:45}  {package}")
    if not as_json:
        print("\nOptions stand behind a name: embedded:temperature=1.5, sim:error=0.002,latency=20ms")
        print("Your own: package.module:Name or file.py:Name")
