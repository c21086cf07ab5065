"""Routes that fail cost their share and nothing else: refused, hanging, lying, wrong, endless, too many."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.traffic import make_pass

from tests.support import onnx_models as onnx
from tests.support.traffic import INFER, KEY, ROW, RawServer, Split, environment, http_answer, route


@pytest.fixture(scope="module")
def server(start: Callable[..., Any], publish_model: Callable[..., str], folder: Path) -> Any:
    """Return a ready server, times 2, that lets four requests be on their way to a route for three seconds."""
    graph = {"name": "twice", "type": "MODEL", "modelUri": publish_model("twice", onnx.scale(2.0, ["n", 3]))}
    limits = {
        "FAIRLEAD_RUN_TIMEOUT_SECONDS": "3", "FAIRLEAD_MAX_IN_FLIGHT": "16", "FAIRLEAD_MAX_RESPONSE_BYTES": "65536",
    }  # fmt: skip
    return start(graph, **environment(folder, "stable", **limits)).wait_ready()


@pytest.fixture
def split(server: Any) -> Iterator[Split]:
    """Return the server's traffic, with counts that begin with the test."""
    split = server.__dict__.setdefault("split", Split(server))
    split.set()
    yield split
    split.set()


def fail(server: Any, path: str = INFER, body: Any = None) -> tuple[int, str]:
    """Return the status and the error of a request that the route fails to answer."""
    answer = server.post(path, body or {"inputs": [ROW]})
    assert answer.headers["fairlead-route"] == "candidate"
    if path == INFER:
        return answer.status, answer.json["error"]
    return answer.status, answer.json["status"]["info"]


def test_a_request_whose_connection_is_refused_is_answered_here(
    server: Any, split: Split, free_port_of: Callable[[], int]
) -> None:
    split.set(route(free_port_of(), percent=100))
    answer = server.infer(ROW)
    assert (answer.status, answer.headers["fairlead-route"]) == (200, "stable")
    answer = server.post("/api/v1.0/predictions", {"data": {"ndarray": [[1, 2, 4]]}})
    assert (answer.status, answer.headers["fairlead-route"]) == (200, "stable")
    assert answer.json["meta"]["puid"].endswith("-stable")  # and so does its feedback go here
    counts = split.counts()
    assert (counts.requests, counts.errors) == (2, 2)
    assert split.facts().own.requests == 2


def test_feedback_whose_connection_is_refused_is_503(
    server: Any, split: Split, free_port_of: Callable[[], int]
) -> None:
    split.set(route(free_port_of(), percent=100))
    response = {"meta": {"puid": f"{'0' * 32}-candidate"}}
    answer = server.post("/api/v1.0/feedback", {"response": response, "reward": 1.0})
    assert answer.status == 503
    assert answer.json["status"]["info"].startswith("route candidate: no connection")


@pytest.mark.parametrize("host", ["a..b", ":", "-", "x" * 253, "1.2.3.4.5", "::g", "none.invalid"])
def test_requests_for_a_host_that_is_none_are_answered_here(server: Any, split: Split, host: str) -> None:
    split.set(route(80, percent=100) | {"host": host})
    answer = server.infer(ROW)
    assert (answer.status, answer.headers["fairlead-route"]) == (200, "stable")
    assert split.counts().errors == 1


def test_a_hanging_route_is_504_and_costs_only_its_share(server: Any, split: Split, hanging: int) -> None:
    split.set(route(hanging, percent=100))
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(server.infer, ROW) for _ in range(6)]
        server.wait(lambda: split.counts().errors >= 2)  # four wait, the others were sent back at once
        split.set(route(hanging, percent=50))
        answers = [server.infer(ROW) for _ in range(20)]
        first = [future.result() for future in waiting]
    own = [answer for answer in answers if answer.headers["fairlead-route"] == "stable"]
    assert len(own) >= 5
    assert {answer.status for answer in own} == {200}
    assert {answer.status for answer in answers} <= {200, 503, 504}
    assert sorted(answer.status for answer in first) == [503, 503, 504, 504, 504, 504]
    assert {answer.json["error"] for answer in first} == {
        "route candidate: no answer within 3 s",
        "route candidate: 4 requests are in flight, or use all memory for them; retry later",
    }
    facts = split.facts()
    assert facts.own.errors == 0
    assert facts.routes[0].counts.errors == facts.routes[0].counts.requests


def test_requests_whose_connection_is_never_accepted_are_answered_here(server: Any, split: Split) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()), socket.socket() as other:
            other.setblocking(False)
            other.connect_ex(full.getsockname())  # the kernel's queue is full
            split.set(route(full.getsockname()[1], percent=100))
            answer = server.infer(ROW)
    assert (answer.status, answer.headers["fairlead-route"]) == (200, "stable")
    assert split.counts().errors == 1


