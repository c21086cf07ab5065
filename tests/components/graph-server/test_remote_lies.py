"""Servers of the Open Inference Protocol that lie, fail or change: what they say is checked, and never believed."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support import onnx_models as onnx

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
