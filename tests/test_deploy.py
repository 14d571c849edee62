"""The files in deploy/: manifests that parse, hold only fields that KubeRay knows, and name real options."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
import yaml

from tests.support import ROOT

CLUSTER = {"rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec"}
CLUSTER |= {"workerGroupSpecs"}
JOB = {"entrypoint", "backoffLimit", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"}
JOB |= {"rayClusterSpec"}
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def manifest(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "deploy" / name).read_text("utf-8"))


def cluster_of(found: dict[str, Any]) -> dict[str, Any]:
    return found["spec"].get("rayClusterSpec", found["spec"])


@pytest.mark.parametrize(("name", "kind"), [("raycluster.yaml", "RayCluster"), ("rayjob.yaml", "RayJob")])
def test_a_manifest_is_one_that_kuberay_takes(name: str, kind: str) -> None:
    found = manifest(name)
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", kind)
    if kind == "RayJob":
        assert found["spec"].keys() <= JOB
    cluster = cluster_of(found)
    assert cluster.keys() <= CLUSTER
    assert cluster["authOptions"] == {"mode": "token"}
    groups = cluster["workerGroupSpecs"]
    assert all(group.keys() == GROUP for group in groups)
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in groups)
    for pod in [cluster["headGroupSpec"], *groups]:
        check_pod(pod["template"]["spec"])


def check_pod(spec: dict[str, Any]) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    [container] = spec["containers"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    settings = {each["name"]: each["value"] for each in container["env"]}
    [mount] = container["volumeMounts"]
    assert settings["MAKER_KEY_FILE"].startswith(mount["mountPath"] + "/")
    assert mount["readOnly"] is True
    [volume] = spec["volumes"]
    assert (volume["name"], volume["secret"]["defaultMode"]) == (mount["name"], 0o440)
    assert not [name for name in settings if name.endswith(("_KEY", "_TOKEN"))]


def test_the_job_gives_a_command_that_a_retry_goes_on_with() -> None:
    from maker.cli import app

    found = manifest("rayjob.yaml")["spec"]
    words = shlex.split(found["entrypoint"])
    assert (words[:2], found["backoffLimit"] > 0) == (["maker", "run"], True)
    assert "://" in words[words.index("--run-dir") + 1]
    options = {name for each in typer.main.get_command(app).commands["run"].params for name in each.opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_the_monitor_scrapes_the_port_that_kuberay_names() -> None:
    found = manifest("podmonitor.yaml")
    assert (found["apiVersion"], found["kind"]) == ("monitoring.coreos.com/v1", "PodMonitor")
    assert [each["port"] for each in found["spec"]["podMetricsEndpoints"]] == ["metrics"]
    for name in ("raycluster.yaml", "rayjob.yaml"):  # where ports are given, KubeRay adds none of its own
        cluster = cluster_of(manifest(name))
        for pod in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
            assert "ports" not in pod["template"]["spec"]["containers"][0]


def test_manifests_and_image_are_of_the_version_of_ray_that_is_locked() -> None:
    import ray

    for name in ("raycluster.yaml", "rayjob.yaml"):
        assert cluster_of(manifest(name))["rayVersion"] == ray.__version__
    assert f"rayproject/ray:{ray.__version__}-" in (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
