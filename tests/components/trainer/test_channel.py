"""The authenticated channel: accepted and rejected requests."""

import http.client
import json
import secrets
import socket
import time
from collections.abc import Iterator

import pytest
from fairlead_contracts.environment import TimingEnvironment
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.channel import (
    CLOCK_SKEW,
    DIGEST,
    NONCE,
    SIGNATURE,
    TIME,
    RequestGuard,
    Sender,
    is_answer_genuine,
    matches_digest,
    sign_answer,
)
from fairlead_trainer.client import ChannelError, LauncherClient, RequestRejected
from fairlead_trainer.coordinator import Coordinator
from fairlead_trainer.membership import Bounds
from fairlead_trainer.server import LauncherServer
from fairlead_trainer.settings import Timing
from fairlead_trainer.state import Run

KEY, NOW = secrets.token_bytes(32), 1_800_000_000.0
REGISTER = {"worker": 0, "attempt": 0, "instance": "a", "slots": 1, "address": "127.0.0.1", "interface": "lo"}


def sign(method: str, path: str, body: bytes) -> dict[str, str]:
    return Sender(KEY).sign(method, path, body, NOW)


def test_a_signed_request_passes_once() -> None:
    guard = RequestGuard(KEY)
    headers = sign("POST", "/v1/register", b"{}")
    assert guard.rejection("POST", "/v1/register", headers, NOW) is None
    assert matches_digest(b"{}", headers)
    assert guard.rejection("POST", "/v1/register", headers, NOW + 1) == "the request was replayed"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/a"), ("POST", "/b"), ("POST", "/ax")])
def test_a_signature_matches_one_method_and_path(method: str, path: str) -> None:
    rejection = RequestGuard(KEY).rejection(method, path, sign("POST", "/a", b"x"), NOW)
    assert rejection == "the signature does not match this job's key"


def test_a_signature_matches_one_body() -> None:
    headers = sign("POST", "/a", b"x")
    assert RequestGuard(KEY).rejection("POST", "/a", headers, NOW) is None
    assert not matches_digest(b"y", headers)
    assert not matches_digest(b"", headers)


@pytest.mark.parametrize("name", [TIME, NONCE, DIGEST, SIGNATURE])
def test_no_signed_header_may_be_changed_or_left_out(name: str) -> None:
    headers = sign("POST", "/a", b"")
    guard = RequestGuard(KEY)
    assert guard.rejection("POST", "/a", {**headers, name: headers[name] + "0"}, NOW) is not None
    assert guard.rejection("POST", "/a", {**headers, name: ""}, NOW) == "the request is not signed"
    assert guard.rejection("POST", "/a", {**headers, SIGNATURE: "ä"}, NOW) is not None


def test_an_old_request_is_rejected_so_that_nonces_can_expire() -> None:
    headers = sign("POST", "/a", b"")
    rejection = RequestGuard(KEY).rejection("POST", "/a", headers, NOW + CLOCK_SKEW + 1)
    assert rejection == f"the request's time differs from this clock by {CLOCK_SKEW + 1} s"


def test_requests_of_one_sender_may_arrive_out_of_order_each_of_them_once() -> None:
    guard, sender = RequestGuard(KEY), Sender(KEY)
    sent = [sender.sign("POST", "/a", b"", NOW) for _ in range(200)]
    late, order = sent[140], [*sent[0:140], *sent[199:140:-1]]
    assert all(guard.rejection("POST", "/a", headers, NOW) is None for headers in order)
    assert guard.rejection("POST", "/a", late, NOW) is None
    assert all(guard.rejection("POST", "/a", headers, NOW) == "the request was replayed" for headers in sent)


def test_many_requests_need_memory_for_their_senders_only() -> None:
    guard, senders = RequestGuard(KEY), [Sender(KEY) for _ in range(4)]
    for round_ in range(500):
        for sender in senders:
            assert guard.rejection("POST", "/a", sender.sign("POST", "/a", b"", NOW + round_), NOW + round_) is None
    assert len(guard._windows) == len(senders)
    late = NOW + 500 + 2 * CLOCK_SKEW
    assert guard.rejection("POST", "/a", Sender(KEY).sign("POST", "/a", b"", late), late) is None
    assert len(guard._windows) == 1


