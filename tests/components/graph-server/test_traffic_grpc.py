"""Split traffic over gRPC between real servers."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from fairlead_contracts.traffic import make_pass
from fairlead_graph.protocols import open_inference_pb2 as pb

from tests.support import onnx_models as onnx
from tests.support.ports import free_port
from tests.support.traffic import KEY, Split, environment, route

VALUES = np.array([[1.0, 2.0, 4.0]], np.float32)
METHOD = "/inference.GRPCInferenceService/ModelInfer"


class Served:
    """A graph server with both protocols."""

    def __init__(self, http: Any, port: int) -> None:
        self.http, self.port = http, port
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def infer(self, raw: bool = True, metadata: Any = (), timeout: float = 20, **fields: Any) -> tuple[Any, str]:
        """Return the answer, and who gave it."""
        call = self.begin(raw, metadata, timeout, **fields)
        return call.result(), dict(call.trailing_metadata()).get("fairlead-route", "")

    def begin(self, raw: bool = True, metadata: Any = (), timeout: float = 20, **fields: Any) -> Any:
        """Return a call that is on its way."""
        tensor: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": VALUES.shape}
        if raw:
            fields["raw_input_contents"] = [VALUES.tobytes()]
        else:
            tensor["contents"] = {"fp32_contents": VALUES.ravel()}
        request = pb.ModelInferRequest(**{"model_name": "digits", "inputs": [tensor], **fields})
        method = self._channel.unary_unary(
            METHOD, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
        )
        return method.future(request, timeout=timeout, metadata=metadata)

    def fail(self, **fields: Any) -> tuple[grpc.StatusCode, str, str]:
        """Return the code and the details of a call that fails, and who said so."""
        with pytest.raises(grpc.RpcError) as caught:
            self.infer(**fields)
        error = caught.value
        return error.code(), error.details(), dict(error.trailing_metadata()).get("fairlead-route", "")


@pytest.fixture(scope="module")
def servers(start: Any, publish_model: Any, folder: Path) -> tuple[Served, Served]:
    """Return the stable server, times 2, and the candidate's, times 3."""
    found = []
    for revision, factor in (("stable", 2.0), ("next", 3.0)):
        port, uri = free_port(), publish_model(revision, onnx.scale(factor, ["n", 3]))
        variables = environment(folder, revision, FAIRLEAD_GRPC_PORT=str(port), FAIRLEAD_RUN_TIMEOUT_SECONDS="3")
        found.append(Served(start({"name": revision, "type": "MODEL", "modelUri": uri}, **variables), port))
    for server in found:
        server.http.wait_ready()
    return found[0], found[1]


@pytest.fixture(scope="module")
def split(servers: Any) -> Split:
    """Return the traffic of the stable server."""
    return Split(servers[0].http)


@pytest.fixture
def candidate(servers: Any) -> Callable[..., dict[str, Any]]:
    """Return a function that makes a route to the candidate."""
    return lambda **shares: route(servers[1].http.port, grpc_port=servers[1].port, **shares)


def factor_of(answer: Any) -> float:
    contents = answer.raw_output_contents
    return float(np.frombuffer(contents[0], "<f4")[0] if contents else answer.outputs[0].contents.fp32_contents[0])


def test_each_revision_answers_its_share(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=25))
    answers = [servers[0].infer() for _ in range(80)]
    names = Counter(name for _, name in answers)
    assert abs(names["candidate"] - 20) <= 10
    assert {(factor_of(answer), name) for answer, name in answers} == {(2.0, "stable"), (3.0, "candidate")}
    facts = split.facts()
    assert (facts.own.requests, facts.routes[0].counts.requests) == (names["stable"], names["candidate"])


def test_without_routes_nothing_is_added(servers: Any, split: Split) -> None:
    split.set()
    answer, name = servers[0].infer()
    assert (factor_of(answer), name) == (2.0, "")


def test_an_answer_passes_as_it_is(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100))
    for raw in (True, False):
        assert servers[0].infer(raw, id="7") == (servers[1].infer(raw, id="7")[0], "candidate")
    code, details, name = servers[0].fail(model_name="other")
    assert (code, name) == (grpc.StatusCode.NOT_FOUND, "candidate")
    assert details == "model_name: got 'other', expected 'digits'"
    assert servers[0].fail(id="x" * 2000)[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert (split.counts().requests, split.counts().errors) == (2, 0)


def test_a_client_stays_at_its_route(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=50), sticky={"header": "X-User"})
    names = []
    for user in range(12):
        found = {servers[0].infer(metadata=[("x-user", f"user-{user}")])[1] for _ in range(3)}
        assert len(found) == 1
        names += found
    assert set(names) == {"stable", "candidate"}
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}]}
    over_http = [
        servers[0].http.post("/v2/models/digits/infer", body, {"X-User": f"user-{user}"}).headers["fairlead-route"]
        for user in range(12)
    ]
    assert over_http == names


def test_a_call_for_a_version_or_from_a_server_stays(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100))
    (version,) = servers[0].http.get("/v2/models/digits").json["versions"]
    assert factor_of(servers[0].infer(model_version=version)[0]) == 2.0
    assert factor_of(servers[0].infer(metadata=[("fairlead-forwarded", "1")])[0]) == 2.0
    assert split.counts().requests == 0


