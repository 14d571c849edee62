"""`maker decide`: a person's verdict on a parked step."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from maker import answers
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.cli.steps import parse_step
from maker.errors import UsageError
from maker.nouns import Json


def decide(
    run: Run,
    step: Annotated[str, typer.Argument(help="SEGMENT:INDEX, a parked step.")],
    answer: Annotated[str, typer.Option(help="As JSON, in the form that `maker steps --json` shows.")],
    as_json: AsJson = False,
) -> None:
    """Decide a parked step of RUN yourself; `maker resume RUN` goes on from it.

    The journal says that the answer is a person's. A command that runs RUN meanwhile stops (exit code 5).
    """
    from maker import api

    value = _json(answer)
    decision = api.decide(run, parse_step(step), value)
    line = {"event": "decided", "run": str(run), "step": step, "answer": decision.answer, "by": "person"}
    shown = f"{step}  {json.dumps(decision.answer)}  decided by a person; go on with: maker resume {run}"
    print(json.dumps(line) if as_json else shown)


def _json(text: str) -> Json:
    try:
        return answers.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"--answer is no JSON ({error}); a text needs quotes of its own: --answer '\"yes\"'"
        ) from None
