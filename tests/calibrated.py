"""Calibrations for tests of plans: of votes that are given, with intervals of independent trials."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maker import plugins
from maker.calibration import Calibration, Mean, Share, Votes
from maker.manifest import Source
from maker.theory import clopper_pearson

Row = tuple[int, int, int]
"""Right votes, wrong votes, steps."""


def share(count: int, of: int) -> Share:
    interval = clopper_pearson(count, of)
    return Share(count=count, of=of, value=count / of if of else 0, low=interval.low, high=interval.high)


def calibration(
    rows: Sequence[Row], model: str = "sim:error=0.002", length: int | None = 2**20, **more: Any
) -> Calibration:
    votes = [Votes(right=right, wrong=wrong, top=wrong, flagged=0, steps=n) for right, wrong, n in rows]
    steps = sum(each.steps for each in votes)
    cast = sum((each.right + each.wrong) * each.steps for each in votes)
    one = Mean(value=1.0, low=1.0, high=1.0)
    none, task = share(0, steps), plugins.find(plugins.DECOMPOSERS, "hanoi")
    return Calibration(
        **{
            "maker": version("maker"),
            "task": Source(spec=task.spec, sha256=task.sha256, defined=task.defined),
            "parameters": task.typed({"disks": 20}),
            "models": [_source(plugins.MODELS, model)],
            "red_flags": [_source(plugins.RED_FLAGS, "truncated")],
            "seed": 0,
            "length": length,
            "truth": "verifier",
            "steps": steps,
            "draws": max(right + wrong for right, wrong, _ in rows),
            "votes": votes,
            "valid": share(cast, cast),
            "error": share(sum(each.wrong * each.steps for each in votes), cast),
            "rho": Mean(value=0.0, low=-1.0, high=1.0),
            "majority_wrong": share(sum(each.steps for each in votes if each.wrong >= each.right), steps),
            **dict.fromkeys(("again", "same", "contested", "collisions", "collisions_unflagged"), none),
            "flags": {},
            "lengths": [],
            **dict.fromkeys(("tokens_in", "tokens_out", "latency"), one),
            "latency_sigma": 0.5,
            "hidden": "",
            **more,
        }
    )


def kept(path: Path, made: Calibration) -> str:
    path.write_text(made.model_dump_json(), encoding="utf-8")
    return str(path)


def _source(group: str, spec: str) -> Source:
    found = plugins.find(group, spec)
    return Source(spec=found.spec, sha256=found.sha256, defined=found.defined)
