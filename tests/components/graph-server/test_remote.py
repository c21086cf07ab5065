"""Remote nodes: Seldon over gRPC, servers of the Open Inference Protocol over REST and gRPC, and servers that lie."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
METADATA = {
    "name": "m", "platform": "x", "versions": ["1"],
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
}  # fmt: skip
GOOD = {"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}
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


class Stub:
    """A server with scripted answers, which counts requests."""

    def __init__(self, answers: dict[str, Any]) -> None:
        stub = self
        self.answers = {"/v2/models/far/ready": {}, "/v2/models/far": METADATA, **answers}
        self.requests: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._answer()

            def _answer(self) -> None:
                stub.requests.append(self.path)
                answer = stub.answers[self.path]
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = {"host": "127.0.0.1", "port": self.server.server_port, "type": "REST"}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def open_stub(stack: ExitStack, **answers: Any) -> Stub:
    server = Stub({f"/v2/models/far{'/infer' if name == 'infer' else ''}": answers[name] for name in answers})
    stack.callback(server.close)
    return server


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    """Return a function that starts a server with scripted answers."""
    with ExitStack() as stack:
        yield lambda **answers: open_stub(stack, **answers)


@pytest.fixture(scope="module")
def pair(start: Callable[..., Any]) -> Iterator[tuple[Stub, Any]]:
    """Return a server with scripted answers, and a graph server whose node it is."""
    with ExitStack() as stack:
        remote = open_stub(stack, infer=GOOD)
        server = start(far(remote.endpoint, protocol="v2"), FAIRLEAD_MAX_RESPONSE_BYTES=str(3 << 20)).wait_ready()
        yield remote, server


def output(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "outputs": [{**GOOD["outputs"][0], **changes}]}  # type: ignore[dict-item]


LIES = [
    ({"outputs": []}, "outputs: got [], expected a list of at least one tensor"),
    ([], "body: got [], expected a JSON object with outputs"),
    (b"{", "body: got b'{', expected JSON"),
    (b"[" * (1 << 21), "opening brackets, expected at most"),
    (output(name="z"), "outputs[0].name: got 'z', expected one of y"),
    (output(datatype="INT64"), "outputs[0].datatype: got 'INT64', expected FP32"),
    (output(shape=[1, 4], data=[1, 2, 3, 4]), "outputs[0].shape: got [1, 4], expected [-1, 3]"),
    (output(shape=[2, 3]), "outputs[0].data: got 3 values, expected 6, for shape [2, 3]"),
    (output(shape=[2**62, 3]), "outputs[0].data: got 3 values"),
    (output(data=["a", 2, 3]), "outputs[0].data[0]: got 'a', expected a number (FP32)"),
    (b" " * (1 << 22), "its answer has more than 3145728 bytes"),
]


@pytest.mark.parametrize(("answer", "text"), LIES, ids=[text[:40] for _, text in LIES])
def test_an_answer_that_is_not_as_the_metadata_say_is_an_error_of_the_node(
    pair: tuple[Stub, Any], answer: Any, text: str
) -> None:
    remote, server = pair
    remote.answers["/v2/models/far/infer"] = answer
    failed = server.infer(INPUT)
    assert failed.status == 502, failed.body
    assert failed.json["error"].startswith("node far: ")
    assert text in failed.json["error"]
    remote.answers["/v2/models/far/infer"] = GOOD
    assert server.infer(INPUT).json["outputs"] == GOOD["outputs"]


METADATA_LIES = [
    ([], "body: got [], expected a JSON object"),
    ({**METADATA, "inputs": {}, "outputs": "x"}, "outputs: got 'x', expected a list of at most 256 tensors"),
    ({**METADATA, "inputs": [{"name": "x", "datatype": "FP99", "shape": []}]}, "inputs[0].datatype: got 'FP99'"),
    ({**METADATA, "inputs": [{"name": "x", "datatype": "FP32", "shape": [-2]}]}, "inputs[0].shape: got [-2]"),
    ({**METADATA, "inputs": METADATA["inputs"] * 2}, "inputs[1].name: got 'x', expected unique names"),  # type: ignore[operator]
]


def test_metadata_that_nobody_can_read_are_named(start: Callable[..., Any], stub: Callable[..., Stub]) -> None:
    remote = stub(infer=GOOD)
    server = start(far(remote.endpoint, protocol="v2"))
    for metadata, text in METADATA_LIES:
        remote.answers["/v2/models/far"] = metadata
        server.wait(lambda text=text: f"node far: the metadata of model far: {text}" in reason(server))
    remote.answers["/v2/models/far"] = METADATA
    server.wait_ready()


def test_a_graph_that_served_waits_for_a_server_that_fits_again(
    start: Callable[..., Any], stub: Callable[..., Stub], publish_model: Callable[..., str]
) -> None:
    remote = stub(infer=GOOD)
    first = {"name": "first", "type": "TRANSFORMER", "modelUri": publish_model("s", onnx.scale(5.0, ["n", 3]))}
    server = start({**first, "children": [far(remote.endpoint, protocol="v2")]}).wait_ready()
    remote.answers["/v2/models/far"] = {**METADATA, "inputs": [{"name": "x", "datatype": "INT64", "shape": [-1, 3]}]}
    server.wait(lambda: reason(server) == "node far: input x: node first returns FP32, expected INT64")
    remote.answers["/v2/models/far"] = METADATA
    server.wait_ready()


def test_a_server_without_metadata_is_asked_all_the_same(start: Callable[..., Any], stub: Callable[..., Stub]) -> None:
    server = start(far(stub(metadata=(404, {"error": "what?"}), infer=GOOD).endpoint, protocol="v2")).wait_ready()
    assert server.infer(INPUT).json["outputs"] == GOOD["outputs"]


def test_statuses_of_a_remote_server_keep_their_meaning(pair: tuple[Stub, Any]) -> None:
    remote, server = pair
    for status, ours in ((400, 400), (422, 502), (503, 503), (504, 504), (500, 502), (302, 502)):
        remote.answers["/v2/models/far/infer"] = (status, {"error": "for a reason"})
        answer = server.infer(INPUT)
        expected = f"node far: /v2/models/far/infer answered {status}: 'for a reason'"
        assert (answer.status, answer.json["error"]) == (ours, expected)


def test_a_request_that_was_sent_is_never_sent_again(start: Callable[..., Any], stub: Callable[..., Stub]) -> None:
    remote = stub(infer=GOOD)
    server = start(far(remote.endpoint, protocol="v2", retries=3)).wait_ready()
    remote.answers["/v2/models/far/infer"] = None
    before = remote.requests.count("/v2/models/far/infer")
    assert server.infer(INPUT).status == 502
    assert remote.requests.count("/v2/models/far/infer") == before + 1


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
