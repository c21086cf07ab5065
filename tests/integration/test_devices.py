"""GPUs on a real API server: the operator is a process, the graph servers are scripted, and no kubelet runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fairlead import __version__
from fairlead_contracts.devices import DeviceFacts, NodeDevice

from tests.integration.conftest import POD_ADDRESS, Operator, publish_model
from tests.support.api_server import Kubectl, wait_for
from tests.support.graph_servers import ScriptedServer, serving_graphs
from tests.support.resources import MODEL_DEPLOYMENT, Object, change

NAME = "accelerated"
LABELS = f"fairlead.dev/deployment={NAME}"
NO_DRIVER = "there is no NVIDIA driver here: libcuda.so.1: cannot open shared object file"

pytestmark = pytest.mark.usefixtures("cleaned")


@pytest.fixture
def servers() -> Iterator[ScriptedServer]:
    """The graph servers of all pods, which have one address."""
    with serving_graphs(POD_ADDRESS, 8080, lambda: b"") as server:
        yield server


def encode(problem: str | None) -> bytes:
    node = NodeDevice(node="model", provider="CPU" if problem else "CUDA", problem=problem)
    return DeviceFacts(nodes=(node,)).model_dump_json(by_alias=True).encode()


def run_pods(kubectl: Kubectl) -> Object:
    """Do what kubelets do, and return the condition `Accelerated`."""
    kubectl.run_pods(LABELS, lambda _: POD_ADDRESS)
    status: Object = kubectl.get("mdep", NAME).get("status") or {}
    found = [each for each in status.get("conditions", []) if each["type"] == "Accelerated"]
    return found[0] if found else {}


def wait_for_reason(kubectl: Kubectl, reason: str) -> Object:
    wait_for(lambda: run_pods(kubectl).get("reason") == reason, reason, 90)
    return run_pods(kubectl)


def image(kubectl: Kubectl) -> str:
    (deployment,) = kubectl.list("deployments", labels=LABELS)
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_gpu_that_is_not_used_is_said_and_repaired_pods_are_asked_again(
    kubectl: Kubectl, operator: Operator, servers: ScriptedServer, tmp_path: Path
) -> None:
    servers.devices = encode(NO_DRIVER)
    graph = {"name": "model", "modelUri": publish_model(tmp_path, "model")}
    plain = change(MODEL_DEPLOYMENT, metadata__name=NAME, spec__predictors__0__graph=graph)
    with_gpu = change(plain, spec__predictors__0__server={"resources": {"limits": {"nvidia.com/gpu": 1}}})
    kubectl.apply(with_gpu)
    fallen = wait_for_reason(kubectl, "GpuUnusable")
    assert (fallen["status"], fallen["message"]) == (
        "False", f"1 of 1 servers run models on the CPU: {NO_DRIVER} (node model).",
    )  # fmt: skip
    assert image(kubectl) == f"fairlead/graph-server-cuda:{__version__}"
    found = [each for each in kubectl.list("events.events.k8s.io") if each["reason"] == "GpuUnusable"]
    assert [each["note"] for each in found] == [fallen["message"]]

    servers.devices = encode(None)
    kubectl.apply(change(with_gpu, spec__predictors__0__server__env=[{"name": "ROLL", "value": "1"}]))
    assert wait_for_reason(kubectl, "GpuInUse")["status"] == "True"

    kubectl.apply(plain)
    wait_for(lambda: not run_pods(kubectl), "no condition")
    assert image(kubectl) == f"fairlead/graph-server:{__version__}"
