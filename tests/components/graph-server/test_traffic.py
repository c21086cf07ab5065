"""Split traffic over HTTP between real servers: shares, clients, feedback, versions, rejections."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import onnx_models as onnx
from tests.support.traffic import INFER, ROW, Split, environment, route


@pytest.fixture(scope="module")
def serve(start: Callable[..., Any], publish_model: Callable[..., str], folder: Path) -> Callable[..., Any]:
    """Return a function that serves a model, times a factor, as a revision."""

    def run(revision: str, factor: float, **more: str) -> Any:
        uri = publish_model(f"{revision}-{factor}", onnx.scale(factor, ["n", 3]))
        return start({"name": revision, "type": "MODEL", "modelUri": uri}, **environment(folder, revision, **more))

    return run


@pytest.fixture(scope="module")
def servers(serve: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the stable server, times 2, and the candidate's, times 3."""
    stable, candidate = serve("stable", 2.0), serve("next", 3.0)
    return stable.wait_ready(), candidate.wait_ready()


@pytest.fixture(scope="module")
def split(servers: tuple[Any, Any]) -> Split:
    """Return the traffic of the stable server."""
    return Split(servers[0])


@pytest.fixture
def candidate(servers: tuple[Any, Any], split: Split) -> Callable[..., dict[str, Any]]:
    """Return a function that makes a route to the candidate."""
    return lambda **shares: route(servers[1].port, **shares)


def factor_of(answer: Any) -> float:
    """Return by what the model that answered multiplies."""
    assert answer.status == 200, answer.body
    document = answer.json
    if "outputs" in document:
        return document["outputs"][0]["data"][0]
    (values,) = document["data"].get("ndarray") or [document["data"]["tensor"]["values"]]
    return values[0]


def test_each_revision_answers_its_share(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=25))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: servers[0].infer(ROW), range(200)))
    factors = Counter(map(factor_of, answers))
    assert 50 - 11 <= factors[3.0] <= 50 + 11  # three times as far off as the rotation is for 200 requests
    for answer in answers:
        assert answer.headers["fairlead-route"] == {2.0: "stable", 3.0: "candidate"}[factor_of(answer)]
    facts = split.facts()
    assert (facts.own.requests, facts.routes[0].counts.requests) == (factors[2.0], factors[3.0])
    assert (facts.own.errors, facts.routes[0].counts.errors) == (0, 0)
    assert sum(facts.routes[0].counts.latency) == factors[3.0]


def test_without_routes_nothing_is_added(servers: Any, split: Split) -> None:
    split.set()
    answer = servers[0].infer(ROW)
    assert factor_of(answer) == 2.0
    assert "fairlead-route" not in answer.headers
    assert split.facts().own.requests == 1


def test_an_answer_passes_in_every_form(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100))
    direct, through = servers[1], servers[0]
    rows = np.arange(3000, dtype="<f4").reshape(1000, 3)
    header = json.dumps({
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1000, 3], "parameters": {"binary_data_size": 12000}}],
        "parameters": {"binary_data_output": True}, "id": "7",
    }).encode()  # fmt: skip
    body = header + rows.tobytes()
    binary = {"Inference-Header-Content-Length": str(len(header))}
    packed = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    cases = [
        (INFER, json.dumps({"inputs": [ROW], "id": "7"}).encode(), {}),
        (INFER, body, binary),
        (INFER, gzip.compress(body), binary | packed),
        ("/api/v1.0/predictions", b'{"data": {"ndarray": [[1, 2, 4]]}}', {"Seldon-Puid": "p1"}),
        (
            "/api/v0.1/predictions",
            b'{"data": {"tensor": {"shape": [1, 3], "values": [1, 2, 4]}}}',
            {"Seldon-Puid": "p"},
        ),
        (INFER, b'{"inputs": []}', {}),
        (INFER, b"nothing", {}),
        ("/api/v1.0/predictions", b"nothing", {}),
    ]
    for path, content, headers in cases:
        expected, got = direct.post(path, content, headers), through.post(path, content, headers)
        assert (got.status, got.body) == (expected.status, expected.body)
        assert got.headers.pop("fairlead-route") == "candidate"
        assert got.headers == expected.headers
    counts = split.counts()
    assert (counts.requests, counts.errors) == (5, 0)  # the client's own errors are not counted


def test_a_client_stays_at_its_route_while_the_weight_rises(servers: Any, split: Split, candidate: Any) -> None:
    at: dict[int, set[int]] = {}
    for percent in (20, 50):
        split.set(candidate(percent=percent), sticky={"header": "X-User"})
        body = {"inputs": [ROW]}
        for _ in range(2):
            factors = [factor_of(servers[0].post(INFER, body, {"X-User": f"user-{user}"})) for user in range(40)]
            found = {user for user, factor in enumerate(factors) if factor == 3.0}
            assert at.setdefault(percent, found) == found
    assert set() < at[20] < at[50] < set(range(40))
    split.set(candidate(percent=50), sticky={"cookie": "id"})
    for user in (1, 2, 3):
        cookie = {"Cookie": f"a=b; id=user-{user}"}
        assert len({factor_of(servers[0].post(INFER, body, cookie)) for _ in range(4)}) == 1


