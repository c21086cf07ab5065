"""API keys over gRPC on real servers, and between the servers of a deployment over both protocols."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from fairlead_contracts.traffic import make_pass
from fairlead_graph.protocols import open_inference_pb2 as pb

from tests.support import onnx_models as onnx
from tests.support.ports import free_port
from tests.support.traffic import INFER, KEY, ROW, RawServer, Split, environment, http_answer, route

API_KEY, WRONG = "the-key-of-the-tests", "a-key-that-is-not-known"
CANDIDATES_KEY = "the-key-of-the-candidate"
PROBLEM = "API key: expected a known one, as Authorization: Bearer <key> or X-API-Key: <key>"
SERVICE = "/inference.GRPCInferenceService"
VALUES = np.array([[1.0, 2.0, 4.0]], np.float32)
INPUT = {"name": "x", "datatype": "FP32", "shape": VALUES.shape}
BY_KEY = {"X-API-Key": API_KEY}


@pytest.fixture(scope="module")
def servers(start: Callable[..., Any], publish_model: Callable[..., str], folder: Path) -> Any:
    """Return the stable server, times 2, and the candidate's, times 3, each with its own API key."""
    found = []
    for revision, factor, key in (("stable", 2.0, API_KEY), ("next", 3.0, CANDIDATES_KEY)):
        path, port = folder / f"keys-{revision}", free_port()
        path.write_text(key)
        graph = {"name": revision, "type": "MODEL", "modelUri": publish_model(revision, onnx.scale(factor, ["n", 3]))}
        variables = environment(folder, revision, FAIRLEAD_GRPC_PORT=str(port), FAIRLEAD_API_KEYS_FILE=str(path))
        server = start(graph, **variables)
        server.grpc_port = port
        found.append(server)
    return [server.wait_ready() for server in found]


@pytest.fixture(scope="module")
def split(servers: Any) -> Split:
    """Return the traffic of the stable server."""
    return Split(servers[0])


@pytest.fixture
def candidate(servers: Any) -> Callable[..., dict[str, Any]]:
    """Return a function that makes a route to the candidate."""
    return lambda **shares: route(servers[1].port, grpc_port=servers[1].grpc_port, **shares)


