"""API keys over HTTP on a real server: who is admitted, what all others learn and cost, and what stays open."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.devices import PATH as DEVICES_PATH
from fairlead_contracts.monitor import PATH as MONITOR_PATH
from fairlead_contracts.traffic import PATH as TRAFFIC_PATH
from fairlead_graph.auth.guard import _find_limit

from tests.support import onnx_models as onnx
from tests.support.traffic import INFER, ROW

KEY, OTHER, WRONG = "the-key-of-the-tests", "another-key-of-the-tests", "a-key-that-is-not-known"
BEARER, API_KEY = {"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}
PROBLEM = "API key: expected a known one, as Authorization: Bearer <key> or X-API-Key: <key>"
SELDON_FAILURE = {"status": {"code": 401, "info": PROBLEM, "reason": "UNAUTHENTICATED", "status": "FAILURE"}}
PREDICTION = {"data": {"ndarray": [[1, 2, 4]]}}


@pytest.fixture(scope="module")
def keys(folder: Path) -> Path:
    """Return the file of the server's keys."""
    path = folder / "api-keys"
    path.write_text(f"# of the tests\n{KEY}\n")
    return path


@pytest.fixture(scope="module")
def server(start: Callable[..., Any], publish_model: Callable[..., str], keys: Path) -> Any:
    """Return a server that asks for keys."""
    graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("m", onnx.scale(2.0, ["n", 3]))}
    return start(graph, FAIRLEAD_API_KEYS_FILE=str(keys)).wait_ready()


def metric(server: Any, series: str) -> float:
    """Read a metric."""
    lines = server.get("/metrics").body.decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} "))


@pytest.mark.parametrize(
    "headers",
    [
        BEARER, API_KEY, BEARER | API_KEY, {"authorization": f"bearer   {KEY}"},
        {"Authorization": "Basic YTpi", **API_KEY}, {"X-API-Key": WRONG, **BEARER},
    ],
)  # fmt: skip
def test_a_known_key_is_admitted_in_either_header(server: Any, headers: dict[str, str]) -> None:
    for path, body in (
        (INFER, {"inputs": [ROW]}), ("/api/v1.0/predictions", PREDICTION), ("/predict", PREDICTION),
        ("/v1/models/digits:predict", {"instances": [[1, 2, 4]]}),
    ):  # fmt: skip
        answer = server.post(path, body, headers)
        assert answer.status == 200, answer.body
    assert server.request("GET", "/v2/models/digits", None, headers).json["name"] == "digits"


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": f"Bearer {WRONG}"}, {"X-API-Key": WRONG}, {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": KEY}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer"}, {"X-API-Key": ""},
        {"X-API-Key": "x" * 9000}, {"X-API-Key": f"{KEY},{KEY}"}, {"Cookie": f"X-API-Key={KEY}"},
        {"Fairlead-Forwarded": "1"}, {"Fairlead-Forwarded": KEY},
    ],
)  # fmt: skip
def test_all_others_get_the_same_answer_in_the_words_of_the_protocol(server: Any, headers: dict[str, str]) -> None:
    for path, expected in (
        (INFER, {"error": PROBLEM}),
        ("/v2/models/other/infer", {"error": PROBLEM}),
        ("/v1/models/digits:predict", {"error": PROBLEM}),
        ("/api/v1.0/predictions", SELDON_FAILURE),
        ("/api/v1.0/feedback", SELDON_FAILURE),
        ("/predict", SELDON_FAILURE),
        ("/nowhere", {"error": PROBLEM}),
        (TRAFFIC_PATH, {"error": PROBLEM}),
    ):
        answer = server.post(path, {"inputs": [ROW]}, headers)
        assert (answer.status, answer.json) == (401, expected)
        assert answer.headers["www-authenticate"] == 'Bearer realm="fairlead"'
    for path in ("/v2", "/v2/models/digits", "/v1/models/digits", "/nowhere"):
        assert server.request("GET", path, None, headers).json == {"error": PROBLEM}
    assert server.request("DELETE", INFER, None, headers).status == 401
    head = server.request("HEAD", "/v2/models/digits", None, headers)
    assert (head.status, head.headers["content-length"]) == (401, "0")


def test_health_and_metrics_are_open(server: Any) -> None:
    for path in (
        "/v2/health/live", "/v2/health/ready", "/health/ping", "/health/status", "/v2/models/digits/ready", "/metrics",
    ):  # fmt: skip
        assert server.get(path).status == 200, path


