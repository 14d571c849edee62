"""Workers as Ray actors, on a Ray that is started here or joined. The only file that imports ray.

A lane's actor is never restarted by Ray, which would run its constructor and forget its state: the
coordinator hires a fresh one, which claims the lane and goes on from the journal.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maker.budget import Spend
from maker.cluster.crew import Worker, WorkerLostError
from maker.cluster.lane_worker import LaneWorker, Orders, Report
from maker.errors import MakerError
from maker.joins import Join
from maker.nouns import Segment

CONNECT_SECONDS = 10.0
"""How long a Ray's address may take to answer."""
OBJECT_STORE_BYTES = 100 * 2**20
"""Reports are small; Ray would take 30 % of the memory."""


class RayCrew:
    def hire(self, orders: Orders) -> Worker:
        import ray

        options = {"num_cpus": 0, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        actor = ray.remote(LaneWorker).options(**options).remote(orders)
        return _RayWorker(actor)


class _RayWorker:
    """An actor's methods, with Ray's errors made ours."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def start(self) -> Report:
        return await _answer(self._actor.start.remote())

    async def exchange(
        self, number: int, work: Sequence[Segment | Join], wait: float, limit: Spend | None = None
    ) -> Report:
        return await _answer(self._actor.exchange.remote(number, work, wait, limit))

    async def stop(self) -> Report:
        import ray

        report = await _answer(self._actor.stop.remote())
        ray.kill(self._actor)
        return report


async def _answer(call: Awaitable[Report]) -> Report:
    import ray

    try:
        return await call
    except ray.exceptions.RayActorError as error:
        raise WorkerLostError(str(error).splitlines()[0]) from None
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, MakerError):
            raise error.cause from None
        raise


@contextmanager
def started(address: str | None = None, workers: int = 1) -> Iterator[RayCrew]:
    """A crew on the Ray at `address`, or on one of our own that ends with the block.

    Raises MakerError when Ray does not start or cannot be reached.
    """
    settle_environment()
    import ray

    if address:
        _reach(address)
    where: dict[str, Any] = {"address": address} if address else _ours(workers)
    try:
        ray.init(namespace="maker", logging_level=logging.ERROR, log_to_driver=False, **where)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"Ray at {address} cannot be joined" if address else "Ray does not start"
        raise MakerError(f"{what}: {reason}; try --engine inline, or `maker doctor`") from error
    try:
        yield RayCrew()
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Ray itself tries an address that nobody listens on for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise MakerError(
            f"Ray at {address} cannot be joined: {error}; give --address HOST:PORT of its head node"
        ) from None


def _ours(workers: int) -> dict[str, Any]:
    """How our own Ray is started, beside any that runs already."""
    return {
        "address": "local",
        "num_cpus": workers,
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }


def settle_environment() -> None:
    """Keep Ray's token authentication on, with a token that only this user can read.

    Ray 2.60 would write one that everyone can. Must run before ray is imported.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if "ray" not in sys.modules:  # imported before us, it has read the setting already, and sees to it itself
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if os.environ.get("RAY_AUTH_MODE", "token") != "token":
        return
    if "RAY_AUTH_TOKEN" in os.environ:
        return
    path = Path(os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(Path.home() / ".ray" / "auth_token")))
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
