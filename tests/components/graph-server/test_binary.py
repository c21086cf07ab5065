"""Binary tensors and compressed bodies of V2 over HTTP, on a real server."""

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support import onnx_models as onnx

VALUES = np.array([[1.0, 2.0, 4.0], [3.0, 0.5, 0.0]], np.float32)
RAW = VALUES.tobytes()


@pytest.fixture(scope="module")
def server(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """Return a ready server of one model, times 2, which accepts bodies of 64 KiB."""
    model = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    graph = {"name": "twice", "type": "MODEL", "modelUri": model}
    return start(graph, FAIRLEAD_MAX_BODY_BYTES=str(1 << 16)).wait_ready()


def post(server: Any, header: dict[str, Any], data: bytes = b"", length: Any = None, **headers: str) -> Any:
    """Send a JSON header and what follows it."""
    text = json.dumps(header).encode()
    sent = {"Inference-Header-Content-Length": str(len(text) if length is None else length), **headers}
    return server.post("/v2/models/digits/infer", text + data, sent)


def tensor(size: Any = 24, **changes: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": size}, **changes}


def read(answer: Any) -> tuple[dict[str, Any], bytes]:
    length = int(answer.headers["inference-header-content-length"])
    return json.loads(answer.body[:length]), answer.body[length:]


def test_bytes_in_are_answered_with_bytes_where_they_are_asked_for(server: Any) -> None:
    header = {"inputs": [tensor()], "parameters": {"binary_data_output": True}, "id": "a"}
    answer = post(server, header, RAW)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    document, data = read(answer)
    (output,) = document["outputs"]
    assert output == {"name": "scaled", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}}
    assert document["id"] == "a"
    np.testing.assert_array_equal(np.frombuffer(data, "<f4").reshape(2, 3), VALUES * 2)


def test_bytes_in_are_answered_with_json_otherwise(server: Any) -> None:
    answer = post(server, {"inputs": [tensor()]}, RAW)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["outputs"][0]["data"] == (VALUES * 2).ravel().tolist()


def test_an_output_says_for_itself_how_it_is_sent(server: Any) -> None:
    output = {"name": "scaled", "parameters": {"binary_data": False}}
    header = {"inputs": [tensor()], "parameters": {"binary_data_output": True}, "outputs": [output]}
    assert post(server, header, RAW).json["outputs"][0]["data"][0] == 2.0
    as_json = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    answer = server.infer(as_json, outputs=[{"name": "scaled", "parameters": {"binary_data": True}}])
    assert read(answer)[1] == struct.pack("<3f", 2, 4, 6)


def test_a_response_is_bounded_with_its_header_and_bytes_together(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    graph = {"name": "echo", "type": "MODEL", "modelUri": publish_model("echo", onnx.identity("INT8", ["n"]))}
    server = start(graph, FAIRLEAD_MAX_RESPONSE_BYTES="400").wait_ready()

    def ask(count: int) -> Any:
        value = tensor(count, datatype="INT8", shape=[count])
        return post(server, {"inputs": [value], "parameters": {"binary_data_output": True}}, bytes(count))

    assert len(read(ask(200))[1]) == 200
    answer = ask(390)
    assert (answer.status, answer.json["error"][:16]) == (422, "the response has")


def test_bytes_carry_what_json_cannot(server: Any) -> None:
    values = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    header = {"inputs": [tensor(12, shape=[1, 3])], "parameters": {"binary_data_output": True}}
    _, data = read(post(server, header, values.tobytes()))
    np.testing.assert_array_equal(np.frombuffer(data, "<f4"), values[0] * 2)
    del header["parameters"]
    assert post(server, header, values.tobytes()).status == 422


LIES = [
    (
        {"inputs": [tensor()]},
        RAW[:-1],
        None,
        "inputs[0].parameters.binary_data_size: got 24, expected a number of bytes",
    ),
    ({"inputs": [tensor()]}, RAW + b"x", None, "body: got 1 more bytes, expected as many as its tensors'"),
    ({"inputs": [tensor(20)]}, RAW, None, "inputs[0]: got 20 bytes, expected 24, for FP32 of shape [2, 3]"),
    ({"inputs": [tensor(-1)]}, RAW, None, "inputs[0].parameters.binary_data_size: got -1, expected a number"),
    ({"inputs": [tensor("24")]}, RAW, None, "inputs[0].parameters.binary_data_size: got '24', expected a number"),
    ({"inputs": [tensor(True)]}, RAW, None, "inputs[0].parameters.binary_data_size: got True, expected a number"),
    ({"inputs": [tensor(data=[1])]}, RAW, None, "inputs[0].data: got data, expected none next to binary_data_size"),
    ({"inputs": [tensor(shape=[2, 4])]}, RAW, None, "inputs[0].shape: got [2, 4], expected [-1, 3]"),
    ({"inputs": [tensor(shape=[2**62, 3])]}, RAW, None, "inputs[0]: got 24 bytes, expected 55340232221128654848"),
    ({"inputs": [tensor()]}, RAW, 9**9, "header Inference-Header-Content-Length: got 387420489, expected 1 to"),
    ({"inputs": [tensor()]}, RAW, 0, "header Inference-Header-Content-Length: got 0, expected 1 to"),
    ({"inputs": [tensor()]}, RAW, "-1", "header Inference-Header-Content-Length: got '-1', expected a number of bytes"),
    ({"inputs": [tensor()]}, RAW, 10, "body: got b'{\"inputs\":', expected JSON"),
    (
        {"inputs": [tensor()], "parameters": {"binary_data_output": 1}},
        RAW,
        None,
        "parameters.binary_data_output: got 1",
    ),
]


@pytest.mark.parametrize(("header", "data", "length", "reason"), LIES, ids=[reason[:50] for *_, reason in LIES])
def test_a_header_that_lies_is_rejected_by_field(
    server: Any, header: dict[str, Any], data: bytes, length: Any, reason: str
) -> None:
    answer = post(server, header, data, length)
    assert answer.status == 400
    assert answer.json["error"].startswith(reason)


def test_compressed_requests_are_answered_like_others(server: Any) -> None:
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}).encode()
    plain = server.post("/v2/models/digits/infer", body)
    for encoding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body)), ("identity", body)):
        answer = server.post("/v2/models/digits/infer", packed, {"Content-Encoding": encoding})
        assert (answer.status, answer.json) == (200, plain.json)


