"""Copies of requests to other revisions: compared on the spot, bounded, and never in the way of live answers."""

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.traffic import make_pass

from tests.support import onnx_models as onnx
from tests.support.traffic import KEY, RawServer, Split, environment, http_answer, route

INFER, PREDICT = "/v2/models/digits/infer", "/api/v1.0/predictions"


@pytest.fixture(scope="module")
def serve(start: Callable[..., Any], publish_model: Callable[..., str], folder: Path) -> Callable[..., Any]:
    """Return a function that serves a model as a revision."""

    def run(revision: str, model: bytes, **more: str) -> Any:
        graph = {"name": revision, "type": "MODEL", "modelUri": publish_model(revision, model)}
        return start(graph, **environment(folder, revision, **more))

    return run


@pytest.fixture(scope="module")
def servers(serve: Callable[..., Any]) -> list[Any]:
    """Return servers of a model with two classes: times 2, times 3 (the same classes), times -1 (the others)."""
    factors = {"stable": 2.0, "same": 3.0, "other": -1.0}
    started = [serve(name, onnx.scale(factor, ["n", "m"])) for name, factor in factors.items()]
    return [server.wait_ready() for server in started]


@pytest.fixture(scope="module")
def split(servers: list[Any]) -> Split:
    """Return the traffic of the stable server."""
    return Split(servers[0])