GARBAGE = [
    ("no HTTP", b"garbage\r\n\r\n", "no answer in HTTP"),
    ("nothing", b"", "no answer in HTTP"),
    ("a page", http_answer(b"<html>", content_type="text/html"), "answered 200 with 'text/html', expected"),
    ("no type", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "answered 200 with"),
    ("a redirect", http_answer(b"{}", "302 Found", "application/json", "Location: http://10.0.0.1/"), "answered 302"),
    ("less than it says", http_answer(b"{}", "200 A", "application/json", "Connection: close")[:-1], "no answer in"),
    ("more than may be", http_answer(b"[" + b" " * 70_000 + b"]"), "answered with more than 65536 bytes"),
    ("a wrong length", http_answer(b"{}").replace(b"Length: 2", b"Length: two"), "no answer in HTTP"),
    ("endless headers", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000, "no answer in HTTP"),
]


@pytest.mark.parametrize(("answer", "words"), [row[1:] for row in GARBAGE], ids=[row[0] for row in GARBAGE])
def test_what_is_no_answer_is_502(server: Any, split: Split, answer: bytes, words: str) -> None:
    with RawServer(answer) as liar:
        split.set(route(liar.port, percent=100))
        status, error = fail(server)
        assert status == 502
        assert error.startswith(f"route candidate: {words}")
        counts = split.counts()
        assert (counts.requests, counts.errors) == (1, 1)
        split.set(route(liar.port, percent=0))
    assert server.infer(ROW).status == 200


def test_an_endless_answer_ends_at_the_bound(server: Any, split: Split) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawServer(head + chunk * 1000) as liar:
        split.set(route(liar.port, percent=100))
        assert fail(server) == (502, "route candidate: answered with more than 65536 bytes")


@pytest.mark.parametrize("status", ["500 A", "503 B", "404 C", "422 D", "400 E"])
def test_errors_of_a_route_pass_and_are_counted(server: Any, split: Split, status: str) -> None:
    with RawServer(http_answer(b'{"error": "own words"}', status, "application/json", "Retry-After: 1")) as failing:
        split.set(route(failing.port, percent=100))
        assert fail(server) == (int(status[:3]), "own words")
        server.wait(lambda: split.counts().errors == 1, 30)  # after this server has accepted what was answered with 400
        assert split.counts().requests == 1


def test_a_route_sets_no_cookies_and_gets_none_of_others(server: Any, split: Split) -> None:
    with RawServer(http_answer(b"{}", "200 OK", "application/json", "Set-Cookie: a=b", "X-Evil: 1")) as liar:
        split.set(route(liar.port, percent=100))
        for _ in range(2):
            answer = server.infer(ROW)
            assert not {"set-cookie", "x-evil"} & answer.headers.keys()
        assert all(b"cookie" not in request.lower() for request in liar.requests)
        assert all(f"fairlead-forwarded: {make_pass(KEY)}".encode() in request.lower() for request in liar.requests)


def test_a_prediction_is_asked_again_once_on_a_broken_connection_and_feedback_never(server: Any, split: Split) -> None:
    with RawServer(b"") as breaking:
        split.set(route(breaking.port, percent=100))
        assert fail(server)[0] == 502
        assert len(breaking.requests) == 2
        answer = server.post("/api/v1.0/feedback", {"reward": 1}, {"Fairlead-Route": "candidate"})
        assert answer.status == 502
        assert len(breaking.requests) == 3
        assert split.counts().requests == 1


def test_bodies_on_their_way_are_bounded_in_bytes(start: Any, folder: Path) -> None:
    graph = {"name": "m", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
    server = start(graph, **environment(folder, "stable", FAIRLEAD_MEMORY_BYTES=str(1 << 30))).wait_ready()
    split, body = Split(server), b" " * (12 << 20)
    with RawServer() as slow, ThreadPoolExecutor(2) as pool:
        split.set(route(slow.port, percent=100))
        waiting = [pool.submit(server.post, INFER, body) for _ in range(2)]
        for _ in waiting:
            slow.wait_asked()
        # 64 MiB are for bodies, and half of them for routes
        assert fail(server, body=body)[0] == 503
        with ThreadPoolExecutor(1) as more:
            small = more.submit(server.infer, ROW)
            slow.wait_asked()
            slow.release(http_answer(b"{}"))
            assert small.result().status == 200
        assert [future.result().status for future in waiting] == [200, 200]