class Recorder:
    """A server that records the metadata of calls and, once it may, answers with its own words."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.code = grpc.StatusCode.DATA_LOSS
        self.gate = threading.Event()
        handler = grpc.unary_unary_rpc_method_handler(self._answer)
        self.server = grpc.server(ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler})]
        )
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def _answer(self, request: bytes, context: Any) -> bytes:
        self.seen.append({})
        for key, value in context.invocation_metadata():
            self.seen[-1].setdefault(key, []).append(value)
        self.gate.wait(60)
        return context.abort(self.code, "own words")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Return a recording server."""
    found = Recorder()
    yield found
    found.gate.set()
    found.server.stop(None)


def test_metadata_is_passed_on_and_words_of_others_are_not_ours(
    servers: Any, split: Split, candidate: Any, recorder: Recorder
) -> None:
    recorder.gate.set()
    split.set(candidate(percent=100) | {"grpcPort": recorder.port})
    metadata = [("x-id", "7"), ("trace-bin", b"\0\1"), ("x-id", "8"), ("fairlead-route", "stable")]
    assert servers[0].fail(metadata=metadata) == (grpc.StatusCode.INTERNAL, "own words", "candidate")
    (found,) = recorder.seen
    assert (found["x-id"], found["trace-bin"], found["fairlead-forwarded"]) == (["7", "8"], [b"\0\1"], [make_pass(KEY)])
    assert "fairlead-route" not in found
    assert split.counts().errors == 1


def test_a_rejection_is_an_error_of_its_route_if_this_server_accepts_the_call(
    servers: Any, split: Split, candidate: Any, recorder: Recorder
) -> None:
    recorder.gate.set()
    recorder.code = grpc.StatusCode.INVALID_ARGUMENT
    split.set(candidate(percent=100) | {"grpcPort": recorder.port})
    assert servers[0].fail(model_name="other") == (recorder.code, "own words", "candidate")
    assert servers[0].fail() == (recorder.code, "own words", "candidate")
    servers[0].http.wait(lambda: split.counts().errors == 1, 30)
    assert split.counts().requests == 1


def test_a_call_whose_connection_is_refused_is_answered_here_and_the_route_soon_used_again(
    servers: Any, split: Split, candidate: Any, free_port_of: Any
) -> None:
    split.set(candidate(percent=100) | {"grpcPort": free_port_of()})
    assert servers[0].infer()[1] == "stable"
    assert (split.counts().requests, split.counts().errors) == (1, 1)
    split.set(candidate(percent=100))
    assert servers[0].infer()[1] == "candidate"


@pytest.mark.parametrize("host", ["a..b", ":", "-", "x" * 253, "::g"])
def test_calls_for_a_host_that_is_none_are_answered_here(servers: Any, split: Split, candidate: Any, host: str) -> None:
    split.set(candidate(percent=100) | {"host": host})
    assert servers[0].infer()[1] == "stable"
    assert split.counts().errors == 1


def test_calls_for_a_route_that_never_says_hello_are_answered_here(
    servers: Any, split: Split, candidate: Any, hanging: int
) -> None:
    split.set(candidate(percent=100) | {"grpcPort": hanging})
    assert servers[0].infer()[1] == "stable"
    assert split.counts().errors == 1


def test_a_client_in_a_hurry_is_counted_as_a_slow_answer(
    servers: Any, split: Split, candidate: Any, hanging: int
) -> None:
    split.set(candidate(percent=100) | {"grpcPort": hanging})
    assert servers[0].fail(timeout=0.3)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    servers[0].http.wait(lambda: split.counts().errors == 1, 30)


def test_a_client_that_leaves_is_not_counted_and_frees_its_place(
    servers: Any, split: Split, candidate: Any, recorder: Recorder
) -> None:
    split.set(candidate(percent=100) | {"grpcPort": recorder.port})
    for _ in range(3):
        call = servers[0].begin(timeout=20)
        servers[0].http.wait(lambda: in_flight(servers[0]) == 1, 30)
        call.cancel()
        servers[0].http.wait(lambda: in_flight(servers[0]) == 0, 30)
    assert split.counts().requests == 0


def in_flight(server: Served) -> float:
    lines = server.http.get("/metrics").body.decode().splitlines()
    name = 'fairlead_graph_route_requests_in_flight{route="candidate"} '
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def test_calls_for_what_is_no_grpc_are_answered_here(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(percent=100) | {"grpcPort": servers[1].http.port})
    assert servers[0].infer()[1] == "stable"
    assert split.counts().errors == 1


def test_answers_are_compared(servers: Any, split: Split, candidate: Any) -> None:
    split.set(candidate(mirrorPercent=100))
    for count, raw in enumerate((True, False), 1):
        answer, name = servers[0].infer(raw)
        assert (factor_of(answer), name) == (2.0, "stable")
        servers[0].http.wait(lambda: split.facts_of().agreement.compared == count, 30)  # noqa: B023
        facts = split.facts_of()
        assert (facts.agreement.agreed, facts.agreement.max_distance) == (count, 4.0)
    assert (facts.mirrored.requests, facts.mirrored.errors, facts.counts.requests) == (2, 0, 0)
