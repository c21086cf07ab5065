"""Seldon's side: its external protocol, its metrics, and real seldon-core microservices as nodes."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support import onnx_models as onnx

ROWS = [[1.0, 2.0, 4.0], [3.0, 0.5, 0.0]]


@pytest.fixture(scope="module")
def local(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """Return a ready server with one model, times 2."""
    return start(
        {"name": "twice", "type": "MODEL", "modelUri": publish_model("twice", onnx.scale(2.0, ["n", 3]))}
    ).wait_ready()


def test_ndarray_and_tensor_are_answered_in_the_same_form(local: Any) -> None:
    answer = local.predict(
        {"data": {"names": ["a", "b", "c"], "ndarray": ROWS}, "meta": {"puid": "p1", "tags": {"k": "v"}}}
    )
    assert answer.status == 200
    assert answer.json["data"] == {"names": ["t:0", "t:1", "t:2"], "ndarray": [[2.0, 4.0, 8.0], [6.0, 1.0, 0.0]]}
    assert answer.json["meta"]["puid"] == "p1"
    assert answer.json["meta"]["tags"] == {"k": "v"}
    assert list(answer.json["meta"]["requestPath"]) == ["twice"]
    assert answer.headers["seldon-puid"] == "p1"

    tensor = local.predict({"data": {"tensor": {"shape": [2, 3], "values": [1, 2, 4, 3, 0.5, 0]}}})
    assert tensor.json["data"]["tensor"] == {"shape": [2, 3], "values": [2.0, 4.0, 8.0, 6.0, 1.0, 0.0]}
    other = local.predict({"data": {"tensor": {"shape": [1, 3], "values": [1, 2, 4]}}})
    assert tensor.json["meta"]["puid"] != other.json["meta"]["puid"]


REJECTED = [
    ({}, "data: got [], expected data.ndarray or data.tensor"),
    ({"strData": "x"}, "data: got ['strData'], expected data.ndarray or data.tensor"),
    ({"data": {"ndarray": [["a", "b", "c"]]}}, "node twice: input x datatype: got text, expected FP32"),
    ({"data": {"ndarray": [["NaN", 1, 2]]}}, "data.ndarray: got values of types int, str, expected numbers only or"),
    ({"data": {"ndarray": [[1, 2]]}}, "node twice: input x shape: got [1, 2], expected [-1, 3] (-1: any size)"),
    ({"data": {"ndarray": [[1, 2, 3], [4]]}}, "data.ndarray: got rows of 1 and 3, expected rows of equal lengths"),
    ({"data": {"ndarray": [[1, 2, 1e39]]}}, "node twice: input x: got 1e+39, expected values that FP32 can hold"),
    ({"data": {"tensor": {"shape": [2, 3], "values": [1]}}}, "data.tensor.values: got 1 values, expected 6"),
    ({"data": {"ndarray": [[1, 2, 3]]}, "meta": {"puid": 7}}, "meta.puid: got 7, expected a string"),
    ({"data": {"ndarray": [[1, 2, 3]]}, "meta": {"puid": "a\r\nx: y"}}, "meta.puid: got 'a\\r\\nx: y', expected up to"),
    ({"data": {"tensor": {"shape": [1] * 99, "values": [1]}}}, "data.tensor.values: got 99 dimensions"),
    ({"data": {"names": "a", "ndarray": [[1, 2, 3]]}}, "data.names: got 'a', expected a list of strings"),
]


@pytest.mark.parametrize(("message", "reason"), REJECTED, ids=[reason[:50] for _, reason in REJECTED])
def test_an_invalid_message_is_rejected_in_seldons_format(local: Any, message: Any, reason: str) -> None:
    answer = local.predict(message)
    status = answer.json["status"]
    assert (answer.status, status["code"], status["status"], status["reason"]) == (400, 400, "FAILURE", "BAD_REQUEST")
    assert status["info"].startswith(reason)


def test_metrics_have_seldons_names_and_labels(start: Callable[..., Any], publish_model: Callable[..., str]) -> None:
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    local = start({"name": "twice", "type": "MODEL", "modelUri": uri}).wait_ready()
    local.predict({"data": {"ndarray": ROWS}})
    local.predict({"data": {"ndarray": [[1]]}})
    lines = local.get("/metrics").body.decode().splitlines()
    counts = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def count(name: str, **labels: str) -> float:
        return sum(
            value for key, value in counts.items()
            if key.startswith(f"{name}_count{{") and all(f'{label}="{text}"' in key for label, text in labels.items())
        )  # fmt: skip

    names = {"deployment_name": "digits", "predictor_name": "main"}
    server, client = "seldon_api_executor_server_requests_seconds", "seldon_api_executor_client_requests_seconds"
    assert count(server, service="predictions", code="200", **names) == 1
    assert count(server, service="predictions", code="400", **names) == 1
    for name in (client, f"{client}_summary"):
        # The warm-up request is the second one.
        assert count(name, service="/predict", code="200", model_name="twice", **names) == 2
    key = next(key for key in counts if key.startswith(f"{client}_bucket"))
    assert all(f"{label}=" in key for label in ("model_image", "model_version", "predictor_version", "method", "le"))


def test_a_remote_transformer_feeds_a_local_model(
    start: Callable[..., Any], seldon: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    weights = {"w": np.eye(3, 2, dtype=np.float32), "b": np.zeros(2, np.float32)}
    child = {"name": "classifier", "type": "MODEL", "modelUri": publish_model("c", onnx.linear(weights))}
    graph = {"name": "scaler", "type": "TRANSFORMER", "endpoint": seldon("TRANSFORMER", 0.5), "children": [child]}
    server = start(graph).wait_ready()
    answer = server.predict({"data": {"ndarray": ROWS}})
    assert answer.json["data"]["ndarray"] == [[0.5, 1.0], [1.5, 0.25]]
    assert answer.json["meta"]["tags"] == {"factor": 0.5}
    assert list(answer.json["meta"]["requestPath"]) == ["scaler", "classifier"]
    v2 = server.infer({"name": "any", "datatype": "FP32", "shape": [2, 3], "data": ROWS})
    assert v2.json["outputs"] == [
        {"name": "logits", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 1.0, 1.5, 0.25]}
    ]


def test_a_graph_server_is_a_microservice_of_another_graph(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    leaf = start({"name": "twice", "type": "MODEL", "modelUri": publish_model("leaf", onnx.scale(2.0, ["n", 3]))})
    leaf.wait_ready()
    assert (leaf.get("/health/ping").status, leaf.get("/health/status").status) == (200, 200)
    message = {"data": {"names": ["a", "b", "c"], "ndarray": ROWS}, "meta": {"tags": {"k": "v"}}}
    for path in ("/predict", "/transform-input", "/transform-output"):
        assert leaf.post(path, message).json["data"]["ndarray"] == [[2.0, 4.0, 8.0], [6.0, 1.0, 0.0]]
    endpoint = {"host": "127.0.0.1", "port": leaf.port}
    child = {"name": "twice", "type": "MODEL", "endpoint": endpoint}
    root = start({"name": "again", "type": "TRANSFORMER", "endpoint": endpoint, "children": [child]}).wait_ready()
    answer = root.predict(message)
    assert answer.json["data"]["ndarray"] == [[4.0, 8.0, 16.0], [12.0, 2.0, 0.0]]
    assert answer.json["meta"]["tags"] == {"k": "v"}
    feedback = root.post("/api/v1.0/feedback", {"request": message, "response": answer.json, "reward": 1.0})
    assert feedback.status == 200


def test_a_remote_model_below_a_local_one_and_an_output_transformer(
    start: Callable[..., Any], seldon: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    model = {"name": "model", "type": "MODEL", "endpoint": seldon("MODEL", 3.0)}
    scaler = {"name": "scaler", "type": "TRANSFORMER", "modelUri": publish_model("s", onnx.scale(2.0, ["n", 3]))}
    out = {"name": "out", "type": "OUTPUT_TRANSFORMER", "endpoint": seldon("TRANSFORMER", 10.0)}
    server = start({**out, "children": [{**scaler, "children": [model]}]}).wait_ready()
    answer = server.infer({"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]})
    assert answer.json["outputs"][0]["data"] == [60.0, 120.0, 240.0]


def test_a_router_chooses_by_the_request_and_a_combiner_joins(
    start: Callable[..., Any], seldon: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    uris = {factor: publish_model(f"m{factor}", onnx.scale(float(factor), ["n", 2])) for factor in (1, 3)}
    children = [{"name": f"m{factor}", "type": "MODEL", "modelUri": uri} for factor, uri in uris.items()]
    router = start({"name": "r", "type": "ROUTER", "endpoint": seldon("ROUTER"), "children": children}).wait_ready()
    small, large = (router.predict({"data": {"ndarray": [[value, value]]}}).json for value in (1, 20))
    assert (small["data"]["ndarray"], small["meta"]["routing"]) == ([[1.0, 1.0]], {"r": 0})
    assert (large["data"]["ndarray"], large["meta"]["routing"]) == ([[60.0, 60.0]], {"r": 1})

    graph = {"name": "mean", "type": "COMBINER", "endpoint": seldon("COMBINER"), "children": children}
    assert start(graph).wait_ready().predict({"data": {"ndarray": [[1, 2]]}}).json["data"]["ndarray"] == [[2.0, 4.0]]


def test_two_pods_of_processes_have_nodes_of_their_own_on_one_port(
    start: Callable[..., Any], seldon: Callable[..., Any], free_port_of: Callable[[], int]
) -> None:
    port = free_port_of()
    for address, factor in (("127.0.0.2", 2.0), ("127.0.0.3", 3.0)):
        # As in a pod, the graph uses 127.0.0.1 for services in the same pod.
        graph = {"name": "far", "type": "MODEL", "endpoint": seldon(factor=factor, port=port, address=address)}
        server = start(graph, FAIRLEAD_BIND_ADDRESS=address).wait_ready()
        assert server.predict({"data": {"ndarray": [[1.0]]}}).json["data"]["ndarray"] == [[factor]]


def test_an_error_of_a_remote_node_names_the_node(start: Callable[..., Any], seldon: Callable[..., Any]) -> None:
    server = start({"name": "far", "type": "MODEL", "endpoint": seldon()}).wait_ready()
    answer = server.predict({"data": {"ndarray": [[-1.0]]}})
    assert answer.status == 502
    assert answer.json["status"]["info"] == "node far: /predict answered 500: negative numbers are not for me"
    assert server.predict({"data": {"ndarray": [[1.0]]}}).json["data"]["ndarray"] == [[2.0]]


def test_readiness_follows_a_remote_node_that_starts_late_stops_and_returns(
    start: Callable[..., Any], seldon: Callable[..., Any], free_port_of: Callable[[], int]
) -> None:
    port = free_port_of()
    server = start(
        {"name": "far", "type": "MODEL", "endpoint": {"host": "127.0.0.1", "port": port, "type": "REST"}},
        FAIRLEAD_NODE_TIMEOUT_SECONDS="1",
    )
    server.wait(lambda: "node far" in server.get("/v2/health/ready").json.get("reason", ""))
    assert server.get("/v2/health/live").status == 200
    assert server.predict({"data": {"ndarray": [[1.0]]}}).status == 502
    seldon(port=port)
    server.wait_ready()
    assert server.predict({"data": {"ndarray": [[1.0]]}}).status == 200


def test_a_remote_node_that_hangs_times_out(start: Callable[..., Any], hanging: Any) -> None:
    endpoint = {"host": "127.0.0.1", "port": hanging, "type": "REST"}
    server = start({"name": "far", "type": "MODEL", "endpoint": endpoint}, FAIRLEAD_NODE_TIMEOUT_SECONDS="0.3")
    server.wait(lambda: "far" in server.get("/v2/health/ready").json.get("reason", ""))
    begin = time.monotonic()
    answer = server.predict({"data": {"ndarray": [[1.0]]}})
    assert answer.json["status"]["info"] == "node far: no response to /predict within 0.3 s"
    assert answer.status == 504
    assert time.monotonic() - begin < 2


def test_requests_in_flight_are_answered_after_sigterm(start: Callable[..., Any], seldon: Callable[..., Any]) -> None:
    server = start({"name": "far", "type": "MODEL", "endpoint": seldon()}, FAIRLEAD_DRAIN_SECONDS="1").wait_ready()
    os.kill(server.process.pid, signal.SIGTERM)
    server.wait(lambda: server.get("/v2/health/ready").json.get("reason") == "draining", 5)
    assert server.predict({"data": {"ndarray": [[1.0]]}}).status == 200
    assert server.process.wait(10) == 0
