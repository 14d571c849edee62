"""Ray's Jobs API: submit a command to a cluster, list, stop and read what was submitted.

It knows no run: what a job is told is `submission.py`'s. Every failure is a MakerError of one line. Needs
ray[default], here and on the head node.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maker.cluster import packing
from maker.cluster.packing import Folder
from maker.cluster.ray_crew import settle_environment
from maker.cluster.submission import RUN, STORAGE, Job
from maker.errors import MakerError, UsageError, inert

START_SECONDS = 60.0
"""How long a cluster that has just begun may not take jobs yet."""
_CHATTY = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")


class Jobs:
    """Those of the cluster whose dashboard is at `address`, such as http://HEAD:8265."""

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise UsageError(f"--address {address}: expected that of the dashboard, such as http://HEAD:8265")
        self.address = address
        settle_environment(joining=True)
        os.environ["RAY_API_SERVER_ADDRESS"] = address  # which Ray would prefer to what it is given
        os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"
        with self._told():
            from ray.job_submission import JobSubmissionClient

            self._client = JobSubmissionClient(address)
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)

    def __iter__(self) -> Iterator[Job]:
        """Those that Maker submitted."""
        with self._told():
            found = self._client.list_jobs()
        return iter([_job(each) for each in found if RUN in (each.metadata or {})])

    def get(self, job: str) -> Job:
        with self._told():
            return _job(self._client.get_job_info(job))

    def submit(
        self, job: str, entrypoint: str, metadata: Mapping[str, str], folder: Folder | None = None
    ) -> None:
        """With this version of Maker, and the folder as its working directory."""
        with tempfile.TemporaryDirectory(prefix="maker") as scratch:
            parts = packing.package(Path(scratch))
            environment: dict[str, Any] = {"py_modules": [str(part) for part in parts]}
            if folder is not None:
                environment["working_dir"] = str(folder.pack(Path(scratch)))
            self._submit(
                entrypoint=entrypoint, submission_id=job, runtime_env=environment, metadata=dict(metadata)
            )

    def _submit(self, **asked: Any) -> None:
        """Again for a while where the cluster has only just begun."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with self._told():
                    self._client.submit_job(**asked)
                    return
            except MakerError as error:
                if "No available agent" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(1.0)

    def stop(self, job: str) -> bool:
        """Ask it to let go (SIGTERM); False if it had ended."""
        with self._told():
            return bool(self._client.stop_job(job))

    def log(self, job: str) -> str:
        with self._told():
            return str(self._client.get_job_logs(job))

    def follow(self, job: str, show: Callable[[str], None]) -> None:
        """Show a job's log until it ends."""
        with self._told():
            asyncio.run(_each(self._client.tail_job_logs(job), show))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Ray's errors as one line each."""
        try:
            yield
        except ImportError as error:
            raise UsageError(_LACKING) from error
        except MakerError:
            raise
        except Exception as error:  # Ray's own have no type in common
            if "ray[default]" in str(error):
                raise UsageError(_LACKING) from None
            raise MakerError(f"Ray's Jobs API at {self.address}: {_reason(error)}") from None


_LACKING = (
    "this installation lacks ray[default], which Ray's Jobs API needs, here and on the cluster's head: "
    "pip install 'maker[cluster]'"
)


def _reason(error: Exception) -> str:
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "authentication" in text.lower() or "status code 401" in text or "status code 403" in text:
        return (
            "it refuses this token: name the file that holds the cluster's with RAY_AUTH_TOKEN_PATH "
            f"({inert(lines[0])})"
        )
    return inert(lines[-1] if lines and lines[0].startswith("Request failed") else text, 1000)


async def _each(texts: AsyncIterator[str], show: Callable[[str], None]) -> None:
    async for text in texts:
        show(text)


def _job(found: Any) -> Job:
    about = found.metadata or {}
    status = getattr(found.status, "value", str(found.status))
    names = (str(found.submission_id), str(about.get(RUN, "")), str(about.get(STORAGE, "")))
    return Job(*names, status, found.message or "", found.driver_exit_code, found.start_time or 0)
