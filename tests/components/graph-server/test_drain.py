"""SIGTERM: no request is lost, and none holds the exit beyond the grace."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import onnx_models as onnx

INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}
BODY = json.dumps({"inputs": [INPUT]}).encode()


@pytest.fixture
def graph(publish_model: Callable[..., str]) -> dict[str, Any]:
    return {"name": "m", "type": "MODEL", "modelUri": publish_model("m", onnx.scale(2.0, ["n", 3]))}


def test_pooled_connections_lose_no_request_in_repeated_drains(start: Callable[..., Any], graph: Any) -> None:
    for _ in range(4):
        server = start(graph, FAIRLEAD_DRAIN_SECONDS="1").wait_ready()
        begun = threading.Barrier(5)

        def ask_until_asked_to_close(server: Any = server, begun: threading.Barrier = begun) -> int:
            connection = http.client.HTTPConnection(server.address, server.port, timeout=30)
            for count in range(10_000):
                connection.request("POST", "/v2/models/digits/infer", BODY)
                response = connection.getresponse()
                assert (response.status, len(response.read()) > 0) == (200, True)
                if count == 5:
                    begun.wait(30)
                if response.getheader("Connection") == "close":
                    return count
                time.sleep(0.005)
            raise AssertionError("never asked to close")

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(ask_until_asked_to_close) for _ in range(4)]
            begun.wait(30)
            server.process.send_signal(signal.SIGTERM)
            assert all(client.result() >= 5 for client in clients)
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("grace", ["0.5", "0"])
def test_a_long_request_does_not_hold_the_exit_beyond_the_grace(
    start: Callable[..., Any], graph: Any, hanging: int, grace: str
) -> None:
    far = {"name": "far", "type": "MODEL", "endpoint": {"host": "127.0.0.1", "port": hanging, "type": "REST"}}
    server = start(far, FAIRLEAD_GRACE_SECONDS=grace, FAIRLEAD_NODE_TIMEOUT_SECONDS="600")
    server.wait(lambda: server.get("/v2/models/digits").status == 200)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.predict, {"data": {"ndarray": [[1.0]]}})
        server.wait(lambda: b"fairlead_graph_requests_in_flight 1.0" in server.get("/metrics").body, 30)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert time.monotonic() - begin < 20  # not the node's ten minutes
        answer = waiting.result()
    assert (answer.status, answer.json["status"]["reason"]) == (503, "SHUTTING_DOWN")


def test_a_store_that_does_not_answer_does_not_hold_the_exit(start: Callable[..., Any], hanging: int) -> None:
    store = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{hanging}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    server = start({"name": "m", "type": "MODEL", "modelUri": "s3://models/m"}, **store)
    server.wait(lambda: server.get("/v2/health/live").status == 200)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0  # the store's timeouts and retries take minutes


def test_a_model_that_is_being_loaded_does_not_hold_the_exit(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    uri = publish_model("slow", onnx.einsum("....i->->zz"))  # ONNX Runtime does not finish loading it
    server = start({"name": "m", "type": "MODEL", "modelUri": uri}, FAIRLEAD_LOAD_TIMEOUT_SECONDS="600")
    server.wait(lambda: server.get("/v2/health/live").status == 200)
    server.wait(lambda: len(children_of(server.process.pid)) == 1)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0


def test_a_run_has_a_deadline(start: Callable[..., Any], graph: Any) -> None:
    server = start(graph, FAIRLEAD_RUN_TIMEOUT_SECONDS="1").wait_ready()
    (child,) = children_of(server.process.pid)
    os.kill(child, signal.SIGSTOP)
    answer = server.infer(INPUT)
    assert (answer.status, answer.json["error"]) == (504, "the request ran into its deadline")
    server.wait(lambda: server.infer(INPUT).status == 200)
    assert server.stop() == 0


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_model_process_ends_with_the_server(start: Callable[..., Any], graph: Any) -> None:
    server = start(graph).wait_ready()
    (child,) = children_of(server.process.pid)
    server.process.kill()
    server.process.wait(30)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the model process still runs")
