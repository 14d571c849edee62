"""Fixtures that several files share: Ray with its token authentication on, and `maker` as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maker.cluster import ray_crew
from maker.operation import Operation
from tests.support import ROOT

WINDOW = int(os.environ.get("MAKER_WINDOW", "1"))
"""Of `make test-window`: commands read it, and so do calls from here."""
if WINDOW > 1:
    kwdefaults = Operation.__init__.__kwdefaults__
    assert kwdefaults is not None
    kwdefaults["window"] = str(WINDOW)

SAME = ("status", "steps", "votes", "flagged", "contested", "verified") + ("samples",) * (WINDOW == 1)
"""What no pace changes of a run's end; with a wider window samples are drawn on guesses, some in vain."""

CANARY = "sk-canary-7f3a9c51e2"
"""The key that the nodes of a cluster with a dashboard have in their environment."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line of stdout, which must all be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def done(self) -> dict[str, Any]:
        last = self.events[-1]
        assert last["event"] == "done"
        return last


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "maker", *map(str, words)]


class Maker:
    """The command line, as a user's shell would run it in a folder."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment}

    def __call__(self, *words: object, **environment: str) -> Ended:
        done = subprocess.run(
            command(*words),
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=280,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*words),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_interrupts,
        )


def _hear_interrupts() -> None:
    """A shell that runs the tests in the background has SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Runs without Ray unless told otherwise, so that most tests start in a moment."""
    environment = {"MAKER_ENGINE": "inline", "COLUMNS": "200"}
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RAY_ADDRESS", "MAKER_MODEL"):
        os.environ.pop(name, None)
    return Maker(tmp_path, **environment)


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Ray cluster of our own, with a token of its own; ended by its own handle."""
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(tmp_path_factory.mktemp("ray") / "token")
    ray_crew.settle_environment()
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 * 2**20}
    )
    yield cluster.address
    cluster.shutdown()


@dataclass(frozen=True)
class Dashboard:
    """A Ray cluster with its Jobs API."""

    url: str
    address: str
    session: Path
    """Ray's own folder of it."""
    metrics: str
    """What Prometheus scrapes."""
    environment: dict[str, str]
    """What a client on this machine needs."""

    def ask(self, path: str) -> str:
        """What its API answers."""
        import requests

        token = Path(self.environment["RAY_AUTH_TOKEN_PATH"]).read_text().strip()
        found = requests.get(self.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        assert found.status_code == 200, (path, found.text[:300])
        return found.text


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One node, whose environment has the key of an endpoint."""
    with local_cluster(tmp_path_factory.mktemp("cluster"), 0, OPENAI_API_KEY=CANARY) as started:
        yield started


@contextmanager
def local_cluster(folder: Path, nodes: int, **known: str) -> Iterator[Dashboard]:
    """A head with a dashboard and some nodes beside it, started by the script of deploy/ and ended by its own
    handle; `known` is in their environment."""
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MAKER_"))}
    for _ in range(3):  # Ray gives a node 30 s to begin, which a busy machine may not make
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, ROOT / "deploy" / "local_cluster.py", "--nodes", str(nodes), "--json"],
                env={**inherited, **environment, **known},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=_hear_interrupts,
            )
        assert process.stdout is not None
        if line := process.stdout.readline():
            break
        process.wait(timeout=60)
    try:
        assert line, (folder / "log").read_text()
        ready = json.loads(line)
        where = (ready["dashboard"], ready["address"], Path(ready["session"]), ready["metrics"])
        yield Dashboard(*where, environment)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real llama-server, a process of its own, that serves the shipped weights.

    They are written as GGUF just now. A request may ask for up to 12 choices.
    """
    folder = tmp_path_factory.mktemp("gguf")
    made = folder / "hanoi.gguf"
    subprocess.run([sys.executable, "-m", "training.gguf_export", made], check=True, cwd=ROOT)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "llama_server.py", made, "0", "12"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        ready, _, address = process.stdout.readline().partition(" ")
        assert ready == "ready", (folder / "server.log").read_text()
        yield address.strip()
    finally:
        process.terminate()
        process.wait(timeout=20)