def test_long_responses_are_compressed_for_clients_that_accept_it(server: Any) -> None:
    rows = np.zeros((400, 3), np.float32)
    long = {"name": "x", "datatype": "FP32", "shape": [400, 3], "data": rows.ravel().tolist()}
    plain = server.post("/v2/models/digits/infer", {"inputs": [long]})
    for accepted, expected in (("gzip", "gzip"), ("deflate;q=0.5, br", "deflate"), ("gzip;q=0", None), ("br", None)):
        answer = server.post("/v2/models/digits/infer", {"inputs": [long]}, {"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == expected
        unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[expected]
        assert json.loads(unpack(answer.body)) == plain.json
    short = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    answer = server.post("/v2/models/digits/infer", {"inputs": [short]}, {"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


PACKED = [
    (gzip.compress(b" " * (1 << 16) + b"{}"), "gzip", "body: got more than 65536 bytes after decompression"),
    (gzip.compress(b"{}")[:-4], "gzip", "body: got the end of the body of gzip, expected one whole stream"),
    (gzip.compress(b"{}") + b"x", "gzip", "body: got bytes after the end of gzip, expected one whole stream"),
    (b"{}", "gzip", "body: got b'{}', expected gzip"),
    (b"{}", "br", "header Content-Encoding: got 'br', expected gzip, deflate or identity"),
]


@pytest.mark.parametrize(("body", "encoding", "reason"), PACKED, ids=[reason[:50] for *_, reason in PACKED])
def test_a_body_that_cannot_be_decompressed_is_rejected(server: Any, body: bytes, encoding: str, reason: str) -> None:
    answer = server.post("/v2/models/digits/infer", body, {"Content-Encoding": encoding})
    assert answer.status == 400
    assert answer.json["error"].startswith(reason)