def body(values: Any) -> bytes:
    array = np.array(values, np.float32)
    tensor = {"name": "x", "datatype": "FP32", "shape": array.shape, "data": array.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


def wait_compared(server: Any, split: Split, count: int, name: str = "shadow") -> Any:
    """Wait for comparisons, and return the route's facts."""
    server.wait(lambda: split.facts_of(name).agreement.compared >= count, 30)
    return split.facts_of(name)


def test_answers_are_compared_by_classes(servers: list[Any], split: Split) -> None:
    split.set(
        route(servers[1].port, "same", mirrorPercent=100), route(servers[2].port, "other", mirrorPercent=100)
    )  # fmt: skip
    for _ in range(5):
        answer = servers[0].post(INFER, body([[1, 2], [4, 3]]))
        assert answer.json["outputs"][0]["data"] == [2, 4, 8, 6]
        assert answer.headers["fairlead-route"] == "stable"
    same, other = (wait_compared(servers[0], split, 5, name) for name in ("same", "other"))
    assert (same.agreement.compared, same.agreement.agreed, same.agreement.max_distance) == (5, 5, 4.0)
    assert (other.agreement.compared, other.agreement.agreed, other.agreement.max_distance) == (5, 0, 12.0)
    for facts in (same, other):
        assert (facts.mirrored.requests, facts.mirrored.errors, facts.agreement.dropped) == (5, 0, 0)
        assert facts.counts.requests == 0
    assert split.facts().own.requests == 5
    metrics = servers[0].get("/metrics").body
    assert b'fairlead_graph_mirrored_requests_total{result="agreed",route="same"} 5.0' in metrics
    assert b'fairlead_graph_mirrored_requests_total{result="different",route="other"} 5.0' in metrics


def test_every_form_of_an_answer_is_compared(servers: list[Any], split: Split) -> None:
    split.set(route(servers[1].port, "shadow", mirrorPercent=100))
    array = np.array([[1, 2]], "<f4")
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    long = [[1.0, 2.0]] * 2000
    requests: list[tuple[str, bytes, dict[str, str]]] = [
        (INFER, header + array.tobytes(), {"Inference-Header-Content-Length": str(len(header))}),
        (INFER, gzip.compress(body([[1, 2]])), {"Content-Encoding": "gzip"}),
        (INFER, body(long), {"Accept-Encoding": "gzip"}),
        (PREDICT, json.dumps({"data": {"ndarray": [[1, 2]]}}).encode(), {}),
        (PREDICT, json.dumps({"data": {"tensor": {"shape": [1, 2], "values": [1, 2]}}}).encode(), {}),
    ]
    for count, (path, content, headers) in enumerate(requests, 1):
        answer = servers[0].post(path, content, headers)
        assert answer.status == 200
        facts = wait_compared(servers[0], split, count)
        assert (facts.agreement.agreed, facts.agreement.max_distance) == (count, 2.0)
    assert (facts.mirrored.requests, facts.mirrored.errors) == (5, 0)


def test_a_copy_has_the_puid_of_its_request(servers: list[Any], split: Split) -> None:
    with RawServer(http_answer(b"{}")) as shadow:
        split.set(route(shadow.port, "shadow", mirrorPercent=100))
        answer = servers[0].post(PREDICT, {"data": {"ndarray": [[1, 2]]}}, {"Accept-Encoding": "gzip"})
        shadow.wait_asked()
        request = shadow.requests[0].lower()
    assert f"seldon-puid: {answer.headers['seldon-puid']}".encode() in request
    assert f"fairlead-forwarded: {make_pass(KEY)}".encode() in request
    assert b"accept-encoding" not in request


def test_a_share_of_own_requests_is_mirrored(servers: list[Any], split: Split) -> None:
    split.set(
        route(servers[1].port, "candidate", percent=50), route(servers[1].port, "shadow", mirrorPercent=25)
    )  # fmt: skip
    for _ in range(80):
        assert servers[0].post(INFER, body([[1, 2]])).status == 200
    own = split.facts().own.requests
    servers[0].wait(lambda: in_flight_copies(split) >= own // 4 - 3, 30)
    facts = split.facts_of("shadow")
    assert abs(own - 40) <= 8
    assert abs(facts.mirrored.requests + facts.agreement.dropped - own / 4) <= 8


def in_flight_copies(split: Split) -> int:
    facts = split.facts_of("shadow")
    return facts.mirrored.requests + facts.agreement.dropped


def test_what_is_not_answered_is_not_mirrored(servers: list[Any], split: Split) -> None:
    split.set(route(servers[1].port, "shadow", mirrorPercent=100))
    assert servers[0].post(INFER, b"nothing").status == 400
    assert servers[0].post(INFER, body([[3e38, 0]])).status == 422
    assert servers[0].post("/api/v1.0/feedback", {"reward": 1.0}).status == 200
    marked = servers[0].post(INFER, body([[1, 2]]), {"Fairlead-Forwarded": "1"})
    assert marked.status == 200
    servers[0].post(INFER, body([[1, 2]]))
    facts = wait_compared(servers[0], split, 1)
    assert facts.mirrored.requests == 1


DIFFERENT = [
    ("an error", http_answer(b'{"error": "x"}', "500 A"), 1),
    ("what is wrong with the request", http_answer(b'{"error": "x"}', "400 A"), 1),
    ("no tensors", http_answer(b"{}"), 0),
    ("no JSON", http_answer(b"{"), 0),
    ("a wrong header", http_answer(b"{}", "200 A", "application/json", "Inference-Header-Content-Length: 9"), 0),
    ("no HTTP", b"garbage\r\n\r\n", 1),
    ("too much", http_answer(b"[" + b" " * (2 << 20) + b"]"), 1),
]


@pytest.mark.parametrize(("answer", "errors"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_a_wrong_answer_differs_and_an_error_is_counted(
    servers: list[Any], split: Split, answer: bytes, errors: int
) -> None:
    with RawServer(answer) as liar:
        split.set(route(liar.port, "shadow", mirrorPercent=100))
        assert servers[0].post(INFER, body([[1, 2]])).status == 200
        facts = wait_compared(servers[0], split, 1)
    assert (facts.agreement.compared, facts.agreement.agreed) == (1, 0)
    assert (facts.mirrored.requests, facts.mirrored.errors) == (1, errors)


def test_a_hanging_shadow_drops_copies_and_delays_nothing(servers: list[Any], split: Split, hanging: int) -> None:
    split.set(route(hanging, "shadow", mirrorPercent=100))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: servers[0].post(INFER, body([[1, 2]])), range(40)))
    assert {answer.status for answer in answers} == {200}
    facts = split.facts()
    assert (facts.own.requests, facts.own.errors) == (40, 0)
    assert facts.routes[0].agreement.dropped == 40 - 16  # what may be on its way
    assert facts.routes[0].mirrored.requests == 0


def test_an_answer_that_is_too_large_to_compare_is_dropped(servers: list[Any], split: Split) -> None:
    split.set(route(servers[1].port, "shadow", mirrorPercent=100))
    large = body(np.arange(200_000).reshape(-1, 2))
    assert servers[0].post(INFER, large).status == 200
    assert split.facts_of("shadow").agreement.dropped == 1
    # with a compressed answer, it shows only as it is compared
    zeros = body(np.zeros((200_000, 2)))
    assert servers[0].post(INFER, zeros, {"Accept-Encoding": "gzip"}).status == 200
    servers[0].wait(lambda: split.facts_of("shadow").agreement.dropped == 2, 30)
    assert split.facts_of("shadow").agreement.compared == 0


def test_texts_and_integers_are_compared_as_values(serve: Any) -> None:
    echo, shadow = (serve(name, onnx.identity("BYTES", ["n"])) for name in ("echo", "shade"))
    split = Split(echo.wait_ready(), "echo")
    split.set(route(shadow.wait_ready().port, "shadow", mirrorPercent=100))
    tensor = {"name": "x", "datatype": "BYTES", "shape": [2], "data": ["é", ""]}
    assert echo.infer(tensor).status == 200
    assert wait_compared(echo, split, 1).agreement.agreed == 1


def test_copies_on_their_way_do_not_hold_the_exit(serve: Any, hanging: int) -> None:
    server = serve("leaving", onnx.scale(2.0, ["n", "m"])).wait_ready()
    Split(server, "leaving").set(route(hanging, "shadow", mirrorPercent=100))
    assert server.post(INFER, body([[1, 2]])).status == 200
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
