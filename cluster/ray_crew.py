"""Workers as Ray actors, on a Ray that is started here or joined.

A lane's actor is never restarted by Ray, which would run its constructor and forget its state: the
coordinator hires a fresh one, which claims the lane and goes on from the journal. Invariant: a worker that
Ray has lost, or that does not answer, is one that is lost; whether it still writes is the journal's business.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from maker import logs, place
from maker.budget import Spend
from maker.cluster import placement
from maker.cluster.crew import Worker, WorkerLostError
from maker.cluster.lane_worker import LaneWorker
from maker.cluster.messages import Orders, Report, Work
from maker.cluster.metrics import Instruments
from maker.errors import BlockedError, MakerError, UsageError
from maker.leases import Leases
from maker.metrics import Change

log = structlog.get_logger("maker")

CONNECT_SECONDS = 10.0
"""How long a Ray's address may take to answer."""
OBJECT_STORE_BYTES = 100 * 2**20
"""Reports are small; Ray would take 30 % of the memory."""
WATCH_SECONDS = 1.0
"""Between two looks at the cluster's head."""
HEAD_SECONDS = 15.0
"""How long the head may be away; Ray itself would end this process after 60, without a word to the run."""
LOST_AFTER = 60.0
"""How long a worker may not answer, where nothing else is asked for."""


@dataclass
class RayCrew:
    needs: Mapping[str, float] = field(default_factory=dict)
    """What an actor takes of its node (`placement`)."""
    lost_after: float = LOST_AFTER
    """Seconds."""
    _where: WeakKeyDictionary[_RayWorker, str] = field(default_factory=WeakKeyDictionary)
    """The node that each worker was meant for."""
    _instruments: Instruments = field(default_factory=Instruments)

    @cached_property
    def _actors(self) -> Any:
        """The class as the cluster knows it: told once, for without a head that would take a minute."""
        import ray

        return ray.remote(LaneWorkerActor)

    def hire(self, orders: Orders) -> Worker:
        node = self._node()
        options = {"max_restarts": 0, "scheduling_strategy": _onto(node), **placement.options(self.needs)}
        actor = self._actors.options(**options).remote(orders)
        worker = _RayWorker(actor, self.lost_after)
        self._where[worker] = node
        return worker

    def _node(self) -> str:
        """The node with the fewest workers; none where Ray must look for room, or would not answer.

        One that takes nothing fits everywhere, so Ray has no reason to spread it.
        """
        if self.needs or not _is_there(_head(), WATCH_SECONDS):
            return ""
        return placement.emptiest(_nodes(), Counter(self._where.values()))

    def publish(self, changes: Sequence[Change]) -> None:
        self._instruments.publish(changes)

    async def watch(self) -> None:
        head, seen = _head(), monotonic()
        while monotonic() - seen < HEAD_SECONDS:
            await asyncio.sleep(WATCH_SECONDS)
            if await asyncio.to_thread(_is_there, head, CONNECT_SECONDS):
                seen = monotonic()
        raise BlockedError(
            f"the head of the Ray cluster at {head} has not answered for {HEAD_SECONDS:g} s; nothing is "
            "lost: start a cluster and run the same command again, with its --address"
        )


def _nodes() -> dict[str, dict[str, float]]:
    """The resources of each node that is alive."""
    import ray

    found = ray.nodes()  # type: ignore[no-untyped-call]
    return {node["NodeID"]: node["Resources"] for node in found if node["Alive"]}


def _onto(node: str) -> Any:
    """A strategy that puts an actor on a node, and loses it should that have gone by then.

    A soft one would be heeded by a cluster's first job and not by its second (Ray 2.60).
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False) if node else "SPREAD"


def _head() -> str:
    """HOST:PORT of the cluster's head."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _is_there(address: str, seconds: float) -> bool:
    """Whether it can be connected to: asked before what would wait for a head that has gone, for a minute."""
    with suppress(OSError):
        _connect(address, seconds)
        return True
    return False


class LaneWorkerActor(LaneWorker):
    """In an actor, whose stderr is among Ray's logs of its node."""

    def __init__(self, orders: Orders) -> None:
        logs.to_stderr(True, logs.place(place.at(orders.run).name, lane=orders.lane))
        super().__init__(orders)