def test_clients_without_the_header_are_decided_for_each_request(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=50), sticky={"header": "X-User"})
    assert {factor_of(servers[0].infer(ROW)) for _ in range(20)} == {2.0, 3.0}


def test_a_forwarded_request_is_not_forwarded_again(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100))
    back = Split(servers[1], "next")
    back.set(route(servers[0].port, "stable", percent=100))
    try:
        assert factor_of(servers[0].infer(ROW)) == 3.0
        assert factor_of(servers[1].infer(ROW)) == 2.0
        marked = servers[0].post(INFER, {"inputs": [ROW]}, {"Fairlead-Forwarded": "1"})
        assert factor_of(marked) == 2.0
    finally:
        back.set()


def test_a_request_for_a_version_is_answered_here(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100))
    (version,) = servers[0].get("/v2/models/digits").json["versions"]
    (other,) = servers[1].get("/v2/models/digits").json["versions"]
    path = "/v2/models/digits/versions/{}/infer"
    assert factor_of(servers[0].post(path.format(version), {"inputs": [ROW]})) == 2.0
    assert servers[0].post(path.format(other), {"inputs": [ROW]}).status == 404
    assert servers[0].post("/v2/models/other/infer", {"inputs": [ROW]}).status == 404
    assert split.counts().requests == 0


def test_an_answer_that_cannot_be_sent_is_an_error_of_its_route(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100))
    large = {**ROW, "data": [3e38, 0, 0]}
    answer = servers[0].infer(large)
    assert (answer.status, answer.headers["fairlead-route"]) == (422, "candidate")
    counts = split.counts()
    assert (counts.requests, counts.errors) == (1, 1)


def test_a_rejection_is_an_error_of_its_route_if_this_server_accepts_the_request(
    start: Any, servers: Any, split: Split, publish_model: Any, folder: Path
) -> None:
    uri = publish_model("wide", onnx.scale(3.0, ["n", 4]))
    wide = start({"name": "wide", "type": "MODEL", "modelUri": uri}, **environment(folder, "wide")).wait_ready()
    split.set(route(wide.port, percent=100))
    assert servers[0].infer(ROW | {"shape": [3], "data": [1, 2, 4]}).status == 400
    for _ in range(3):
        answer = servers[0].infer(ROW)
        assert (answer.status, answer.headers["fairlead-route"]) == (400, "candidate")
    servers[0].wait(lambda: split.counts().errors == 3, 30)
    assert split.counts().requests == 3
    for message in ({"data": {"ndarray": [[1, 2, 4]]}}, {"data": {"ndarray": [["a"]]}}):
        assert servers[0].predict(message).status == 400
    servers[0].wait(lambda: split.counts().errors == 4, 30)
    feedback = servers[0].post("/api/v1.0/feedback", b"nothing", {"Fairlead-Route": "candidate"})
    assert feedback.status == 400
    assert split.counts().requests == 4


# Feedback


LEAF = {"name": "only", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
ROUTER = {"name": "choose", "type": "ROUTER", "implementation": "SIMPLE_ROUTER", "children": [LEAF]}


def test_feedback_goes_to_the_revision_that_answered(start: Any, folder: Path) -> None:
    stable = start(ROUTER, **environment(folder, "stable"))
    other = start(ROUTER, **environment(folder, "next")).wait_ready()
    split = Split(stable.wait_ready())
    split.set(route(other.port, percent=50))
    message = {"data": {"ndarray": [[1.0]]}}
    expected: Counter[str] = Counter()
    for _ in range(10):
        answer = stable.predict(message)
        name = answer.headers["fairlead-route"]
        assert re.fullmatch(rf"[0-9a-f]{{32}}-{name}", answer.json["meta"]["puid"])
        assert answer.headers["seldon-puid"] == answer.json["meta"]["puid"]
        feedback = {"request": message, "response": answer.json, "reward": 1.0}
        assert stable.post("/api/v1.0/feedback", feedback).headers["fairlead-route"] == name
        packed = gzip.compress(json.dumps(feedback).encode())
        again = stable.post("/api/v1.0/feedback", packed, {"Content-Encoding": "gzip"})
        assert (again.status, again.headers["fairlead-route"]) == (200, name)
        expected[name] += 2
    assert set(expected) == {"stable", "candidate"}
    for server, name in ((stable, "stable"), (other, "candidate")):
        (line,) = [
            line for line in server.get("/metrics").body.decode().splitlines()
            if line.startswith("seldon_api_executor_server_requests_seconds_count") and 'service="feedback"' in line
        ]  # fmt: skip
        assert float(line.split()[-1]) == expected[name]
    assert split.counts().requests == expected["candidate"] // 2, "predictions only"
    split.set(route(other.port, percent=0))
    assert stable.post("/api/v1.0/feedback", feedback | {"response": {}}).headers["fairlead-route"] == "stable"
    named = stable.post("/api/v1.0/feedback", {"reward": 1.0}, {"Fairlead-Route": "candidate"})
    assert named.headers["fairlead-route"] == "candidate"
    assert stable.post("/api/v1.0/feedback", b"nothing").status == 400
