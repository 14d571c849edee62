"""What `maker doctor --address` asks of a cluster: its nodes' versions, authentication, storage, dashboard.

At the address of a dashboard the checks run as a job, so that this machine needs to reach nothing else.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from maker.errors import MakerError, UsageError, inert

if TYPE_CHECKING:
    from maker.cluster.nodes import Cluster

Checks = Iterator[tuple[str, Callable[[], str]]]


def checks(address: str, storage: str | None) -> Checks:
    """Of the Ray at HOST:PORT; each raises Warning or MakerError for what it does not like."""
    from maker.cluster import nodes

    found = cache(lambda: nodes.look(address, storage))
    yield "nodes", lambda: _nodes(found())
    yield "versions", lambda: _versions(found())
    yield "auth", lambda: _auth(found())
    yield "dashboard", lambda: _dashboard(found())
    yield "keys", lambda: _keys(found())
    if storage is not None:
        yield "storage", lambda: _storage(found(), storage)


def as_job(address: str, storage: str | None, show: Callable[[str], None]) -> int:
    """Run the checks on the cluster, show their lines; the job's exit code."""
    import time

    from maker.cluster import submission
    from maker.cluster.jobs import Jobs

    words = ["python", "-m", "maker", "doctor", "--address", "auto", "--json"]
    if storage is not None:
        words += ["--storage", submission.check_storage(storage)]
    jobs, name = Jobs(address), f"maker-doctor-{secrets.token_hex(4)}"
    jobs.submit(name, submission.joined(words), {})
    while (job := jobs.get(name)).going:
        time.sleep(1.0)
    lines = [line for line in jobs.log(name).splitlines() if line.startswith('{"check": ')]
    if not lines:
        raise MakerError(f"the checks did not run as a job: {inert(job.message, 1000)}")
    for line in lines:
        show(line)
    return 1 if job.exit_code is None else job.exit_code


def _nodes(cluster: Cluster) -> str:
    return f"{len(cluster.nodes)}: {', '.join(inert(node.host) for node in cluster.nodes)}"


def _versions(cluster: Cluster) -> str:
    from maker.cluster import nodes

    ours, odd = nodes.here(), list[str]()
    for node in cluster.nodes:
        missing = [name for name, found in node.versions.items() if found is None]
        if missing:
            raise MakerError(f"node {inert(node.host)} lacks {', '.join(missing)}: pip install them there")
        for name, (there, mine) in nodes.differences(node, ours).items():
            odd.append(f"{inert(node.host)} has {name} {there}, here it is {mine}")
    if odd:
        raise Warning("; ".join(odd))
    return "all nodes have " + ", ".join(f"{name} {found}" for name, found in ours.items())


def _auth(cluster: Cluster) -> str:
    from maker.cluster import nodes

    if open_ones := [inert(node.host) for node in cluster.nodes if node.auth != "token"]:
        raise MakerError(
            f"token authentication is off on {', '.join(open_ones)}: who reaches a node can run code there; "
            "set RAY_AUTH_MODE=token and a token for every node"
        )
    if cluster.dashboard and not nodes.asks_for_a_token(cluster.dashboard):
        raise MakerError(
            f"the dashboard at {cluster.dashboard} takes jobs without a token: set RAY_AUTH_MODE=token"
        )
    return "token authentication is on"


def _dashboard(cluster: Cluster) -> str:
    if not cluster.dashboard:
        return "there is none, so no jobs can be submitted"
    host = cluster.dashboard.rpartition(":")[0].strip("[]")
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise Warning(
            f"it listens at {cluster.dashboard}, not on loopback: keep that address inside the cluster "
            "(a firewall, a port-forward), for a token is all that guards it"
        )
    return f"it listens on loopback, {cluster.dashboard}"


def _keys(cluster: Cluster) -> str:
    without = [inert(node.host) for node in cluster.nodes if not node.key]
    if without and "MAKER_KEY_FILE" not in os.environ:
        raise Warning(
            f"OPENAI_API_KEY is not set on {', '.join(without)}: openai:NAME needs it there or --key-file, "
            "for all but loopback endpoints"
        )
    return "OPENAI_API_KEY is set on all nodes" if not without else "MAKER_KEY_FILE names a key file"


def _storage(cluster: Cluster, storage: str) -> str:
    broken = [f"{inert(node.host)}: {node.storage}" for node in cluster.nodes if node.storage is not None]
    if broken:
        raise MakerError(f"{inert(storage)} cannot be used from every node: {'; '.join(broken)}")
    return "every node creates, reads and sees the same files there"


def is_dashboard(address: str) -> bool:
    if "://" in address and not address.startswith(("http://", "https://")):
        raise UsageError(
            f"--address {address}: expected HOST:PORT of Ray, or http://HEAD:8265 of its dashboard"
        )
    return "://" in address