def call(server: Any, method: str, message: bytes, *metadata: tuple[str, str]) -> bytes:
    """Call a method."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        return bytes(channel.unary_unary(method)(message, timeout=20, metadata=metadata))


def infer(server: Any, *metadata: tuple[str, str]) -> list[float]:
    """Return what the model answers."""
    request = pb.ModelInferRequest(model_name="digits", inputs=[INPUT], raw_input_contents=[VALUES.tobytes()])
    answer = pb.ModelInferResponse.FromString(
        call(server, f"{SERVICE}/ModelInfer", request.SerializeToString(), *metadata)
    )
    return np.frombuffer(answer.raw_output_contents[0], np.float32).tolist()


def factor_of(answer: Any) -> float:
    """Return by what the model that answered multiplies."""
    assert answer.status == 200, answer.body
    return answer.json["outputs"][0]["data"][0]


@pytest.mark.parametrize("metadata", [("authorization", f"Bearer {API_KEY}"), ("x-api-key", API_KEY)])
def test_a_call_with_a_known_key_is_answered(servers: Any, split: Split, metadata: tuple[str, str]) -> None:
    split.set()
    assert infer(servers[0], metadata) == [2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "metadata",
    [(), (("x-api-key", WRONG),), (("authorization", API_KEY),), (("fairlead-forwarded", "1"),)],
)
def test_all_other_calls_are_unauthenticated(servers: Any, metadata: tuple[tuple[str, str], ...]) -> None:
    for method in (
        f"{SERVICE}/ModelInfer", f"{SERVICE}/ModelMetadata", f"{SERVICE}/RepositoryIndex", f"{SERVICE}/ServerMetadata",
        "/seldon.protos.Seldon/Predict", "/seldon.protos.Seldon/SendFeedback", "/seldon.protos.Model/Predict",
    ):  # fmt: skip
        with pytest.raises(grpc.RpcError) as caught:
            call(servers[0], method, b"", *metadata)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, PROBLEM)
    assert "Traceback" not in servers[0].log.read_text()


def test_health_is_open_over_grpc(servers: Any) -> None:
    live = pb.ServerLiveResponse.FromString(call(servers[0], f"{SERVICE}/ServerLive", b""))
    ready = pb.ServerReadyResponse.FromString(call(servers[0], f"{SERVICE}/ServerReady", b""))
    name = pb.ModelReadyRequest(name="digits").SerializeToString()
    model = pb.ModelReadyResponse.FromString(call(servers[0], f"{SERVICE}/ModelReady", name))
    assert (live.live, ready.ready, model.ready) == (True, True, True)


def test_a_call_is_rejected_before_its_message_arrives(servers: Any) -> None:
    over = threading.Event()

    def send() -> Iterator[bytes]:
        over.wait(60)
        yield b""

    with grpc.insecure_channel(f"127.0.0.1:{servers[0].grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as caught:  # a server that reads first would only find its body's timeout
            channel.stream_unary(f"{SERVICE}/ModelInfer")(send(), timeout=20)
        over.set()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_calls_without_a_key_that_send_nothing_leave_places_for_clients(servers: Any) -> None:
    over, place = threading.Event(), f"127.0.0.1:{servers[0].grpc_port}"

    def send() -> Iterator[bytes]:
        over.wait(60)
        yield b""

    own = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    with grpc.insecure_channel(place, own) as one, grpc.insecure_channel(place, own) as two:
        calls = [side.stream_unary(f"{SERVICE}/ServerLive").future(send()) for side in (one, two) for _ in range(16)]
        deadline = time.monotonic() + 20
        while sum(stream.done() for stream in calls) < 24:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert call(servers[0], f"{SERVICE}/ServerMetadata", b"", ("x-api-key", API_KEY))
        over.set()
        codes = [stream.code() for stream in calls]
    assert sorted(code.name for code in codes) == ["OK"] * 8 + ["UNAVAILABLE"] * 24


def test_a_candidate_with_other_keys_gets_its_share(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100))
    for headers in (BY_KEY, {"Authorization": f"Bearer {API_KEY}"}):
        assert factor_of(servers[0].post(INFER, {"inputs": [ROW]}, headers)) == 3.0
        assert servers[1].post(INFER, {"inputs": [ROW]}, headers).status == 401  # not by the client's key
    assert infer(servers[0], ("x-api-key", API_KEY)) == [3.0, 6.0, 12.0]
    counts = split.counts()
    assert (counts.requests, counts.errors) == (3, 0)
    assert servers[0].infer(ROW).status == 401
    assert split.counts().requests == 3


def test_a_shadow_with_other_keys_gets_copies(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(mirrorPercent=100))
    assert factor_of(servers[0].post(INFER, {"inputs": [ROW]}, BY_KEY)) == 2.0
    assert infer(servers[0], ("x-api-key", API_KEY)) == [2.0, 4.0, 8.0]
    servers[0].wait(lambda: split.facts_of().agreement.compared == 2)
    mirrored = split.facts_of().mirrored
    assert (mirrored.requests, mirrored.errors) == (2, 0)


def test_the_pass_of_the_traffic_key_is_what_admits_other_servers(servers: Any) -> None:
    answer = servers[1].post(INFER, {"inputs": [ROW]}, {"Fairlead-Forwarded": make_pass(KEY)})
    assert factor_of(answer) == 3.0
    assert servers[1].post(INFER, {"inputs": [ROW]}, {"Fairlead-Forwarded": make_pass(b"another key")}).status == 401


def test_a_route_that_does_not_admit_this_server_costs_the_client_nothing(
    servers: Any, split: Split, start: Any, folder: Path, tmp_path: Path
) -> None:
    path, port = tmp_path / "keys", free_port()
    path.write_text(CANDIDATES_KEY)
    (tmp_path / "traffic.key").write_text(b"the key of another deployment".hex())
    variables = {
        **environment(folder, "next"), "FAIRLEAD_KEY_FILE": str(tmp_path / "traffic.key"),
        "FAIRLEAD_GRPC_PORT": str(port), "FAIRLEAD_API_KEYS_FILE": str(path),
    }  # fmt: skip
    other = start({"name": "m", "type": "MODEL", "implementation": "SIMPLE_MODEL"}, **variables).wait_ready()
    split.set(route(other.port, grpc_port=port, percent=100))
    assert factor_of(servers[0].post(INFER, {"inputs": [ROW]}, BY_KEY)) == 2.0
    assert infer(servers[0], ("x-api-key", API_KEY)) == [2.0, 4.0, 8.0]
    counts = split.counts()
    assert (counts.requests, counts.errors) == (2, 2)  # so that such a candidate is not promoted
    feedback = servers[0].post("/api/v1.0/feedback", {"reward": 1}, BY_KEY | {"Fairlead-Route": "candidate"})
    assert feedback.status == 503
    assert "asked for another key" in feedback.json["status"]["info"]


def test_the_clients_key_is_not_sent_to_routes(servers: Any, split: Split) -> None:
    with RawServer(http_answer(b"{}")) as raw:
        split.set(route(raw.port, percent=100))
        headers = BY_KEY | {"Authorization": f"Bearer {API_KEY}", "X-Id": "7"}
        assert servers[0].post(INFER, {"inputs": [ROW]}, headers).status == 200
        split.set()
    (request,) = raw.requests
    assert b"x-id: 7" in request.lower()
    assert API_KEY.encode() not in request
    assert make_pass(KEY).encode() in request
