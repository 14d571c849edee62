"""`maker logs` and `maker stop`: a submitted run's job on its cluster."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from maker.cli.run import AsJson
from maker.cli.submit import Address
from maker.errors import UsageError, inert

if TYPE_CHECKING:
    from maker.cluster.jobs import Jobs
    from maker.cluster.submission import Job

Name = Annotated[str, typer.Argument(help="The run's name, as it was submitted.")]


def logs(
    name: Name,
    address: Address,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the newest job of the run NAME has written: its progress, its warnings, its end.

    What was drawn and decided is in the journal: `maker steps`. A cluster's logs go with the cluster.
    """
    jobs, job = _found(address, name)

    def show(text: str) -> None:
        for line in text.splitlines():
            event = {"event": "log", "job": job.id, "line": line}
            print(json.dumps(event) if as_json else inert(line.expandtabs(), 100_000), flush=True)

    if follow and job.going:
        jobs.follow(job.id, show)
    else:
        show(jobs.log(job.id))


def stop(name: Name, address: Address, as_json: AsJson = False) -> None:
    """Ask the job of the run NAME to let go in order; the same `maker submit` goes on with it."""
    jobs, job = _found(address, name)
    stopped = job.going and jobs.stop(job.id)
    if as_json:
        print(json.dumps({"event": "stop", **job.to_json(), "stopped": stopped}))
    elif stopped:
        print(
            f"asked job {job.id} to stop; what it drew is kept: the same command with --name {name} goes on"
        )
    else:
        print(f"job {job.id} has ended already ({job.status})")
    sys.exit(0)


def _found(address: str, name: str) -> tuple[Jobs, Job]:
    from maker.cluster import submission
    from maker.cluster.jobs import Jobs

    jobs = Jobs(address)
    job = submission.newest(list(jobs), submission.check_name(name))
    if job is None:
        raise UsageError(
            f"the cluster at {address} knows no job of a run {name}: runs are listed by "
            "`maker ls STORAGE`, jobs of other sorts by `ray job list`"
        )
    return jobs, job