def test_an_answer_is_bound_to_its_request_and_status() -> None:
    signature = sign_answer(KEY, "nonce", 200, b"{}")[SIGNATURE]
    assert is_answer_genuine(KEY, "nonce", 200, b"{}", signature)
    assert not is_answer_genuine(KEY, "other", 200, b"{}", signature)
    assert not is_answer_genuine(KEY, "nonce", 409, b"{}", signature)
    assert not is_answer_genuine(secrets.token_bytes(32), "nonce", 200, b"{}", signature)
    assert not is_answer_genuine(KEY, "nonce", 200, b"{}", None)


@pytest.fixture
def server() -> Iterator[LauncherServer]:
    """Serve a run of one worker on loopback."""
    coordinator = Coordinator(Run(1, 1, 0, BACKENDS["horovod"], Timing(0.2, 4, 1), Bounds.fixed(1)))
    server = LauncherServer("127.0.0.1", 0, coordinator, KEY)
    yield server
    server.stop()


def test_an_agent_with_the_key_registers(server: LauncherServer) -> None:
    client = LauncherClient("127.0.0.1", server.server_port, KEY)
    assert client.post("/v1/register", REGISTER) == {"state": "wait", "epoch": 0}
    assert server.coordinator.status()["workers"] == {"ready": 1, "desired": 1, "registered": 1}


def test_an_agent_without_the_key_does_not(server: LauncherServer) -> None:
    client = LauncherClient("127.0.0.1", server.server_port, secrets.token_bytes(32))
    with pytest.raises(ChannelError, match="does not accept this job's key"):
        client.post("/v1/register", REGISTER)
    assert server.coordinator.status()["workers"] == {"ready": 0, "desired": 1, "registered": 0}


def test_an_agent_ignores_answers_that_are_not_signed_with_the_key(server: LauncherServer) -> None:
    server.guard = RequestGuard(KEY)
    server.key = secrets.token_bytes(32)  # It accepts the request, but its answer is signed with another key.
    with pytest.raises(ChannelError, match="the answer is not signed with this job's key"):
        LauncherClient("127.0.0.1", server.server_port, KEY).post("/v1/register", REGISTER)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"worker": 1}, "worker: got 1, expected 0 to 0"),
        ({"worker": "0"}, "worker: got '0'"),
        ({"attempt": 2}, "attempt: got 2, expected 0"),
        ({"slots": 4}, "slots: got 4, expected 1"),
        ({"address": None}, ""),
    ],
)
def test_a_registration_that_does_not_match_the_job_is_rejected(
    server: LauncherServer, change: dict[str, object], reason: str
) -> None:
    message = {key: value for key, value in (REGISTER | change).items() if value is not None}
    with pytest.raises(RequestRejected, match=reason or "address: missing"):
        LauncherClient("127.0.0.1", server.server_port, KEY).post("/v1/register", message)


