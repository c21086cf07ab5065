"""Drift on a real API server: the operator is a process, the graph servers are scripted, and no kubelet runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fairlead_contracts.monitor import ColumnFacts, MonitorFacts, NodeFacts, TensorFacts

from tests.integration.conftest import POD_ADDRESS, Operator, publish_model
from tests.support.api_server import Kubectl, wait_for
from tests.support.graph_servers import ScriptedServer, serving_graphs
from tests.support.resources import MODEL_DEPLOYMENT, Object, change

NAME = "watched"
LABELS = f"fairlead.dev/deployment={NAME}"
DRIFT = {"windowSeconds": 8, "minRows": 100, "maxPsi": 0.2}
DIGEST = "sha256:" + "0" * 64

pytestmark = pytest.mark.usefixtures("cleaned")


@pytest.fixture
def servers() -> Iterator[ScriptedServer]:
    """The graph servers of all pods, which have one address."""
    with serving_graphs(POD_ADDRESS, 8080, lambda: b"") as server:
        yield server


def encode(*counts: int) -> bytes:
    column = ColumnFacts(index=3, reference=(0, 500, 500, 0, 0), counts=counts)
    tensor = TensorFacts(side="input", name="image", columns=(column,))
    node = NodeFacts(node="model", digest=DIGEST, reference_rows=1000, rows=sum(counts), tensors=(tensor,))
    return MonitorFacts(predictor="main", nodes=(node,)).model_dump_json(by_alias=True).encode()


def run_pods(kubectl: Kubectl) -> Object:
    """Do what kubelets do, and return the condition `Drifted`."""
    kubectl.run_pods(LABELS, lambda _: POD_ADDRESS)
    status: Object = kubectl.get("mdep", NAME).get("status") or {}
    found = [each for each in status.get("conditions", []) if each["type"] == "Drifted"]
    return found[0] if found else {}


def wait_for_reason(kubectl: Kubectl, reason: str) -> Object:
    wait_for(lambda: run_pods(kubectl).get("reason") == reason, reason, 90)
    return run_pods(kubectl)


def events(kubectl: Kubectl) -> list[str]:
    found = kubectl.list("events.events.k8s.io")
    return [event["reason"] for event in found if event["regarding"].get("name") == NAME and "Drift" in event["reason"]]


def test_drift_is_found_and_ends_and_nonsense_leaves_it_unknown(
    kubectl: Kubectl, operator: Operator, servers: ScriptedServer, tmp_path: Path
) -> None:
    servers.monitor = encode(0, 50, 50, 0, 0)
    graph = {"name": "model", "modelUri": publish_model(tmp_path, "model")}
    plain = change(MODEL_DEPLOYMENT, metadata__name=NAME, spec__predictors__0__graph=graph)
    kubectl.apply(change(plain, spec__monitor={"drift": DRIFT}))
    assert wait_for_reason(kubectl, "WithinLimit")["status"] == "False"
    (config,) = kubectl.list("configmaps", labels=LABELS)
    assert '"windowSeconds": 8' in config["data"]["graph.json"]

    servers.monitor = encode(0, 3, 97, 0, 0)
    drifted = wait_for_reason(kubectl, "DataDrifted")
    assert drifted["status"] == "True"
    assert drifted["message"].startswith(
        "1 of 1 columns exceed a PSI of 0.2 in 100 rows in 8 s: model input image[3]: "
    )
    drift = kubectl.get("mdep", NAME)["status"]["drift"]
    assert (drift["rows"], drift["worst"][0]["tensor"], drift["worst"][0]["column"]) == (100, "image", 3)
    assert drift["since"]

    servers.monitor = encode(0, 50, 50, 0, 0)
    wait_for_reason(kubectl, "WithinLimit")
    assert "since" not in kubectl.get("mdep", NAME)["status"]["drift"]
    assert sorted(events(kubectl)) == ["DriftDetected", "DriftEnded"]

    servers.monitor = b"[" * 100_000
    assert wait_for_reason(kubectl, "MonitorNotAnswering")["status"] == "Unknown"
    kubectl.apply(plain)
    wait_for(lambda: not run_pods(kubectl), "no condition")
    assert "drift" not in kubectl.get("mdep", NAME)["status"]
