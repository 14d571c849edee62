"""`maker check`: does a decomposer keep its contract? One line a check, without pytest and without a run."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Annotated

import typer

from maker.cli.operational import BaseUrl
from maker.cli.run import AsJson, Parameter, own_stdout, parameters
from maker.errors import PluginError


def check(
    task: Annotated[str, typer.Argument(help="A task: a name, package.module:Name or file.py:Name.")],
    parameter: Parameter = None,
    model: Annotated[
        str | None,
        typer.Option(help="Who answers where the task has no truth of its own.", envvar="MAKER_MODEL"),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps that are walked of a segment.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the hostile texts.")] = 0,
    base_url: BaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check that TASK keeps what a decomposer must; exit code 1 if it does not."""
    from maker.conformance.decomposers import check as findings
    from maker.conformance.subject import Subject
    from maker.conformance.telling import by_model

    options = {} if base_url is None else {"base_url": base_url}
    given = parameters(parameter or [])
    sound = True
    subject = Subject(task, given, by_model(model, options), steps, seed)
    with suppress(PluginError):
        _ = subject.task  # a wrong command is no finding
    with own_stdout() as out:
        for finding in findings(subject):
            sound &= finding.verdict != "fail"
            verdict = "FAIL" if finding.verdict == "fail" else finding.verdict
            line = json.dumps(finding.to_json()) if as_json else f"{verdict:4}  {finding.check:8}  {finding}"
            print(line, file=out, flush=True)
    sys.exit(0 if sound else 1)
