"""SIGTERM at either side of a split: no request is lost, and none holds the exit beyond the grace."""

import http.client
import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import onnx_models as onnx
from tests.support.traffic import INFER, ROW, RawServer, Split, environment, http_answer, route


@pytest.fixture(scope="module")
def serve(start: Callable[..., Any], publish_model: Callable[..., str], folder: Path) -> Callable[..., Any]:
    """Return a function that serves a model, times a factor, as a revision."""

    def run(revision: str, factor: float, **more: str) -> Any:
        uri = publish_model(f"{revision}-{factor}", onnx.scale(factor, ["n", 3]))
        return start({"name": revision, "type": "MODEL", "modelUri": uri}, **environment(folder, revision, **more))

    return run


@pytest.fixture
def slow() -> Iterator[RawServer]:
    """Return a server that answers only when it is told to."""
    with RawServer() as server:
        yield server


def test_no_request_is_lost_while_the_candidate_drains_and_another_comes(
    serve: Any,
) -> None:
    stable, leaving, staying = (
        serve("stable", 2.0),
        serve("leaving", 4.0, FAIRLEAD_DRAIN_SECONDS="1"),
        serve("next", 3.0),
    )
    for server in (stable, leaving, staying):
        server.wait_ready()
    split = Split(stable)
    split.set(route(leaving.port, percent=100))
    over = threading.Event()

    def ask() -> list[tuple[int, float]]:
        connection, found = http.client.HTTPConnection("127.0.0.1", stable.port, timeout=30), []
        while not over.is_set():
            connection.request("POST", INFER, json.dumps({"inputs": [ROW]}))
            response = connection.getresponse()
            found.append((response.status, json.loads(response.read())["outputs"][0]["data"][0]))
        return found

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(ask) for _ in range(4)]
        try:
            leaving.wait(lambda: split.counts().requests > 50)
            leaving.process.send_signal(signal.SIGTERM)
            split.set(route(staying.port, percent=100))
            staying.wait(lambda: split.counts().requests > 50 and leaving.process.poll() is not None)
        finally:
            over.set()
        answers = list(itertools.chain.from_iterable(future.result() for future in running))
    assert {status for status, _ in answers} == {200}
    assert {factor for _, factor in answers} == {3.0, 4.0}
    assert leaving.process.wait(30) == 0
    assert split.counts().errors == 0


def test_a_forwarded_request_is_finished_before_the_server_exits(serve: Any, slow: RawServer) -> None:
    server = serve("exiting", 2.0).wait_ready()
    Split(server, "exiting").set(route(slow.port, percent=100))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.infer, ROW)
        slow.wait_asked()
        server.process.send_signal(signal.SIGTERM)
        server.wait(lambda: server.get("/v2/health/ready").status == 503)
        slow.release(http_answer(b'{"late": true}'))
        answer = waiting.result(30)
    assert (answer.status, answer.json) == (200, {"late": True})
    assert server.process.wait(30) == 0


def test_a_hanging_route_does_not_hold_the_exit_beyond_the_grace(serve: Any, slow: RawServer) -> None:
    server = serve("impatient", 2.0, FAIRLEAD_GRACE_SECONDS="0.5").wait_ready()
    split = Split(server, "impatient")
    split.set(route(slow.port, percent=100))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.infer, ROW)
        slow.wait_asked()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        answer = waiting.result(30)
    assert (answer.status, answer.json["error"]) == (503, "the server is shutting down; retry")
