"""Limits: a body that is too large, more requests than allowed, and a flood of mixed requests."""

import http.client
import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from tests.support import onnx_models as onnx

HEADERS = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}


def test_a_body_over_the_limit_is_rejected_announced_or_not(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("m", onnx.scale(2.0, ["n", 3]))}
    server = start(graph, FAIRLEAD_MAX_BODY_BYTES="2000").wait_ready()
    body = json.dumps({"inputs": [INPUT], "parameters": {"pad": "x" * 3000}}).encode()
    rejected = server.post("/v2/models/digits/infer", body)
    assert rejected.status == 413
    assert rejected.json["error"] == f"body: got {len(body)} bytes, expected at most 2000"

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/v2/models/digits/infer", iter([body[:1500], body[1500:]]), encode_chunked=True)
    assert connection.getresponse().status == 413
    assert server.infer(INPUT).status == 200


def test_a_request_over_the_limit_is_asked_to_retry_later(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("m", onnx.scale(2.0, ["n", 3]))}
    server = start(graph, FAIRLEAD_MAX_IN_FLIGHT="1").wait_ready()
    # A stopped model process keeps the only place occupied.
    (child,) = children_of(server.process.pid)
    os.kill(child, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.infer, INPUT)
        server.wait(lambda: b"fairlead_graph_requests_in_flight 1.0" in server.get("/metrics").body, 10)
        rejected = server.infer(INPUT)
        assert (rejected.status, rejected.headers["retry-after"]) == (503, "1")
        assert server.get("/v2/health/ready").status == 200
        os.kill(child, signal.SIGCONT)
        assert waiting.result().status == 200
    assert server.infer(INPUT).status == 200


def test_an_incomplete_request_takes_no_place(start: Callable[..., Any], publish_model: Callable[..., str]) -> None:
    graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("m", onnx.scale(2.0, ["n", 3]))}
    server = start(graph, FAIRLEAD_MAX_IN_FLIGHT="1").wait_ready()
    with ExitStack() as stack:
        for start_of_request in (HEADERS, HEADERS + b"\r\n", HEADERS + b"\r\n{", b"POST"):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            slow.sendall(start_of_request)
        assert server.infer(INPUT).status == 200


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_request_whose_body_does_not_arrive_times_out(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("m", onnx.scale(2.0, ["n", 3]))}
    server = start(graph, FAIRLEAD_MAX_IN_FLIGHT="1", FAIRLEAD_BODY_TIMEOUT_SECONDS="0.5").wait_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
        assert server.infer(INPUT).status == 200


def test_many_clients_get_their_own_answers_and_only_theirs(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    weights = {"w": np.eye(3, dtype=np.float32), "b": np.zeros(3, np.float32)}
    child = {"name": "same", "type": "MODEL", "modelUri": publish_model("same", onnx.linear(weights))}
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    server = start({"name": "twice", "type": "TRANSFORMER", "modelUri": uri, "children": [child]}).wait_ready()
    seen: Counter[int] = Counter()
    lock = threading.Lock()

    def ask(number: int) -> None:
        wrong = number % 5 == 0
        values = ["x"] * 3 if wrong else [number, number + 1, number + 2]
        answer = server.infer({**INPUT, "data": values})
        with lock:
            seen[answer.status] += 1
        if not wrong:
            assert answer.json["outputs"][0]["data"] == [2.0 * value for value in values]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(400)))
    assert seen == {200: 320, 400: 80}