class _RayWorker:
    """An actor's methods, with Ray's errors made ours."""

    def __init__(self, actor: Any, lost_after: float) -> None:
        self._actor, self._lost_after = actor, lost_after

    async def start(self) -> Report:
        await _answer(self._actor.__ray_ready__.remote())  # for as long as there is no room for it
        return await self._soon(self._actor.start.remote())

    async def exchange(
        self,
        number: int,
        work: Sequence[Work],
        wait: float,
        limit: Spend | None = None,
        leases: Leases | None = None,
    ) -> Report:
        return await self._soon(self._actor.exchange.remote(number, work, wait, limit, leases), wait)

    async def stop(self) -> Report:
        report = await self._soon(self._actor.stop.remote())
        self._kill()
        return report

    async def _soon(self, call: Awaitable[Report], wait: float = 0.0) -> Report:
        """What an actor answers, which may take `wait` seconds for its own reasons."""
        try:
            return await asyncio.wait_for(_answer(call), wait + self._lost_after)
        except TimeoutError:
            self._kill()
            raise WorkerLostError(f"it has not answered for {self._lost_after:g} s") from None

    def _kill(self) -> None:
        import ray

        ray.kill(self._actor)


async def _answer(call: Awaitable[Report]) -> Report:
    import ray

    try:
        return await call
    except (ray.exceptions.RayActorError, ray.exceptions.ActorUnschedulableError) as error:
        raise WorkerLostError(_reason(error)) from None
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, MakerError):
            raise error.cause from None
        raise


def _reason(error: Exception) -> str:
    """What Ray says of a death, without names and addresses."""
    said = [line for line in str(error).splitlines() if line.strip() and not line.startswith("\t")]
    return said[min(1, len(said) - 1)] if said else type(error).__name__


@contextmanager
def started(
    address: str | None = None,
    workers: int = 1,
    needs: Mapping[str, float] | None = None,
    lost_after: float = LOST_AFTER,
) -> Iterator[RayCrew]:
    """A crew on the Ray at `address`, or on one of our own that ends with the block.

    needs: what an actor takes of its node. Raises MakerError when Ray does not start or cannot be reached, or
    when no node of it could hold an actor.
    """
    needs = needs or {}
    settle_environment(joining=address is not None)
    import ray

    if address:
        _reach(address)
    where: dict[str, Any] = {"address": address} if address else _ours(workers, needs)
    try:
        ray.init(namespace="maker", logging_level=logging.ERROR, log_to_driver=False, **where)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"Ray at {address} cannot be joined" if address else "Ray does not start"
        raise MakerError(f"{what}: {reason}; try --engine inline, or `maker doctor`") from error
    try:
        if (places := placement.room(needs, _nodes().values(), workers)) < workers:
            log.warning("few_places", workers=workers, places=places, needs=dict(needs))
        yield RayCrew(needs, lost_after)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Ray itself tries an address that nobody listens on for minutes."""
    plain = address.removeprefix("ray://")
    if not plain.rpartition(":")[2].isdigit():
        return
    try:
        _connect(plain, CONNECT_SECONDS)
    except OSError as error:
        raise MakerError(
            f"Ray at {address} cannot be joined: {error}; give --address HOST:PORT of its head node"
        ) from None


def _connect(address: str, seconds: float) -> None:
    """To HOST:PORT and away again; raises OSError."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), seconds).close()


def _ours(workers: int, needs: Mapping[str, float]) -> dict[str, Any]:
    """How our own Ray is started, beside any that runs already: as many workers as are asked for fit."""
    return {
        "address": "local",
        "num_cpus": max(workers, math.ceil(workers * needs.get("num_cpus", 0))),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }


def settle_environment(joining: bool = False) -> None:
    """Keep Ray's token authentication on, with a token that only this user can read.

    Ray 2.60 would write one that everyone can. Must run before ray is imported. joining: a cluster that has a
    token already; raises UsageError when the file that is named for it is not there.
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
    if joining and (named := os.environ.get("RAY_AUTH_TOKEN_PATH")) and not Path(named).is_file():
        raise UsageError(
            f"RAY_AUTH_TOKEN_PATH={named}: there is no such file, name that of the cluster's token"
        )
    path = Path(os.environ.setdefault("RAY_AUTH_TOKEN_PATH", str(Path.home() / ".ray" / "auth_token")))
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
