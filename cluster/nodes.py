"""What the nodes of a cluster have: versions, the storage, whether a token is asked for; a task on each node.

It reads no clock and changes nothing but a probe of the storage, which it takes away again. Invariant: of a
key it says that it is there, never what it is.
"""

from __future__ import annotations

import logging
import os
import platform
import secrets
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from maker import place
from maker.cluster import packing
from maker.cluster.ray_crew import settle_environment
from maker.disk import DISK
from maker.errors import MakerError, inert
from maker.nouns import Json
from maker.objects import ObjectPath
from maker.place import Place

PACKAGES = ("ray", "pydantic", "openai", "tenacity", "structlog", "zstandard", "numpy", "typer", "rich")
"""What Maker needs on a node; it brings itself along."""
Part = Literal["first", "other", "clean"]
"""What a node does with the probe."""
_PROBE = b"maker probe "
ANSWER_SECONDS = 120.0
"""How long a node may take for a task."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a task has found on one node."""

    host: str
    versions: dict[str, str | None]
    """Of Python and packages; None where one is missing."""
    auth: str
    """RAY_AUTH_MODE in its workers' environment."""
    key: bool
    """OPENAI_API_KEY is there."""
    storage: str | None
    """Why the storage cannot be used from there; None if it can, or was not asked about."""


@dataclass(frozen=True, slots=True)
class Cluster:
    nodes: tuple[Node, ...]
    dashboard: str
    """HOST:PORT; empty where there is none."""


def here() -> dict[str, str | None]:
    """The versions of this process."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def look(address: str, storage: str | None) -> Cluster:
    """Join the Ray at `address` and ask each of its nodes. Raises MakerError when that does not work."""
    settle_environment(joining=True)
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = f".maker-probe-{secrets.token_hex(4)}"
    with _joined(address) as dashboard:
        asks: Any = ray.remote(num_cpus=0, max_retries=0)(_look)
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        found = []
        for number, node in enumerate(nodes):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            call = asks.options(scheduling_strategy=there).remote(
                node["NodeManagerHostname"], storage, probe, "other" if number else "first"
            )
            found.append(_answer(ray, call, node["NodeManagerHostname"]))
        if storage is not None:
            ray.get(asks.options(name="clean").remote("", storage, probe, "clean"), timeout=ANSWER_SECONDS)
    return Cluster(tuple(found), dashboard)


def _answer(ray: Any, call: Any, host: str) -> Node:
    try:
        found: Node = ray.get(call, timeout=ANSWER_SECONDS)
        return found
    except Exception as error:
        reason = inert(str(error).strip().splitlines()[-1] if str(error) else type(error).__name__)
        raise MakerError(f"node {inert(host)} runs no task of Maker: {reason}") from None


@contextmanager
def _joined(address: str) -> Iterator[str]:
    """A driver on the cluster with this version of Maker, unless a job has brought it; the dashboard."""
    import ray

    with tempfile.TemporaryDirectory(prefix="maker") as scratch:
        brought = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
        parts = [] if brought else [str(part) for part in packing.package(Path(scratch))]
        environment = None if brought else {"py_modules": parts}
        try:
            context = ray.init(
                address, logging_level=logging.ERROR, log_to_driver=False, runtime_env=environment
            )
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise MakerError(f"Ray at {address} cannot be joined: {inert(' '.join(lines), 600)}") from None
        try:
            yield str(context.dashboard_url or "")
        finally:
            ray.shutdown()


def asks_for_a_token(dashboard: str) -> bool:
    """Whether the dashboard refuses who comes without one. Raises OSError when it does not answer."""
    try:
        urllib.request.urlopen(f"http://{dashboard}/api/jobs/", timeout=10).close()
    except urllib.error.HTTPError as refused:
        return refused.code in (401, 403)
    return False


# -- on a node ---------------------------------------------------------------------------------------


def _look(host: str, storage: str | None, probe: str, part: Part) -> Node:
    reason = None if storage is None else _tried(lambda: _probe(place.at(storage), probe, part))
    return Node(host, here(), os.environ.get("RAY_AUTH_MODE", ""), "OPENAI_API_KEY" in os.environ, reason)


def _tried(check: Callable[[], None]) -> str | None:
    try:
        check()
    except Exception as error:
        return inert(f"{type(error).__name__}: {error}")
    return None


def _probe(storage: Place, name: str, part: Part) -> None:
    """The first node creates a file; nobody, here or elsewhere, may create it again, and all read it."""
    path = storage / name
    if part == "clean":
        _remove(path)
        return
    if part == "first":
        _create(storage, path)
    try:
        _create(storage, path)
    except FileExistsError:
        if not path.read_bytes().startswith(_PROBE):
            raise MakerError("what was written is not what is read") from None
        return
    raise MakerError(
        "a file of this name could be created twice: either this storage is not shared by all nodes, or two "
        "owners of a run would not notice each other"
    )


def _create(storage: Place, path: Place) -> None:
    content = _PROBE + secrets.token_bytes(8)
    if isinstance(path, ObjectPath):
        path.put(content, exclusively=True)
    elif isinstance(path, Path) and isinstance(storage, Path):
        DISK.make_folder(storage)
        DISK.put(path, content, exclusively=True)


def _remove(path: Place) -> None:
    if isinstance(path, ObjectPath):
        path.remove()
    elif isinstance(path, Path):
        DISK.remove(path)


def differences(node: Node, ours: dict[str, str | None]) -> dict[str, Json]:
    """Package to (there, here), where they are not the same."""
    return {
        name: (node.versions.get(name), mine)
        for name, mine in ours.items()
        if node.versions.get(name) != mine
    }
