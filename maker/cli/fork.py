"""`maker fork`: a new run from a step of an old one."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

import typer

from maker import place
from maker.cli.replay import K, RuleName
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.cli.steps import parse_step
from maker.place import Place


def fork(
    run: Run,
    at: Annotated[str, typer.Option(help="SEGMENT:INDEX: the first step that is decided anew.")],
    run_dir: Annotated[
        Place, typer.Option(parser=place.at, metavar="PLACE", help="The new run's directory, or its URI.")
    ],
    model: Annotated[list[str] | None, typer.Option(help="Other models.")] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="Other judges of which answers are the same; `none`: the models.")
    ] = None,
    k: K = None,
    voter: RuleName = None,
    red_flags: Annotated[str | None, typer.Option(help="Other rules.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed.")] = None,
    escalate: Annotated[str | None, typer.Option(help="Another ladder, or `none`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start a new run from a step of RUN, with another panel if told so; `maker resume` takes it on."""
    from maker import api, asked

    begin = partial(api.fork, run, parse_step(at), run_dir, model=model or None, judge=judge or None)
    copied = begin(voter=asked.rule(k, voter), red_flags=red_flags, seed=seed, escalate=escalate)
    line = {"event": "forked", "run": str(run_dir), "at": at, "steps": copied}
    print(json.dumps(line) if as_json else f"{copied:,} steps copied; go on with: maker resume {run_dir}")
