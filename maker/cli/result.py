"""`maker result RUN`: what each segment came to, whether the run has ended or not."""

from __future__ import annotations

import json

from maker import family, finals, steps
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.run_directory import RunDirectory


def result(run: Run, as_json: AsJson = False) -> None:
    """List what each segment of RUN came to, in order of their ids, and why parked ones wait.

    What a fork's children came to is in the segment that joined it.
    """
    directory = RunDirectory(run)
    directory.manifest()
    own = {name: state for name, state in finals.of(directory).items() if not family.is_child(name)}
    lines = {name: {"segment": name, "state": state} for name, state in own.items()}
    for park in steps.parked(directory):
        name = park["segment"]
        lines[name] = {"segment": name, "parked": park["reason"], "step": park["step"]}
    for name in sorted(lines):
        line = lines[name]
        shown = json.dumps(line["state"]) if "state" in line else f"parked: {json.dumps(line['parked'])}"
        print(json.dumps(line) if as_json else f"{name}  {shown}")