def test_a_second_agent_of_one_worker_is_rejected(server: LauncherServer) -> None:
    client = LauncherClient("127.0.0.1", server.server_port, KEY)
    client.post("/v1/register", REGISTER)
    with pytest.raises(RequestRejected, match="registered by another agent"):
        client.post("/v1/register", REGISTER | {"instance": "b"})


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/status", {}, 200),
        ("GET", "/v1/register", {}, 404),
        ("POST", "/status", {"Content-Length": "0"}, 401),
        ("POST", "/v1/finish", {"Content-Length": "0"}, 401),
        ("POST", "/v1/finish", {"Content-Length": "999999999"}, 413),
        ("POST", "/v1/finish", {"Content-Length": "-1"}, 411),
        ("DELETE", "/status", {}, 501),
    ],
)
def test_without_a_signature_there_is_only_the_status(
    server: LauncherServer, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.putrequest(method, path)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == status
    if status == 401:
        assert answer.read() == b""
    connection.close()


def connect(server: LauncherServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=30)


def test_a_body_is_not_waited_for_before_its_header_is_authenticated(server: LauncherServer) -> None:
    with connect(server) as client:
        client.sendall(b"POST /v1/finish HTTP/1.1\r\nContent-Length: 60000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /status HTTP/1.1\r\nX: " + b"x" * 9000, 431),
        (b"x" * 9000, 431),
        (b"\x16\x03\x01\x02\r\n\r\n", 400),
        (b"GET /status\r\n\r\n", 400),
        (b"GET /status FTP/1.1\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nno field\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 411),
    ],
)
def test_what_is_no_bounded_request_is_answered_and_the_connection_closed(
    server: LauncherServer, request_: bytes, status: int
) -> None:
    with connect(server) as client:
        client.sendall(request_)
        assert client.makefile("rb").read().startswith(f"HTTP/1.1 {status} ".encode())


def test_a_digest_for_another_body_is_rejected_and_the_body_is_not_used(server: LauncherServer) -> None:
    body, other = json.dumps(REGISTER).encode(), json.dumps(REGISTER | {"worker": 1}).encode()
    headers = Sender(KEY).sign("POST", "/v1/register", body, time.time())
    assert len(body) == len(other)
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("POST", "/v1/register", other, headers)
    assert connection.getresponse().status == 401
    connection.close()


def test_clients_without_the_key_cannot_keep_agents_out(server: LauncherServer) -> None:
    silent = [connect(server) for _ in range(200)]
    client = LauncherClient("127.0.0.1", server.server_port, KEY)
    assert client.post("/v1/register", REGISTER) == {"state": "wait", "epoch": 0}
    for each in silent:
        assert each.recv(1) == b""  # closed after the time that a header may take
        each.close()


def test_clients_without_the_key_cannot_use_up_the_connections(
    server: LauncherServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_trainer.server._MAX_CONNECTIONS", 40)
    monkeypatch.setattr("fairlead_trainer.server._TIMEOUT", 120.0)
    agent = LauncherClient("127.0.0.1", server.server_port, KEY)
    agent.post("/v1/register", REGISTER)
    assert agent.post("/v1/heartbeat", REGISTER, keep=True)["state"] == "wait"
    kept = agent._kept
    silent = [connect(server) for _ in range(60)]
    assert silent[0].recv(1) == b""  # the oldest of them is closed
    assert LauncherClient("127.0.0.1", server.server_port, KEY).post("/v1/register", REGISTER)["state"] == "wait"
    assert agent.post("/v1/heartbeat", REGISTER, keep=True)["state"] == "wait"
    assert agent._kept is kept  # older than all of them
    for each in silent:
        each.close()


def test_an_agent_keeps_its_connection_and_connects_again_when_it_is_closed(server: LauncherServer) -> None:
    client = LauncherClient("127.0.0.1", server.server_port, KEY)
    client.post("/v1/register", REGISTER)
    assert client.post("/v1/heartbeat", REGISTER, keep=True)["state"] == "wait"
    kept = client._kept
    assert client.post("/v1/heartbeat", REGISTER, keep=True)["state"] == "wait"
    assert client._kept is kept
    assert kept is not None
    assert kept.sock is not None
    kept.sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ChannelError):
        client.post("/v1/heartbeat", REGISTER, keep=True)
    assert client.post("/v1/heartbeat", REGISTER, keep=True)["state"] == "wait"


def test_many_workers_send_fewer_heartbeats_and_are_given_more_time() -> None:
    environment = TimingEnvironment.from_environment({})
    small, large = (Timing.from_environment(environment, workers) for workers in (8, 512))
    assert (small.heartbeat, small.silence_after_failure) == (1.0, 5.0)
    assert (large.heartbeat, large.silence_after_failure) == (5.0, 12.5)
    assert 512 / large.heartbeat <= 103
