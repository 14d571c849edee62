"""A submitted run, watched from its storage and its job until it ends; the run needs nobody to watch.

What it says while it waits goes to stderr, with --json as lines to stdout. Invariant: it changes nothing.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from maker import place
from maker.cli.progress import Shown, duration
from maker.errors import MakerError, inert
from maker.nouns import Json
from maker.result import RunResult
from maker.run_directory import RunDirectory

if TYPE_CHECKING:
    from maker.cluster.jobs import Jobs
    from maker.cluster.submission import Job, Submission

POLL_SECONDS = 1.0
PATIENCE = 120.0
"""Seconds that the cluster may be out of reach while it is waited for."""
_ALARMS = (("faults", "transport_faults"), ("lost workers", "lost_workers"))
"""What is told of a run's progress when it is not none."""
_TAIL = 12
"""Lines of a job's log that are shown where it ended without a result."""


class Follower:
    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._said: Json = None

    def submitted(self, job: str, asked: Submission, address: str) -> None:
        if self._json:
            line = {"event": "submitted", "job": job, "run": asked.run, "directory": asked.directory}
            self._print({**line, "address": address})
            return
        print(f"submitted {asked.run} as job {job}; it writes to {asked.directory}", file=sys.stderr)
        print(f"look on: maker status {asked.directory}   maker logs {asked.run}", file=sys.stderr)
        print(
            f"stop it: maker stop {asked.run}   go on: the same command with --name {asked.run}",
            file=sys.stderr,
        )

    def wait(self, jobs: Jobs, job: str, directory: str) -> Job:
        """Until the job has ended. Raises MakerError when the cluster is out of reach for too long."""
        run, heard = RunDirectory(place.at(directory)), time.monotonic()
        while True:
            try:
                now = jobs.get(job)
                heard = time.monotonic()
                self._tell(now, run)
                if not now.going:
                    return now
            except MakerError as error:
                if time.monotonic() - heard > PATIENCE:
                    raise MakerError(f"{error}; the run may be going on: maker status {directory}") from None
            time.sleep(POLL_SECONDS)

    def _tell(self, job: Job, run: RunDirectory) -> None:
        """Whatever is new."""
        progress: dict[str, Json] | None = None
        with suppress(MakerError, OSError):  # storage that only the nodes reach
            progress = run.progress()
        if (job.status, progress) == self._said:
            return
        self._said = (job.status, progress)
        if self._json:
            self._print({"event": "progress", "job": job.id, "status": job.status, "progress": progress})
        elif progress is None:
            print(f"job {job.id}: {job.status.lower()}", file=sys.stderr)
        else:
            print(progress_line(progress), file=sys.stderr)

    def left(self, job: str, run: str, directory: str) -> None:
        print(
            f"\nmaker: no longer waiting; run {run} goes on as job {job}: maker status {directory}, "
            f"maker stop {run}",
            file=sys.stderr,
        )

    def end(self, jobs: Jobs, job: Job) -> NoReturn:
        """Show how it ended, and exit as the run's own command did."""
        log = ""
        with suppress(MakerError):
            log = jobs.log(job.id)
        if result := result_in(log):
            Shown(self._json, sys.stdout).result(result)
            sys.exit(result.exit_code)
        for line in log.splitlines()[-_TAIL:]:
            print(inert(line.expandtabs(), 2000), file=sys.stderr)
        lines = job.message.splitlines() or ["it left no message"]
        print(
            f"maker: job {job.id} ended ({job.status}) without a result: {inert(lines[0])}\n"
            "maker: what it wrote is in the storage: the same command goes on with it",
            file=sys.stderr,
        )
        sys.exit(130 if job.status == "STOPPED" else job.exit_code or 1)

    def _print(self, line: dict[str, Json]) -> None:
        print(json.dumps(line), flush=True)


def result_in(log: str) -> RunResult | None:
    """What a run with --json said last."""
    for line in reversed(log.splitlines()):
        if line.startswith('{"event": "done"'):
            with suppress(ValueError, TypeError):
                found = json.loads(line)
                del found["event"]
                return RunResult(**found)
    return None


def progress_line(progress: dict[str, Json]) -> str:
    """What a run last said of itself, for people."""
    steps, expected, rate, left = (
        progress.get(name) for name in ("steps", "expected", "steps_per_second", "eta_seconds")
    )
    of = f"/{expected:,}" if expected else ""
    eta = f"  ETA {duration(left)}" if left is not None else ""
    told = "".join(f"  {name} {count:,}" for name, key in _ALARMS if (count := progress.get(key)))
    return f"steps {steps:,}{of}  steps/s {rate:,.1f}{eta}{told}  at {inert(progress.get('at'))}"
