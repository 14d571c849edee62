"""How a run is shown: while it goes on stderr, one live region on a terminal and plain lines elsewhere; its
end on stdout."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

import structlog
from rich import filesize
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from maker import forecast, logs, place
from maker.errors import inert
from maker.nouns import Json
from maker.run_directory import RunDirectory

if TYPE_CHECKING:
    from maker.cluster.coordinator import Progress
    from maker.manifest import Manifest
    from maker.result import RunResult
    from maker.retry import Retry

log = structlog.get_logger("maker")

SHOWN = 2000
"""Characters of a result that people are shown."""
PLAIN_SECONDS, LONGEST_PAUSE = 5.0, 60.0
"""Between two plain lines: at first, and when a run has gone on for some minutes."""


class Shown:
    """A context that shows a run; `out` is where its end goes, with `as_json` as JSON lines."""

    def __init__(self, as_json: bool, out: TextIO) -> None:
        self._json, self._out = as_json, out
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._at_terminal = self._console.is_terminal and not as_json
        self._printed = 0.0
        self._directory = RunDirectory(Path())
        self._disk = ""
        self._warned = False
        self._began = (time.monotonic(), 0)
        """When the first report came, and the steps it had: rates leave out what was read back."""

    def __enter__(self) -> Self:
        if self._at_terminal:
            self._live.start()
        logs.to_stderr(self._json)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def launch(self, manifest: Manifest, directory: str, retry: Retry | None) -> None:
        if self._json:
            line = {"event": "launch", "run": directory, **manifest.model_dump(mode="json", exclude={"run"})}
            line |= {"retry": retry.to_json()} if retry else {}
            print(json.dumps(line), file=self._out, flush=True)
        self._directory = RunDirectory(place.at(directory))
        if self._json:
            logs.to_stderr(True, logs.place(self._directory.path.name))
            return
        retried = [("retry", f"parked steps {retry_line(retry.to_json())}")] if retry else []
        for name, value in [*_asked(manifest, directory), *retried]:
            self._console.print(Text(f"{name:>9}  {value}"), soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        now = time.monotonic()
        if not self._printed:
            self._began = (now, progress.totals.steps)
        if self._at_terminal:
            self._live.update(self._table(progress, now))
        if now - self._printed >= self._pause(now):
            self._printed = now
            self._look_at_disk(progress)
            if self._json:
                log.info("progress", **self._state(progress, now))
            elif not self._at_terminal:
                line = "  ".join(" ".join(pair) for pair in self._figures(progress, now))
                self._console.print(Text(line), soft_wrap=True)

    def _pause(self, now: float) -> float:
        """Longer and longer, so that a run of days does not fill a log."""
        longest = PLAIN_SECONDS if self._at_terminal else LONGEST_PAUSE
        return min(max(PLAIN_SECONDS, (now - self._began[0]) / 10), longest)

    def _look_at_disk(self, progress: Progress) -> None:
        """What the journal takes, what it will take, and once a warning if there is less room.

        In an object store there is no end of room, and every look is a request.
        """
        if not isinstance(self._directory.path, Path):
            return
        self._disk = filesize.decimal(self._directory.size())
        if not progress.expected:
            return
        lanes = len(self._directory.lanes())
        more = forecast.to_come(self._directory.sealed(), progress.totals, progress.expected, lanes)
        free = shutil.disk_usage(self._directory.path).free
        self._disk += f", up to {filesize.decimal(more)} more"
        if more > free and not self._warned:
            self._warned = True
            log.warning("disk_may_run_out", needed=filesize.decimal(more), free=filesize.decimal(free))

    def result(self, result: RunResult) -> None:
        """The end of a run."""
        self._live.stop()
        if self._json:
            print(json.dumps({"event": "done", **result.to_json()}), file=self._out, flush=True)
            return
        out = Console(file=self._out, highlight=False)
        verdict = {True: ", verified", False: ", found wrong", None: ""}[result.verified]
        out.print(Text(f"{result.status}{verdict}: {result.steps:,} steps in {result.seconds:.1f} s"))
        if result.reason:
            out.print(Text(result.reason), soft_wrap=True)
        for name, value in _outcome(result):
            out.print(Text(f"{name:>9}  {value}"), soft_wrap=True)

    def _table(self, progress: Progress, now: float) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, value in self._figures(progress, now):
            table.add_row(Text(name, style="dim"), Text(value))
        return table

    def _state(self, progress: Progress, now: float) -> dict[str, Json]:
        """As plain data."""
        totals = progress.totals
        counts = {"going": progress.going, "finished": progress.finished, "parked": progress.parked}
        return {
            "steps": totals.steps,
            "expected": progress.expected,
            "steps_per_second": round(self._rate(progress, now), 1),
            "votes": totals.votes,
            "flagged": totals.flagged,
            "contested": totals.contested,
            "transport_faults": totals.transport_faults,
            **counts,
            "lost_workers": progress.lost_workers,
            "cost": progress.cost,
        }

    def _rate(self, progress: Progress, now: float) -> float:
        """Steps a second since the first report."""
        began, before = self._began
        return (progress.totals.steps - before) / max(now - began, 1e-9)

    def _figures(self, progress: Progress, now: float) -> list[tuple[str, str]]:
        totals = progress.totals
        began, rate = self._began[0], self._rate(progress, now)
        steps = f"{totals.steps:,}" + (f"/{progress.expected:,}" if progress.expected else "")
        shown = [("steps", steps), ("steps/s", f"{rate:,.0f}" if now - began > 0.5 else "-")]
        shown.append(("votes/step", f"{totals.votes / totals.steps:.2f}" if totals.steps else "-"))
        shown += [("flagged", f"{totals.flagged:,}"), ("contested", f"{totals.contested:,}")]
        if progress.going > 1 or progress.parked:
            shown.append(
                ("segments", f"{progress.going} going, {progress.finished} done, {progress.parked} parked")
            )
        shown += _requests(progress)
        if progress.cost is not None:
            shown.append(("cost", f"{progress.cost:,.4f}"))
        if totals.transport_faults:
            shown.append(("faults", f"{totals.transport_faults:,}"))
        if self._disk:
            shown.append(("journal", self._disk))
        if progress.expected and rate > 0 and now - began > 0.5:
            shown.append(("ETA", duration((progress.expected - totals.steps) / rate)))
        return shown


def _requests(progress: Progress) -> list[tuple[str, str]]:
    """Under way of those that are allowed, over all models."""
    each = progress.requests.values()
    shown = [("requests", f"{sum(m.used for m in each):.0f}/{sum(m.limit for m in each)}")] if each else []
    return [("paused", "maker ctl RUN --resume"), *shown] if progress.paused else shown


def _asked(manifest: Manifest, directory: str) -> list[tuple[str, str]]:
    parameters = " ".join(f"{name}={value}" for name, value in manifest.parameters.items())
    return [
        ("task", f"{manifest.task.spec} {parameters}"),
        ("model", ", ".join(model.spec for model in manifest.models)),
        *([("judge", ", ".join(judge.spec for judge in manifest.judges))] if manifest.judges else []),
        ("voter", f"{manifest.voter.spec}, red flags {manifest.rules} and the task's parser"),
        *([("escalate", ", then ".join(manifest.escalate))] if manifest.escalate else []),
        ("seed", str(manifest.seed)),
        ("run", directory),
    ]


def retry_line(retry: dict[str, Json]) -> str:
    """Who votes and who judges at parked steps that are tried again, for people."""
    judges = f", judged by {', '.join(retry['judges'])}" if retry["judges"] else ""
    models = ", ".join(retry["models"])
    return inert(f"by {models}{judges}, {retry['voter']}, up to {retry['max_samples']} draws more", 1000)


def _cached(result: RunResult) -> str:
    return f" ({result.tokens_cached:,} of them cached)" if result.tokens_cached else ""


def _outcome(result: RunResult) -> list[tuple[str, str]]:
    flags = ", ".join(f"{reason} {count:,}" for reason, count in result.flags.items())
    rows = [
        ("votes", f"{result.votes:,} ({result.votes / max(result.steps, 1):.3f} a step)"),
        ("samples", f"{result.samples:,}"),
        ("flagged", f"{result.flagged:,}" + (f" ({flags})" if flags else "")),
        ("contested", f"{result.contested:,} decided steps with more than one answer"),
        ("tokens", f"{result.tokens_in:,} in{_cached(result)}, {result.tokens_out:,} out"),
    ]
    if result.cost is not None:
        rows.append(("cost", f"{result.cost:,.4f}"))
    if result.transport_faults:
        rows.append(("faults", f"{result.transport_faults:,} of the transport, retried"))
    if result.hedged:
        rows.append(("hedged", f"{result.hedged:,} draws were sent twice"))
    if result.drifts:
        rows.append(("drifts", f"{result.drifts:,} times a model answered under another name or fingerprint"))
    if result.repeats:
        rows.append(("repeats", "a model gives one answer again and again: maker doctor --model NAME"))
    if result.by_person:
        rows.append(("decided", f"{result.by_person:,} steps by a person"))
    if result.parked:
        rows.append(("parked", f"{result.parked:,} segments: maker steps {result.run} --parked"))
    if result.result is not None:
        rows.append(("result", _cut(json.dumps(result.result), result.run)))
    return [*rows, ("run", result.run)]


def _cut(text: str, run: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ... (whole in {run}/result.json)"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
