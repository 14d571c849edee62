"""On a real cluster: what Prometheus scrapes is what runs say of themselves; the dashboard asks for that."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from maker.metrics import METRICS
from tests.conftest import CANARY, Dashboard, Ended, Maker
from tests.faultd import Faultd, status
from tests.support import ROOT
from tests.test_endpoint_runs import right
from tests.test_logs import STORM

EXPORTED = {
    f"ray_{metric.name}{'_total' if metric.kind == 'counter' else ''}": {"run", *metric.labels}
    for metric in METRICS
}


class Scraped:
    """All of Maker's series at a node, as Prometheus reads them."""

    def __init__(self, url: str) -> None:
        self.text = requests.get(url, timeout=30).text
        found = (sample for each in text_string_to_metric_families(self.text) for sample in each.samples)
        self.samples = [sample for sample in found if sample.name.startswith("ray_maker_")]

    def sum(self, name: str, **labels: str) -> float:
        """Over all commands and whatever labels are not given."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def runs(self) -> set[str]:
        return {sample.labels["run"] for sample in self.samples}


@pytest.fixture
def on_cluster(dashboard: Dashboard, tmp_path: Path) -> Maker:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MAKER_MODEL"):
        os.environ.pop(name, None)
    where = {"MAKER_ENGINE": "ray", "RAY_ADDRESS": dashboard.address, "OPENAI_API_KEY": CANARY}
    return Maker(tmp_path, **dashboard.environment, **where)


def scraped_when(dashboard: Dashboard, run: str, steps: int) -> Scraped:
    """The agent reads what a command sent at its end in a moment of its own."""
    deadline = time.monotonic() + 60
    while (found := Scraped(dashboard.metrics)).sum("ray_maker_steps_total", run=run) < steps:
        assert time.monotonic() < deadline, (steps, found.samples)
        time.sleep(0.5)
    return found


def check_is_told(found: Scraped, run: str, done: dict[str, Any]) -> None:
    for name in ("steps", "votes", "samples", "transport_faults"):
        assert found.sum(f"ray_maker_{name}_total", run=run) == done[name], name
    assert found.sum("ray_maker_contested_steps_total", run=run) == done["contested"]
    for reason, many in done["flags"].items():
        assert found.sum("ray_maker_flags_total", run=run, reason=reason) == many
    for direction in ("in", "out"):
        said = found.sum("ray_maker_tokens_total", run=run, direction=direction)
        assert said == done[f"tokens_{direction}"]
    assert found.sum("ray_maker_latency_seconds_bucket_total", run=run, le="+Inf") == done["samples"]


@pytest.mark.timeout(300)
def test_what_is_scraped_is_what_a_run_says_also_when_it_has_gone_on(
    on_cluster: Maker, dashboard: Dashboard
) -> None:
    words = ("run", "hanoi", "-T", "disks=7", "-T", "waypoints=4", "--workers", 2, "--json")
    words += ("--model", "sim:error=0.05,flags=0.05,latency=2ms", "--run-dir", "going-on")
    first = on_cluster(*words, "--max-calls", 150)
    assert (first.code, first.done["status"]) == (4, "budget"), first.err
    check_is_told(scraped_when(dashboard, "going-on", first.done["steps"]), "going-on", first.done)
    second = on_cluster(*words, "--max-calls", 10_000)
    assert second.code == 0, second.err
    assert second.done["flagged"] > 0 < second.done["contested"]
    found = scraped_when(dashboard, "going-on", second.done["steps"])
    check_is_told(found, "going-on", second.done)
    fast = found.sum("ray_maker_latency_seconds_bucket_total", run="going-on", le="0.025")
    assert fast == second.done["samples"]  # as the simulated model says
    slow = found.sum("ray_maker_latency_seconds_sum_total", run="going-on")
    assert slow == pytest.approx(0.002 * second.done["samples"])
    again = on_cluster(*words)
    assert (again.code, again.done["steps"]) == (0, second.done["steps"])
    check_is_told(Scraped(dashboard.metrics), "going-on", second.done)


@pytest.mark.timeout(300)
def test_faults_are_told_by_kind_and_the_limit_while_a_run_goes_on(
    on_cluster: Maker, dashboard: Dashboard
) -> None:
    words = ("run", "hanoi", "-T", "disks=5", "--model", "openai:tiny", "--json", "--run-dir", "faulty")
    with Faultd(answer=right, script=[status(503), None, status(503), None, status(429)]) as server:
        ended: Ended = on_cluster(*words, "--base-url", server.url)
    assert ended.code == 0, ended.err
    found = scraped_when(dashboard, "faulty", 31)
    check_is_told(found, "faulty", ended.done)
    assert found.sum("ray_maker_transport_faults_total", kind="http-503") == 2
    assert found.sum("ray_maker_transport_faults_total", kind="http-429") == 1
    assert found.sum("ray_maker_request_limit", run="faulty", model="openai:tiny") > 0
    assert found.sum("ray_maker_segments", run="faulty", state="finished") == 1
    assert CANARY not in found.text


@pytest.mark.timeout(300)
def test_what_an_actor_logs_is_json_with_run_lane_and_node_among_rays_logs(
    on_cluster: Maker, dashboard: Dashboard
) -> None:
    (on_cluster.folder / "storm.py").write_text(STORM)
    words = ("storm.py:Rows", "--model", "storm.py:Stormy", "-T", "rows=3", "--run-dir", "actors")
    ended = on_cluster("run", *words, "--workers", 1, "--json")
    assert (ended.code, ended.done["parked"]) == (3, 2), ended.err
    lines = [line for log in dashboard.session.glob("logs/worker-*.err") for line in log.open()]
    events = [json.loads(line) for line in lines if '"run": "actors"' in line]
    [event] = events
    assert (event["event"], event["lane"]) == ("model_close_failed", "0000")
    assert event["node"] == socket.gethostname()
    assert event["error"] == "\\x1b[31mit does not close"


def test_no_series_has_other_labels_than_are_documented(dashboard: Dashboard) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    for name, labels in EXPORTED.items():
        [row] = (line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == labels - {"run"}
    rays = {"Component", "NodeAddress", "SessionName", "Version", "WorkerId"}
    for sample in Scraped(dashboard.metrics).samples:
        own = {name for name in sample.labels if not name.startswith("otel_")} - rays
        assert own == EXPORTED[sample.name], sample


def grafana() -> dict[str, Any]:
    return json.loads((ROOT / "deploy" / "grafana" / "maker.json").read_text("utf-8"))


def test_the_dashboard_asks_only_for_what_is_exported() -> None:
    found = grafana()
    variables = {each["name"]: each for each in found["templating"]["list"]}
    assert list(variables) == ["datasource", "run", "model"]
    asked = [target["expr"] for panel in found["panels"] for target in panel["targets"]]
    asked += [variables[name]["query"]["query"] for name in ("run", "model")]
    seen = set()
    for expression in asked:
        selectors = re.findall(r"\b(ray_\w+)(?:\{([^}]*)\})?", expression)
        assert selectors, expression
        for name, selector in selectors:
            seen.add(name)
            assert set(re.findall(r"(\w+)=", selector or "")) <= EXPORTED[name], expression
        grouped = re.findall(r"\bby \(([^)]*)\) \((?:rate\(|increase\()?(ray_\w+)", expression)
        assert len(grouped) == expression.count(" by ("), expression
        for labels, name in grouped:
            assert set(labels.split(", ")) <= EXPORTED[name], expression
        assert set(re.findall(r"\$(?!__)(\w+)", expression)) <= variables.keys()
    assert EXPORTED.keys() - seen == {"ray_maker_latency_seconds_sum_total"}


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    found = grafana()
    assert found["schemaVersion"] >= 36
    assert found["uid"] and found["title"]
    panels = found["panels"]
    assert Counter(panel["id"] for panel in panels).most_common(1)[0][1] == 1
    for panel in panels:
        assert panel["title"] and panel["type"] == "timeseries"
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = [one[a] + one[b] <= other[a] or other[a] + other[b] <= one[a] for a, b in ("xw", "yh")]
        assert any(apart), (one, other)
