"""Failures are counted with their status, and what is no valid manifest, graph or name ends with a reason."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts.manifest import MANIFEST_NAME

from tests.support import onnx_models as onnx

SERVER, CLIENT = "seldon_api_executor_server_requests_seconds", "seldon_api_executor_client_requests_seconds"
GOOD = onnx.scale(2.0, ["rows", 3])
INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}


def count_by_code(server: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Return how often each status was counted, of requests to the server and of its calls to nodes."""
    text = server.get("/metrics").body.decode()

    def read(name: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for labels, value in re.findall(rf"^{name}_count{{(.*)}} (\S+)$", text, re.MULTILINE):
            code = re.findall(r'code="(\d+)"', labels)[0]
            counts[code] = counts.get(code, 0) + int(float(value))
        return counts

    return read(SERVER), read(CLIENT)


def gather() -> bytes:
    """A model that returns the entries of a table of three at its input's indices, and divides the input by -1."""
    tensors = [onnx.tensor("table", np.arange(3, dtype=np.float32)), onnx.tensor("minus", np.array(-1, np.int64))]
    nodes = [onnx.node("Gather", ["table", "i"], ["y"]), onnx.node("Div", ["i", "minus"], ["z"])]
    return onnx.model(nodes, [("i", "INT64", ["n"])], [("y", "FP32", ["n"]), ("z", "INT64", ["n"])], tensors)


def test_what_the_model_rejects_counts_as_400_of_the_server_and_of_its_node(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    server = start({"name": "look", "type": "MODEL", "modelUri": publish_model("look", gather())}).wait_ready()
    ask = {"name": "i", "datatype": "INT64", "shape": [1]}
    assert [server.infer({**ask, "data": [value]}).status for value in (2, 7, 9)] == [200, 400, 400]
    # The warm-up is a call to the node, and no request to the server.
    assert count_by_code(server) == ({"200": 1, "400": 2}, {"200": 2, "400": 2})


def test_what_json_cannot_hold_and_what_nobody_can_parse_count_for_the_server_only(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    server = start({"name": "twice", "type": "MODEL", "modelUri": publish_model("twice", GOOD)}).wait_ready()
    assert server.infer({**INPUT, "data": [1, 3e38, 4]}).status == 422
    assert server.predict({"data": {"ndarray": [[1, 3e38, 4]]}}).status == 422
    assert server.post("/v2/models/digits/infer", b"{").status == 400
    assert count_by_code(server) == ({"422": 2, "400": 1}, {"200": 3})


def test_a_request_that_ends_the_model_process_counts_as_500(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    ports = [("a", "INT64", ["n"]), ("b", "INT64", ["n"])]
    model = onnx.model([onnx.node("Div", ["a", "b"], ["c"])], ports, [("c", "INT64", ["n"])])
    server = start({"name": "div", "type": "MODEL", "modelUri": publish_model("div", model)}).wait_ready()
    pair = (
        {"name": name, "datatype": "INT64", "shape": [1], "data": [value]}
        for name, value in (("a", -(2**63)), ("b", -1))
    )
    assert server.infer(*pair).status == 500
    assert count_by_code(server)[0] == {"500": 1}


def test_the_node_that_ends_the_model_process_is_named(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    ports = [(name, "INT64", ["n"]) for name in "ab"]
    pass_on = onnx.model([onnx.node("Identity", [f"{name}_in"], [name]) for name in "ab"],
                         [(f"{name}_in", kind, shape) for name, kind, shape in ports], ports)  # fmt: skip
    divide = onnx.model([onnx.node("Div", ["a", "b"], ["c"])], ports, [("c", "INT64", ["n"])])
    graph = {"name": "div", "type": "MODEL", "modelUri": publish_model("div", divide)}
    graph = {"name": "pass", "type": "TRANSFORMER", "modelUri": publish_model("pass", pass_on), "children": [graph]}
    server = start(graph).wait_ready()

    def ask(a: int, b: int) -> Any:
        pair = (("a_in", a), ("b_in", b))
        return server.infer(*({"name": n, "datatype": "INT64", "shape": [1], "data": [value]} for n, value in pair))

    assert ask(7, 2).json["outputs"][0]["data"] == [3]
    for _ in range(2):  # also of the process that replaces the first
        answer = ask(-(2**63), -1)
        assert (answer.status, answer.json["error"].endswith(" while it ran this request; what ran: node div")) == (
            500,
            True,
        )
    assert '"running": ["node div"]' in server.log.read_text()


@pytest.mark.parametrize(("answers", "status"), [(False, "502"), (True, "504")])
def test_a_remote_node_that_fails_counts_with_the_status_of_its_failure(
    start: Callable[..., Any], hanging: int, free_port_of: Callable[[], int], answers: bool, status: str
) -> None:
    endpoint = {"host": "127.0.0.1", "port": hanging if answers else free_port_of(), "type": "REST"}
    server = start({"name": "far", "type": "MODEL", "endpoint": endpoint}, FAIRLEAD_NODE_TIMEOUT_SECONDS="0.3")
    server.wait(lambda: server.get("/v2/models/digits").status == 200)
    assert server.predict({"data": {"ndarray": [[1.0]]}}).status == int(status)
    assert count_by_code(server) == ({status: 1}, {status: 1})


def end_of(server: Any, termination: Path) -> str:
    """Return the reason with which a server has ended, which has to be one, and no trace."""
    assert server.process.wait(60) == 1, server.log.read_text()
    assert "raceback" not in server.log.read_text()
    return str(json.loads(termination.read_text())["failure"]["message"])


MANIFESTS = [
    (b'"parameters":{}', b'"parameters":{"loss":NaN}', "not JSON: NaN is not valid JSON"),
    (b'"parameters":{}', b'"parameters":{"loss":-Infinity}', "not JSON: -Infinity is not valid JSON"),
    (b'"parameters":{}', b'"parameters":{"loss":1e999}', "canonical JSON"),
    (b'"producer":"tests/0"', b'"producer":"tests\xff\xfe"', "not JSON: 'utf-8' codec"),
    (b'"producer":"tests/0"', b'"producer":"\\ud800"', "a printable string"),
    (b'"path":"model.onnx"', b'"path":"mod\\udcff.onnx"', "a printable string"),
    (b'"path":"model.onnx"', b'"path":"model\xff.onnx"', "codec can't decode"),
]


@pytest.mark.parametrize(("old", "new", "reason"), MANIFESTS, ids=range(len(MANIFESTS)))
def test_a_manifest_with_nan_or_names_that_are_not_utf8_ends_with_a_reason(
    start: Callable[..., Any], publish_model: Callable[..., str], tmp_path: Path, old: bytes, new: bytes, reason: str
) -> None:
    uri, termination = publish_model("bad", GOOD), tmp_path / "termination"
    manifest = Path(uri.removeprefix("file://")) / MANIFEST_NAME
    content = manifest.read_bytes()
    assert old in content
    manifest.write_bytes(content.replace(old, new))
    server = start({"name": "m", "type": "MODEL", "modelUri": uri}, FAIRLEAD_TERMINATION_LOG=str(termination))
    message = end_of(server, termination)
    assert message.startswith(f"node m: modelUri {uri}")
    assert reason in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"deployment": NaN}', "deployment: got nan, expected a string"),
        (b'{"deployment": "\xff\xfe"}', "graph.json: got invalid JSON, expected JSON ("),
        (b'{"deployment": "\\ud800"}', "graph.json: got invalid JSON, expected JSON ("),
    ],
)
def test_a_graph_with_nan_or_a_name_that_is_not_utf8_ends_with_a_reason(
    start: Callable[..., Any], tmp_path: Path, content: bytes, reason: str
) -> None:
    termination = tmp_path / "termination"
    server = start(content, FAIRLEAD_TERMINATION_LOG=str(termination))
    assert end_of(server, termination).startswith(reason)


@pytest.mark.parametrize("name", [b"scaled", b"factor", b"Mul", b"graph", b"rows"])
def test_a_name_in_a_model_that_is_not_utf8_ends_with_a_reason_or_is_not_needed(
    start: Callable[..., Any], publish_model: Callable[..., str], tmp_path: Path, name: bytes
) -> None:
    model, termination = GOOD.replace(name, b"\xff\xfe" + name[2:]), tmp_path / "termination"
    assert model != GOOD
    graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("bad", model)}
    server = start(graph, FAIRLEAD_TERMINATION_LOG=str(termination))
    if name in (b"graph", b"factor"):
        server.wait_ready()
        assert server.infer(INPUT).status == 200
        assert server.get("/v2/models/digits").status == 200
        assert "raceback" not in server.log.read_text()
    else:
        assert end_of(server, termination).startswith("node m: modelUri ")
