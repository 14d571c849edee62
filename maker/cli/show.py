"""`maker show RUN SEGMENT:INDEX`: one step with its prompt, every sample and what became of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from maker import chapters, chunks
from maker.cli import shown
from maker.cli.run import AsJson
from maker.cli.runs import Run
from maker.cli.steps import parse_step
from maker.errors import UsageError, inert
from maker.nouns import Json
from maker.place import Place
from maker.records import Record, event
from maker.run_directory import RunDirectory


def show(
    run: Run,
    step: Annotated[str, typer.Argument(help="SEGMENT:INDEX")],
    rendered: Annotated[
        bool, typer.Option("--import", help="Render a prompt that is not on record: imports the plug-in.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Every sample of a step with its seat, its vote or flag; model text is shown escaped.

    Prompts of contested, flagged and parked steps are on record; --import renders any other again.
    """
    directory = RunDirectory(run)
    directory.manifest()
    name, index = parse_step(step)
    found = _records(directory, name, index)
    if not found:
        raise UsageError(f"{run} has no record of step {step}")
    prompts = [record for record in found if record.get("event") == "prompt"]
    if rendered and not prompts:
        prompts = _rendered(run, name, index)
    for line in [*prompts[-1:], *_fates(found)]:
        print(json.dumps(line) if as_json else _text(line))


def _records(run: RunDirectory, name: str, index: int) -> list[Record]:
    """All records of a step; only chunks that headers do not rule out are read."""
    mark = f'"segment":{json.dumps(name)},"step":{index},'.encode()
    return [
        chunks.decode(chapter.chunk, offset, line)
        for lane in run.lanes()
        for chapter in chapters.of(run.lane(lane))
        if chapter.may_touch(name, index)
        for offset, line in chapter.lines("sample", "decision", "event")
        if mark in line[:200]
    ]


def _fates(found: list[Record]) -> list[dict[str, Json]]:
    """The step's samples, each with what became of it, a panel that it was given, its decision or park."""
    amends = [record for record in found if record.get("event") == "amend"]
    verdicts = [record for record in found if record["kind"] == "decision" or record.get("event") == "park"]
    last = verdicts[-1] if verdicts else {"votes": [], "flags": []}
    fate = _fate(last, "vote")
    for ruling in last.get("rulings", ()):
        fate |= _fate(ruling, "ruling")
    samples = [record for record in found if record["kind"] == "sample"]
    own = last.get("state") or next((sample["state"] for sample in samples), None)
    fated = []
    for sample in samples:
        rest = ("surplus" if verdicts else "open") if sample["state"] == own else _aside(last)
        fated.append({**sample, "became": fate.get((sample["state"], sample["draw"]), rest)})
    return [*fated, *amends, *verdicts[-1:]]


def _aside(last: Record) -> str:
    """Of what a sample is that was drawn for another state than the step's."""
    if last.get("rulings") or "whether two answers are the same" in last.get("reason", ""):
        return "of a comparison"
    return "of a wrong guess" if last.get("kind") == "decision" else "of a guess or a comparison"


def _fate(tally: Record, what: str) -> dict[tuple[str, int], str]:
    """What became of each (state, draw) that counted."""
    state = tally.get("state", "")
    votes = {(state, n): f"{what} {each['key']}" for each in tally["votes"] for n in each["draws"]}
    flags = {(state, n): f"flag {each['reason']}" for each in tally["flags"] for n in each["draws"]}
    return votes | flags


def _rendered(run: Place, name: str, index: int) -> list[Record]:
    """The step's prompt as its task makes it now, in the form of a record."""
    from maker import review

    prompt = review.prompt_at(run, name, index)
    return [event("prompt", segment=name, step=index, **asdict(prompt))] if prompt else []


def _text(line: dict[str, Json]) -> str:
    """For people; JSON escapes make any text inert."""
    if line["kind"] == "sample":
        who = inert(line["model"]) + (f" variant {line['variant']}" if line["variant"] else "")
        seat = f"draw {line['draw']}  {who}  T={line['temperature']} seed={line['seed']}"
        cost = f"{line['tokens_in']}+{line['tokens_out']} tokens, {line['latency']:.3f} s"
        return (
            f"{seat}  {cost}, {inert(line['finish'])}  {inert(line['became'])}\n  {json.dumps(line['text'])}"
        )
    if line["kind"] == "decision":
        return f"decided  {json.dumps(line['answer'])}" + shown.how(line)
    if line["event"] == "park":
        return f"parked  {json.dumps(line['reason'])}"
    if line["event"] == "join":
        return f"joined  {json.dumps(line['finals'])}"
    if line["event"] == "amend":
        models = ", ".join(inert(model["spec"]) for model in line["models"])
        judges = "".join(f", judge {inert(judge['spec'])}" for judge in line["judges"])
        how = f"{inert(line['voter']['spec'])}, up to {line['max_samples']} draws"
        return f"given to  {models}{judges}, {how}"
    variants = {f"variant {number}": each for number, each in line.get("variants", {}).items()}
    return "\n".join(f"{name}\n{_said(each)}" for name, each in {"prompt": line, **variants}.items())


def _said(prompt: dict[str, Json]) -> str:
    lines = (f"  {inert(each['role'])}  {json.dumps(each['content'])}" for each in prompt["messages"])
    return "\n".join(lines)
