"""Remote nodes: Seldon over gRPC, and servers of the Open Inference Protocol over REST and gRPC."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_graph.errors import NodeFailed
from fairlead_graph.nodes.remote import Answer, Remote, Unreachable
from fairlead_serving.errors import Code

from tests.support import onnx_models as onnx
from tests.support.loops import in_a_loop

ROWS = [[1.0, 2.0, 4.0], [3.0, 0.5, 1.0]]
INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}


def far(endpoint: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "far", "type": "MODEL", "endpoint": endpoint, **more}


def reason(server: Any) -> str:
    return str(server.get("/v2/health/ready").json.get("reason", ""))


@pytest.mark.parametrize("values", [ROWS, [[1, 2]]], ids=["floats", "integers"])
def test_a_seldon_microservice_over_grpc(
    start: Callable[..., Any], seldon: Callable[..., dict[str, Any]], values: Any
) -> None:
    server = start(far(seldon(factor=2.0, transport="GRPC"))).wait_ready()
    answer = server.predict({"data": {"ndarray": values}, "meta": {"tags": {"a": [1, {"b": None}]}}}).json
    assert answer["data"]["ndarray"] == (2 * np.array(values, float)).tolist()
    assert answer["meta"]["tags"] == {"a": [1, {"b": None}], "factor": 2.0}
    failed = server.predict({"data": {"ndarray": [[-1.0]]}})
    assert failed.status == 502
    assert "node far: /predict answered UNKNOWN: " in failed.json["status"]["info"]
    assert "negative numbers are not for me" in failed.json["status"]["info"]


def test_a_router_and_a_combiner_over_grpc(
    start: Callable[..., Any], seldon: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    uris = {factor: publish_model(f"m{factor}", onnx.scale(float(factor), ["n", 2])) for factor in (1, 3)}
    children = [{"name": f"m{factor}", "type": "MODEL", "modelUri": uri} for factor, uri in uris.items()]
    endpoint = seldon("ROUTER", transport="GRPC")
    router = start({"name": "r", "type": "ROUTER", "endpoint": endpoint, "children": children}).wait_ready()
    large = router.predict({"data": {"ndarray": [[20, 20]]}}).json
    assert (large["data"]["ndarray"], large["meta"]["routing"]) == ([[60.0, 60.0]], {"r": 1})
    feedback = {"request": {"data": {"ndarray": [[1]]}}, "response": {"meta": {"routing": {"r": 1}}}, "reward": 1.0}
    assert router.post("/api/v1.0/feedback", feedback).status == 200
    endpoint = seldon("COMBINER", transport="GRPC")
    mean = start({"name": "mean", "type": "COMBINER", "endpoint": endpoint, "children": children}).wait_ready()
    assert mean.predict({"data": {"ndarray": [[1, 2]]}}).json["data"]["ndarray"] == [[2.0, 4.0]]


@pytest.fixture
def open_server(
    start: Callable[..., Any], publish_model: Callable[..., str], free_port_of: Callable[[], int]
) -> Callable[..., dict[str, Any]]:
    """Return a function that serves a model over the Open Inference Protocol and returns its endpoint."""

    def run(content: bytes, transport: str) -> dict[str, Any]:
        grpc_port = free_port_of()
        graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("m", content)}
        server = start(graph, FAIRLEAD_GRPC_PORT=str(grpc_port)).wait_ready()
        return {"host": "127.0.0.1", "port": server.port if transport == "REST" else grpc_port, "type": transport}

    return run


@pytest.mark.parametrize("transport", ["REST", "GRPC"])
def test_a_server_of_the_open_inference_protocol(
    start: Callable[..., Any], open_server: Any, publish_model: Callable[..., str], transport: str
) -> None:
    node = far(open_server(onnx.scale(2.0, ["n", 3]), transport), protocol="v2", modelName="digits")
    first = {"name": "first", "type": "TRANSFORMER", "modelUri": publish_model("s", onnx.scale(5.0, ["n", 3]))}
    server = start({**first, "children": [node]}).wait_ready()
    assert server.get("/v2/models/digits").json["outputs"] == [{"name": "scaled", "datatype": "FP32", "shape": [-1, 3]}]
    assert server.infer(INPUT).json["outputs"][0]["data"] == [10.0, 20.0, 30.0]
    answer = server.predict({"data": {"ndarray": ROWS}}).json
    assert answer["data"]["ndarray"] == (10 * np.array(ROWS)).tolist()
    assert "/digits" in answer["meta"]["requestPath"]["far"]


@pytest.mark.parametrize("transport", ["REST", "GRPC"])
def test_requests_to_a_remote_model_are_checked_before_it_sees_them(
    start: Callable[..., Any], open_server: Any, transport: str
) -> None:
    server = start(far(open_server(onnx.scale(2.0, ["n", 3]), transport), protocol="v2", modelName="digits"))
    server.wait_ready()
    wrong = server.infer({**INPUT, "shape": [1, 2], "data": [1, 2]})
    assert (wrong.status, wrong.json["error"]) == (400, "inputs[0].shape: got [1, 2], expected [-1, 3] (-1: any size)")
    assert server.infer({**INPUT, "name": "z"}).json["error"] == "inputs[0].name: got 'z', expected one of x"
    assert server.predict({"data": {"ndarray": [["a", "b", "c"]]}}).status == 400


@pytest.mark.parametrize("transport", ["REST", "GRPC"])
def test_a_remote_model_that_does_not_fit_its_parent_is_never_ready(
    start: Callable[..., Any], open_server: Any, publish_model: Callable[..., str], transport: str, tmp_path: Path
) -> None:
    node = far(open_server(onnx.scale(2.0, ["n", 4]), transport), protocol="v2", modelName="digits")
    first = {"name": "first", "type": "TRANSFORMER", "modelUri": publish_model("s", onnx.scale(5.0, ["n", 3]))}
    report = tmp_path / "report"
    server = start({**first, "children": [node]}, FAIRLEAD_TERMINATION_LOG=str(report))
    assert server.process.wait(60) == 1
    expected = "node far: input x: node first returns shape [-1, 3], expected [-1, 4]"
    assert json.loads(report.read_text())["failure"]["message"] == expected


def test_a_model_that_the_server_does_not_have_is_named(start: Callable[..., Any], open_server: Any) -> None:
    endpoint = open_server(onnx.scale(2.0, ["n", 3]), "GRPC")
    server = start(far(endpoint, protocol="v2"))
    server.wait(lambda: "model far is not ready" in reason(server))
    assert "NOT_FOUND: model: got 'far', expected 'digits'" in reason(server)


@pytest.mark.parametrize("transport", ["REST", "GRPC"])
def test_a_refused_connection_is_tried_again_and_not_without_end(
    start: Callable[..., Any], transport: str, free_port_of: Callable[[], int]
) -> None:
    endpoint = {"host": "127.0.0.1", "port": free_port_of(), "type": transport}
    for retries in (0, 2):
        server = start(far(endpoint, protocol="v2", retries=retries, timeoutSeconds=20.0))
        server.wait(lambda server=server: "does not respond" in reason(server))
        answer = server.infer(INPUT)
        assert answer.status == 502
        assert "connect" in answer.json["error"].lower()


@in_a_loop
async def test_retries_reach_a_server_that_comes_back() -> None:
    sent: list[int] = []

    class Flaky:
        address = "somewhere"

        async def send(self, action: str, body: bytes | None) -> Answer:
            sent.append(1)
            if len(sent) < 3:
                raise Unreachable("connection refused")
            return Answer("200", Code.OK, b"yes")

        async def close(self) -> None:
            pass

    deadline = asyncio.get_running_loop().time() + 60
    assert (await Remote("far", Flaky(), 60, retries=2).call("/x", b"", deadline)).content == b"yes"
    sent.clear()
    with pytest.raises(NodeFailed, match="node far: /x at somewhere failed: connection refused"):
        await Remote("far", Flaky(), 60, retries=1).call("/x", b"", deadline)
    assert len(sent) == 2


def test_a_nodes_own_timeout_ends_its_calls(start: Callable[..., Any], hanging: int) -> None:
    endpoint = {"host": "127.0.0.1", "port": hanging, "type": "REST"}
    server = start(far(endpoint, timeoutSeconds=0.2), FAIRLEAD_NODE_TIMEOUT_SECONDS="30")
    server.wait(lambda: "does not respond" in reason(server))
    begin = time.monotonic()
    answer = server.predict({"data": {"ndarray": [[1.0]]}})
    assert (answer.status, answer.json["status"]["info"]) == (504, "node far: no response to /predict within 0.2 s")
    assert time.monotonic() - begin < 20
