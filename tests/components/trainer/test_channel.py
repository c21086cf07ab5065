"""The authenticated channel: accepted and rejected requests."""

import http.client
import secrets
from collections.abc import Iterator

import pytest
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.channel import (
    CLOCK_SKEW,
    NONCE,
    SIGNATURE,
    TIME,
    RequestGuard,
    is_answer_genuine,
    sign_answer,
    sign_request,
)
from fairlead_trainer.client import ChannelError, LauncherClient, RequestRejected
from fairlead_trainer.coordinator import Coordinator, Run
from fairlead_trainer.server import LauncherServer
from fairlead_trainer.settings import Timing

KEY, NOW = secrets.token_bytes(32), 1_800_000_000.0
REGISTER = {"worker": 0, "attempt": 0, "instance": "a", "slots": 1, "address": "127.0.0.1", "interface": "lo"}


def test_a_signed_request_passes_once() -> None:
    guard = RequestGuard(KEY)
    headers = sign_request(KEY, "POST", "/v1/register", b"{}", NOW)
    assert guard.rejection("POST", "/v1/register", b"{}", headers, NOW) is None
    assert guard.rejection("POST", "/v1/register", b"{}", headers, NOW + 1) == "the request was replayed"


@pytest.mark.parametrize(
    ("method", "path", "body"), [("PUT", "/a", b"x"), ("POST", "/b", b"x"), ("POST", "/a", b"y"), ("POST", "/ax", b"")]
)
def test_a_signature_matches_one_method_path_and_body(method: str, path: str, body: bytes) -> None:
    headers = sign_request(KEY, "POST", "/a", b"x", NOW)
    assert (
        RequestGuard(KEY).rejection(method, path, body, headers, NOW) == "the signature does not match this job's key"
    )


@pytest.mark.parametrize("name", [TIME, NONCE, SIGNATURE])
def test_no_signed_header_may_be_changed_or_left_out(name: str) -> None:
    headers = sign_request(KEY, "POST", "/a", b"", NOW)
    guard = RequestGuard(KEY)
    assert guard.rejection("POST", "/a", b"", {**headers, name: headers[name] + "0"}, NOW) is not None
    assert guard.rejection("POST", "/a", b"", {**headers, name: ""}, NOW) == "the request is not signed"
    assert guard.rejection("POST", "/a", b"", {**headers, SIGNATURE: "ä"}, NOW) is not None


def test_an_old_request_is_rejected_so_that_nonces_can_expire() -> None:
    headers = sign_request(KEY, "POST", "/a", b"", NOW)
    rejection = RequestGuard(KEY).rejection("POST", "/a", b"", headers, NOW + CLOCK_SKEW + 1)
    assert rejection == f"the request's time differs from this clock by {CLOCK_SKEW + 1} s"


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
    coordinator = Coordinator(Run(workers=1, slots=1, attempt=0), BACKENDS["horovod"], Timing(0.2, 4, 1))
    server = LauncherServer("127.0.0.1", 0, coordinator, KEY)
    yield server
    server.stop()


def test_an_agent_with_the_key_registers(server: LauncherServer) -> None:
    client = LauncherClient("127.0.0.1", server.server_port, KEY)
    assert client.post("/v1/register", REGISTER) == {"state": "wait"}
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
