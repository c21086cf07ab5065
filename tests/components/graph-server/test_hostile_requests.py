"""Requests that used to end the server, or to be answered wrongly: each costs at most itself."""

import contextlib
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import onnx_models as onnx

INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}
PATH = "/v2/models/digits/infer"
BODY = json.dumps({"inputs": [INPUT]}).encode()


@pytest.fixture(scope="module")
def server(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """Return a ready server of one model, times 2, with short timeouts."""
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    times = {f"FAIRLEAD_{name}_TIMEOUT_SECONDS": "1" for name in ("HEADER", "BODY", "WRITE")}
    return start({"name": "twice", "type": "MODEL", "modelUri": uri}, **times).wait_ready()


@pytest.fixture
def divide(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """Return a server of a model that divides two integers; its first warm-up of ones succeeds."""
    ports = [("a", "INT64", ["n"]), ("b", "INT64", ["n"])]
    model = onnx.model([onnx.node("Div", ["a", "b"], ["c"])], ports, [("c", "INT64", ["n"])])
    return start({"name": "div", "type": "MODEL", "modelUri": publish_model("div", model)})


def division(server: Any, a: int, b: int) -> Any:
    pair = ({"name": name, "datatype": "INT64", "shape": [1], "data": [value]} for name, value in (("a", a), ("b", b)))
    return server.infer(*pair)


def rss(pid: int) -> int:
    """Return the resident memory of a process and its children, in MiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in (pid, *children)) * 4096 >> 20


def exchange(server: Any, *parts: bytes, half_close: bool = False) -> bytes:
    """Send bytes on a connection of their own; return everything until the server closes it."""
    with socket.create_connection((server.address, server.port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def test_a_valid_integer_division_becomes_ready_and_its_crash_costs_one_request(divide: Any) -> None:
    divide.wait_ready()
    assert division(divide, 7, 2).json["outputs"][0]["data"] == [3]
    stop = threading.Event()

    def ask_until_stopped() -> set[int]:
        seen = set()
        while not stop.is_set():
            answer = division(divide, 9, 3)
            seen.add(answer.status)
            assert answer.status != 200 or answer.json["outputs"][0]["data"] == [3]
        return seen

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(ask_until_stopped) for _ in range(4)]
        crashed = [division(divide, -(2**63), -1) for _ in range(2)]
        stop.set()
        assert [other.result() for other in others] == [{200}] * 4
    for answer in crashed:
        assert answer.status == 500
        assert "the model process was ended by SIGFPE" in answer.json["error"]
    assert division(divide, 7, 2).status == 200
    assert "model_process_restarts_total" in divide.get("/metrics").body.decode()


def test_health_is_answered_while_the_model_process_stands_still(server: Any) -> None:
    child = int(Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()[0])
    os.kill(child, signal.SIGSTOP)
    try:
        for path in ("/v2/health/live", "/v2/health/ready", "/metrics"):
            assert server.get(path).status == 200
    finally:
        os.kill(child, signal.SIGCONT)


def test_an_output_named_many_times_is_rejected_before_the_answer_is_built(server: Any) -> None:
    answer = server.infer(INPUT, outputs=[{"name": "scaled"}] * 40_000)
    assert (answer.status, answer.json["error"].endswith("expected a list of at most 256")) == (400, True)
    twice = server.infer(INPUT, outputs=[{"name": "scaled"}] * 2)
    assert (twice.status, twice.json["error"]) == (400, "outputs[1].name: got 'scaled', expected unique names")


def test_a_result_that_json_cannot_hold_names_its_output(server: Any) -> None:
    answer = server.infer({**INPUT, "data": [1, 3e38, 4]})
    assert answer.status == 422
    assert answer.json["error"] == "output scaled[1]: got inf, expected a finite number: JSON has no others"
    seldon = server.predict({"data": {"ndarray": [[1, 3e38, 4]]}})
    assert (seldon.status, seldon.json["status"]["reason"]) == (422, "UNPROCESSABLE")


CLIENT_FAULTS = [
    b'{"inputs":[{"name":[]}]}',
    json.dumps({"inputs": [{**INPUT, "datatype": []}]}).encode(),
    json.dumps({"inputs": [{**INPUT, "shape": [[]]}]}).encode(),
    b"[" * 1000 + b"]" * 1000,
    b"[" * 100_000,
    b'{"inputs":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"id":' + b"[" * 900 + b"]" * 900 + b', "inputs": []}',
    b"[" + b"[]," * 5_000_000 + b"[]]",
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("body", CLIENT_FAULTS, ids=range(len(CLIENT_FAULTS)))
def test_what_the_client_did_is_400(server: Any, body: bytes) -> None:
    assert server.post(PATH, body).status == 400
    assert server.post("/api/v1.0/predictions", body).status == 400


def test_deep_tags_are_rejected_and_moderate_ones_come_back(server: Any) -> None:
    def nest(depth: int) -> Any:
        value: Any = {}
        for _ in range(depth):
            value = {"a": value}
        return value

    ask = {"data": {"ndarray": [[1, 2, 4]]}}
    deep = server.predict({**ask, "meta": {"tags": nest(254)}})
    assert (deep.status, deep.json["status"]["info"]) == (
        400,
        "meta.tags: got nested objects, expected at most 32 levels",
    )
    assert server.predict({**ask, "meta": {"tags": nest(20)}}).json["meta"]["tags"] == nest(20)


HEAD = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LENGTH = f"Content-Length: {len(BODY)}\r\n".encode()
RAW = [
    (HEAD + LENGTH + LENGTH + b"\r\n" + BODY, 400, "two lengths"),
    (HEAD + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY, 400, "two lengths that differ"),
    (HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "a length and chunks"),
    (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "an encoding that is not supported"),
    (HEAD + b"Content-Length: \xb2\r\n\r\n", 400, "a length that is no number"),
    (HEAD.replace(b"Host: x\r\n", b"") + LENGTH + b"\r\n" + BODY, 400, "no host"),
    (HEAD + b"Host: y\r\n" + LENGTH + b"\r\n" + BODY, 400, "two hosts"),
    (HEAD + b"X: " + b"a" * 40_000 + b"\r\n" + LENGTH + b"\r\n" + BODY, 431, "long headers"),
    (HEAD + b"X: " + b"a" * 2**22, 431, "a header without end"),
    (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413, "a long body"),
    (HEAD + LENGTH + b"\r\n" + BODY[:-1], 408, "a body without its last byte"),
    (HEAD, 408, "headers without end"),
    (b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 400, "an upgrade without a host"),
    (b"nonsense\r\n\r\n", 400, "not HTTP"),
]


@pytest.mark.parametrize(("request_", "status", "reason"), RAW, ids=[reason for *_, reason in RAW])
def test_invalid_http_is_answered_with_its_status(server: Any, request_: bytes, status: int, reason: str) -> None:
    assert exchange(server, request_).startswith(f"HTTP/1.1 {status} ".encode())
    assert server.infer(INPUT).status == 200


def test_valid_http_is_answered(server: Any) -> None:
    whole = HEAD + LENGTH + b"\r\n" + BODY
    assert exchange(server, whole, half_close=True).startswith(b"HTTP/1.1 200 ")
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, bytes([byte])) for byte in BODY) + b"0\r\n\r\n"
    assert exchange(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunks, half_close=True).startswith(
        b"HTTP/1.1 200 "
    )
    three = exchange(server, whole + whole + whole, half_close=True)
    assert three.count(b"HTTP/1.1 200 ") == 3
    closing = exchange(server, HEAD + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY)
    assert b"Connection: close\r\n" in closing
    continued = exchange(server, HEAD + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n", BODY, half_close=True)
    assert continued.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_head_and_versions(server: Any) -> None:
    head, metadata = server.request("HEAD", "/v2/models/digits", None), server.get("/v2/models/digits")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(metadata.body)))
    (version,) = metadata.json["versions"]
    assert server.get(f"/v2/models/digits/versions/{version}").json == metadata.json
    assert server.get(f"/v2/models/digits/versions/{version}/ready").status == 200
    assert server.post(f"/v2/models/digits/versions/{version}/infer", BODY).status == 200
    other = server.post("/v2/models/digits/versions/7/infer", BODY)
    assert (other.status, other.json["error"]) == (404, f"version: got '7', expected '{version}'")


@pytest.fixture
def many(server: Any) -> Iterator[Callable[[int, bytes], list[socket.socket]]]:
    """Return a function that opens connections and sends the same bytes on each; they are closed after the test."""
    opened: list[socket.socket] = []

    def run(count: int, content: bytes) -> list[socket.socket]:
        for _ in range(count):
            connection = socket.socket()
            opened.append(connection)
            connection.settimeout(30)
            # the kernel would take a whole answer for a client that reads nothing
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.connect((server.address, server.port))
            with contextlib.suppress(OSError):  # answered and closed early
                opened[-1].sendall(content)
        return opened

    yield run
    for connection in opened:
        connection.close()


def test_many_incomplete_large_bodies_stay_within_the_budget(server: Any, many: Callable[..., Any]) -> None:
    large = 4 * 2**20
    many(100, HEAD + f"Content-Length: {large}\r\n\r\n".encode() + b" " * (large - 1))
    assert rss(server.process.pid) < 600
    assert server.infer(INPUT).status == 200


def test_slow_clients_of_every_kind_are_closed(server: Any, many: Callable[..., Any]) -> None:
    begin = time.monotonic()
    for content in (b"P", HEAD, HEAD + LENGTH + b"\r\n", HEAD + LENGTH + b"\r\n{"):
        opened = many(20, content)
        assert server.infer(INPUT).status == 200
    for connection in opened:
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        while answer:
            answer = connection.recv(65536)
    assert time.monotonic() - begin < 30


def test_clients_that_do_not_read_large_answers_are_closed(server: Any, many: Callable[..., Any]) -> None:
    values = np.ones(3 * 500_000).tolist()
    body = json.dumps({"inputs": [{**INPUT, "shape": [500_000, 3], "data": values}]}).encode()
    request = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    opened = many(4, request)
    server.wait(lambda: b"_in_flight 0.0" in server.get("/metrics").body, 30)
    # The write timeout of one second aborts them.
    for connection in opened:
        server.wait(lambda connection=connection: _is_closed(connection), 30)
    assert server.infer(INPUT).status == 200


def _is_closed(connection: socket.socket) -> bool:
    """Return whether the peer has closed a connection, without reading from it."""
    tcp_close, tcp_close_wait = 7, 8  # states in linux/tcp_states.h; the first byte of tcp_info is the state
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in (tcp_close, tcp_close_wait)


def test_one_client_cannot_take_all_connections(start: Callable[..., Any], publish_model: Callable[..., str]) -> None:
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    graph = {"name": "twice", "type": "MODEL", "modelUri": uri}
    server = start(graph, FAIRLEAD_MAX_CONNECTIONS="8", FAIRLEAD_MAX_CONNECTIONS_PER_CLIENT="6").wait_ready()
    opened = [socket.create_connection((server.address, server.port), timeout=30) for _ in range(7)]
    # An idle one was closed for the last.
    closed, _, _ = select.select(opened, [], [], 30)
    assert len(closed) == 1
    assert closed[0] is not opened[-1]
    assert server.infer(INPUT).status == 200
    for connection in opened:
        connection.close()
