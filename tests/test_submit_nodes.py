"""A submitted run on a cluster of two nodes whose storage is an object store."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Dashboard, Ended, Maker, local_cluster
from tests.s3d import served
from tests.test_submit import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAME = f"march-{secrets.token_hex(3)}"
TASK = ("hanoi", "-T", "disks=7", "-T", "waypoints=4", "--seed", 3)
SAME = ("status", "verified", "steps", "votes", "samples", "contested", "result")


@dataclass(frozen=True)
class Site:
    cluster: Dashboard
    maker: Maker
    """On another machine, as it were: it knows the dashboard and the storage."""

    def state(self) -> Ended:
        return self.maker("status", NAME, "--json")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with served() as s3, local_cluster(folder, 1, **s3.environment) as cluster:
        where = {"RAY_API_SERVER_ADDRESS": cluster.url, "MAKER_STORAGE": f"{s3.bucket}/all", "COLUMNS": "200"}
        (folder / "home").mkdir()
        yield Site(cluster, Maker(folder / "home", **cluster.environment, **s3.environment, **where))


@pytest.fixture(scope="module")
def submitted(site: Site) -> Ended:
    """A run of some seconds, left alone once it is submitted."""
    model = ("--model", "sim:error=0.01,latency=150ms", "--workers", 4, "--seal-seconds", 1)
    return site.maker("submit", *TASK, *model, "--name", NAME, "--no-wait", "--json")


def test_a_run_in_an_object_store_is_submitted_followed_and_verified(
    site: Site, submitted: Ended, tmp_path: Path
) -> None:
    assert (submitted.code, submitted.events[0]["run"]) == (0, NAME), submitted.err

    def going() -> bool:
        ended = site.state()
        return ended.code == 0 and ended.events[0]["steps"] > 0

    until(going, 300)
    assert [each["run"].rpartition("/")[2] for each in site.maker("ls", "--json").events] == [NAME]
    until(lambda: site.state().events[0]["status"] == "done", 300)
    assert site.maker("verify", NAME, "--task").code == 0
    again = site.maker("submit", *TASK, "--model", "sim:error=0.01,latency=150ms", "--name", NAME, "--json")
    straight = site.maker("run", *TASK, "--model", "sim:error=0.01", "--engine", "inline", "--json")
    assert (again.code, straight.code) == (0, 0), again.err
    assert {name: again.done[name] for name in SAME} == {name: straight.done[name] for name in SAME}


def test_the_workers_of_a_job_sit_on_both_nodes(site: Site, submitted: Ended) -> None:
    until(lambda: site.state().events[0]["status"] == "done", 300)
    found = json.loads(site.cluster.ask("/api/v0/actors?detail=1"))["data"]["result"]["result"]
    workers = [each for each in found if each["class_name"] == "LaneWorkerActor"]
    on = Counter(each["node_id"] for each in workers)
    assert len(on) == 2, (on, site.cluster.ask("/nodes?view=summary"))
