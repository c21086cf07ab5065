"""A graph of all types of nodes in pods, among them classes in Seldon's wrapper, over REST and gRPC."""

import json
from collections.abc import Callable

import pytest
import urllib3
from fairlead_cluster.base.home import CHECKOUT

from tests.e2e.conftest import NAMESPACE
from tests.e2e.digits import VERSION
from tests.support import onnx_models as onnx
from tests.support.api_server import Kubectl, Object, condition, wait_for
from tests.support.kind import CONTAINER, forwarded

NAME, CODE = "all-nodes", "all-nodes-code"
IMAGE = f"fairlead/seldon-node:{VERSION}"
ROW = [[1.0, 2.0, 4.0]]


@pytest.fixture
def deployment(kubectl: Kubectl, operator: None, publish: Callable[[str, bytes], str]) -> Object:
    """Deploy the graph: 2 x, then the mean of one of two models and of a class, then the negative."""
    code = {"Affine.py": (CHECKOUT / "tests" / "seldon" / "Affine.py").read_text()}
    meta = {"name": CODE, "namespace": NAMESPACE}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": code})

    def model(name: str, factor: float, **fields: object) -> Object:
        uri = publish(name, onnx.scale(factor, ["n", 3]))
        return {"name": name, "modelUri": uri, "envSecretRefName": "artifact-store", **fields}

    choices = [model("tenfold", 10.0), model("one", 1.0)]
    always = [{"name": "ratioA", "value": "1", "type": "FLOAT"}]
    router = {"name": "choose", "implementation": "RANDOM_ABTEST", "parameters": always, "children": choices}
    far = {"name": "far", "endpoint": {"type": "GRPC"}, "parameters": factor(3.0)}
    mean = {"name": "mean", "implementation": "AVERAGE_COMBINER", "children": [router, far]}
    twice = {"name": "twice", "type": "TRANSFORMER", "parameters": factor(2.0), "children": [mean]}
    graph = model("negative", -1.0, type="OUTPUT_TRANSFORMER", children=[twice])
    containers = [wrapper("twice", "TRANSFORMER"), wrapper("far", "MODEL")]
    volumes = [{"name": "code", "configMap": {"name": CODE}}, {"name": "tmp", "emptyDir": {}}]
    pods = [{"spec": {"containers": containers, "volumes": volumes}}]
    spec = {"predictors": [{"name": "main", "graph": graph, "componentSpecs": pods}]}
    meta = {"name": NAME, "namespace": NAMESPACE}
    kubectl.apply({"apiVersion": "fairlead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta, "spec": spec})

    def ready() -> Object | None:
        found = kubectl.get("mdep", NAME, NAMESPACE)
        return found if condition(found, "Ready").get("status") == "True" else None

    return wait_for(ready, "the graph to be ready", 240)


def factor(value: float) -> list[Object]:
    return [{"name": "factor", "value": str(value), "type": "FLOAT"}]


def wrapper(name: str, kind: str) -> Object:
    """Return the container of a class in Seldon's wrapper."""
    mounts = [{"name": "code", "mountPath": "/code"}, {"name": "tmp", "mountPath": "/tmp"}]
    return {
        "name": name,
        "image": IMAGE,
        "command": ["seldon-core-microservice", "Affine", "--service-type", kind],
        "securityContext": CONTAINER,
        "volumeMounts": mounts,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
    }


def test_all_types_of_nodes_answer_in_pods(kubectl: Kubectl, deployment: Object) -> None:
    body = json.dumps({"data": {"names": ["a", "b", "c"], "ndarray": ROW}})
    with forwarded(kubectl, NAMESPACE, NAME, 8080) as address:
        response = urllib3.request("POST", f"{address}/api/v1.0/predictions", body=body, timeout=30)
    assert response.status == 200, response.data
    answer = response.json()
    # twice 2 x; the mean of 10 times and of 3 times that is 13 x; and the negative
    assert answer["data"]["ndarray"] == [[-13.0, -26.0, -52.0]]
    meta = answer["meta"]
    assert meta["routing"] == {"choose": 0}
    assert set(meta["requestPath"]) == {"negative", "twice", "mean", "choose", "tenfold", "far"}
    assert meta["tags"]["factor"] in (2.0, 3.0)
    kubectl("delete", "mdep", NAME, "-n", NAMESPACE)