@pytest.mark.parametrize(
    ("method", "path", "is_open"),
    [
        ("GET", TRAFFIC_PATH, True), ("PUT", TRAFFIC_PATH, True), ("POST", TRAFFIC_PATH, False),
        ("GET", MONITOR_PATH, True), ("POST", MONITOR_PATH, False), ("POST", "/metrics", False),
        ("GET", DEVICES_PATH, True), ("POST", DEVICES_PATH, False),
        ("GET", "/v2/models/m/versions/1/ready", True), ("POST", "/v2/models/m/ready", False),
        ("GET", "/v2/models/ready", False), ("GET", "/v2/models/m/versions/ready/", False),
        ("GET", "/v2/models/a/b/c/ready", False), ("GET", "/v2/models/m/ready\n", False),
        ("GET", "//metrics", False), ("GET", "/metrics/../v2/models/m", False),
    ],
)  # fmt: skip
def test_only_what_is_listed_is_open(method: str, path: str, is_open: bool) -> None:
    assert (_find_limit(method, path) is not None) is is_open


def test_a_body_is_neither_asked_for_nor_awaited(server: Any) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head.encode())
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"100 Continue" not in answer
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("method", "path", "length"),
    [("GET", "/metrics", 1), ("HEAD", "/v2/health/ready", 1), ("GET", "/v2/models/digits/ready", 1),
     ("PUT", TRAFFIC_PATH, (64 << 10) + 1)],
)  # fmt: skip
def test_no_memory_is_kept_for_bodies_without_a_key(server: Any, method: str, path: str, length: int) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n"
    for framing, body in (
        (f"Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n", b""),
        ("Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % length + b"x" * length + b"\r\n"),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall((head + framing).encode() + body)
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 413 "), answer
        assert b"100 Continue" not in answer


def test_a_stranger_behind_a_client_on_one_connection_is_rejected(server: Any) -> None:
    body = json.dumps({"inputs": [ROW]}).encode()
    first = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    second = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(first.encode() + body + second.encode() + body)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"401"]


def test_only_the_first_header_of_a_name_is_a_guess(server: Any) -> None:
    head = f"GET /v2/models/digits HTTP/1.1\r\nHost: a\r\nX-API-Key: {WRONG}\r\nX-API-Key: {KEY}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_rejections_are_counted_and_in_no_other_series(server: Any) -> None:
    rejected = "fairlead_graph_unauthenticated_requests_total"
    before = [metric(server, f'{rejected}{{reason="{reason}"}}') for reason in ("missing", "unknown")]
    server.infer(ROW)
    for _ in range(2):
        server.post(INFER, {}, {"X-API-Key": WRONG})
    after = [metric(server, f'{rejected}{{reason="{reason}"}}') for reason in ("missing", "unknown")]
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 2]
    assert metric(server, "fairlead_graph_api_keys") == 1
    assert 'code="401"' not in server.get("/metrics").body.decode()


def test_keys_rotate_while_the_server_runs(server: Any, keys: Path) -> None:
    def status(key: str) -> int:
        return int(server.post(INFER, {"inputs": [ROW]}, {"X-API-Key": key}).status)

    keys.write_text(f"{KEY}\n{OTHER}\n")
    server.wait(lambda: status(OTHER) == 200)
    assert status(KEY) == 200
    keys.write_text(f"{OTHER}\ntoo-short\n")
    server.wait(lambda: status(KEY) == 401)
    assert (status(OTHER), status("too-short")) == (200, 401)
    keys.write_text(f"{KEY}\n")
    server.wait(lambda: status(KEY) == 200)
    assert status(OTHER) == 401


def test_nothing_secret_is_logged(server: Any) -> None:
    for key in (KEY, OTHER, WRONG):
        server.post(INFER, b"nothing", {"X-API-Key": key})
    log = server.log.read_text()
    assert "line 2: got a key of 9 characters" in log  # of the test before
    assert not any(secret in log for secret in (KEY, OTHER, WRONG, "too-short"))


def test_a_server_whose_keys_are_invalid_ends_with_the_line(start: Any, folder: Path, publish_model: Any) -> None:
    path, report = folder / "bad-keys", folder / "termination"
    path.write_text(f"{KEY}\ntoo-short\n")
    graph = {"name": "m", "type": "MODEL", "modelUri": publish_model("m", onnx.scale(2.0, ["n", 3]))}
    server = start(graph, FAIRLEAD_API_KEYS_FILE=str(path), FAIRLEAD_TERMINATION_LOG=str(report))
    assert server.process.wait(60) == 1
    problem = f"FAIRLEAD_API_KEYS_FILE: {path}: line 2: got a key of 9 characters, expected 16 to 512"
    assert json.loads(report.read_text())["failure"]["message"] == problem
    assert not any(secret in server.log.read_text() + report.read_text() for secret in (KEY, "too-short"))
