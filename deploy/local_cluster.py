"""A Ray cluster on this machine, to try `maker submit` on: a head with its dashboard, and some nodes.

    python deploy/local_cluster.py --nodes 2

The dashboard listens on loopback, all of it asks for a token. It says how it is used, and lasts until Ctrl-C;
then it ends what it started, and no other Ray. The machine's own memory and cores are all that there is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

from maker.cluster import ray_crew

STORE_BYTES = 100 * 2**20
"""Of each node's object store: reports are small."""

PATIENT = ("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT")
"""Seconds after which Ray takes a dashboard for dead that has only been slow to begin."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="A Ray cluster on this machine, until Ctrl-C.")
    parser.add_argument("--nodes", type=int, default=2, help="nodes beside the head")
    parser.add_argument("--cpus", type=int, default=2, help="that each node is said to have")
    parser.add_argument("--port", type=int, default=None, help="of the dashboard; a free one if not given")
    parser.add_argument("--json", action="store_true", help="one JSON line when it is ready")
    asked = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"  # of a job's `python`
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "1"
    for name in PATIENT:
        os.environ.setdefault(name, "300")
    ray_crew.settle_environment()
    from ray.cluster_utils import Cluster

    port = asked.port or free_port()
    shape = {"num_cpus": asked.cpus, "object_store_memory": STORE_BYTES}
    head = {**shape, "include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": port}
    head["metrics_export_port"] = metrics = free_port()
    head["dashboard_agent_listen_port"] = free_port()  # Ray's own is one for the whole machine
    folder = tempfile.mkdtemp(prefix="maker-ray-", dir="/tmp")  # short: Ray puts sockets into it
    head["temp_dir"], cluster = folder, Cluster()
    try:
        cluster.add_node(**head)
        # As `ray start` leaves it: jobs find their own cluster by it, however many the machine runs.
        Path(folder, "ray_current_cluster").write_text(cluster.address)
        for _ in range(asked.nodes):
            cluster.add_node(**shape)
        cluster.wait_for_nodes()
        urls = {"dashboard": f"http://127.0.0.1:{port}", "metrics": f"http://127.0.0.1:{metrics}/metrics"}
        session = cluster.head_node.get_session_dir_path()
        tell({**urls, "address": cluster.address, "session": session}, asked.json)
        stop.wait()
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def tell(where: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(where), flush=True)
        return
    token = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    print(f"ready: {where['dashboard']}, nodes join at {where['address']}, token in {token}")
    print(f"what Prometheus scrapes: {where['metrics']}")
    api = f"RAY_API_SERVER_ADDRESS={where['dashboard']}"
    print(f"  export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={token} {api}")
    print("  maker submit hanoi -T disks=8 --model sim:error=0.01 --storage $PWD/runs")
    print("Ctrl-C ends it.", flush=True)


if __name__ == "__main__":
    main()
