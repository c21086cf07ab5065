"""Seldon's protocol over gRPC: the same answers as over REST, feedback, wrong messages, and split traffic."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from fairlead_contracts.errors import ContractError
from fairlead_graph.protocols import seldon_prediction_pb2 as pb
from fairlead_graph.puids import FEEDBACK_BYTES
from fairlead_graph.seldon_proto import decode, encode
from fairlead_graph.traffic.grpc_side import _read_answerer
from google.protobuf.json_format import MessageToDict, ParseDict

from tests.support import onnx_models as onnx
from tests.support.ports import free_port
from tests.support.traffic import Split, environment, route

ROW, NAN = [1.0, 2.0, 4.0], float("nan")
PREDICT, FEEDBACK = "/seldon.protos.Seldon/Predict", "/seldon.protos.Seldon/SendFeedback"


class Served:
    """A graph server, and its gRPC port."""

    def __init__(self, http: Any, port: int) -> None:
        self.http, self.port = http, port
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, method: str, message: Any, metadata: Any = ()) -> tuple[Any, str]:
        """Return the answer, and which revision says that it has given it."""
        stub = self._channel.unary_unary(method, lambda sent: sent.SerializeToString(), pb.SeldonMessage.FromString)
        call = stub.future(message, timeout=20, metadata=metadata)
        return call.result(), dict(call.trailing_metadata()).get("fairlead-route", "")

    def fail(self, message: Any, method: str = PREDICT) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self.call(method, message)
        return caught.value.code(), caught.value.details()


Serve = Callable[..., Served]


@pytest.fixture(scope="module")
def serve(start: Any) -> Serve:
    """Return a function that serves a graph with both protocols."""

    def run(graph: dict[str, Any], **variables: str) -> Served:
        port = free_port()
        return Served(start(graph, FAIRLEAD_GRPC_PORT=str(port), **variables).wait_ready(), port)

    return run


@pytest.fixture(scope="module")
def twice(serve: Serve, publish_model: Any) -> Served:
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    return serve({"name": "twice", "type": "MODEL", "modelUri": uri})


def as_tensor(meta: Any = None, **more: Any) -> Any:
    data = pb.DefaultData(tensor=pb.Tensor(shape=[1, 3], values=ROW), **more)
    return pb.SeldonMessage(data=data, meta=meta)


def as_rows(rows: Any) -> Any:
    message = pb.SeldonMessage()
    for row in rows:
        message.data.ndarray.add_list().extend(row)
    message.data.ndarray.SetInParent()
    return message


@pytest.mark.parametrize("method", [PREDICT, "/seldon.protos.Model/Predict", "/seldon.protos.Generic/TransformInput"])
def test_an_answer_is_the_one_over_rest(twice: Served, method: str) -> None:
    sent = as_tensor(names=["a", "b", "c"])
    sent.meta.puid = "mine"
    sent.meta.tags["source"].string_value = "camera"
    answer, _ = twice.call(method, sent)
    rest = twice.http.predict({
        "data": {"names": ["a", "b", "c"], "tensor": {"shape": [1, 3], "values": ROW}},
        "meta": {"puid": "mine", "tags": {"source": "camera"}},
    }).json  # fmt: skip
    assert list(answer.data.tensor.values) == rest["data"]["tensor"]["values"] == [2.0, 4.0, 8.0]
    assert list(answer.data.tensor.shape) == [1, 3]
    assert list(answer.data.names) == rest["data"]["names"]
    assert answer.meta.puid == rest["meta"]["puid"] == "mine"
    assert answer.meta.tags["source"].string_value == rest["meta"]["tags"]["source"] == "camera"
    assert dict(answer.meta.requestPath) == rest["meta"]["requestPath"]


def test_rows_are_answered_with_rows(twice: Served) -> None:
    answer, _ = twice.call(PREDICT, as_rows([ROW, ROW]))
    assert [list(row) for row in answer.data.ndarray] == [[2.0, 4.0, 8.0]] * 2


def test_a_puid_is_that_of_the_metadata_or_a_new_one(twice: Served) -> None:
    answer, _ = twice.call(PREDICT, as_tensor(), [("seldon-puid", "from metadata")])
    assert answer.meta.puid == "from metadata"
    first, second = (twice.call(PREDICT, as_tensor())[0].meta.puid for _ in range(2))
    assert len(first) == 32
    assert first != second


WRONG = [
    (pb.SeldonMessage(strData="text"), "data: got ['meta', 'strData'], expected data.ndarray or data.tensor"),
    (pb.SeldonMessage(), "data: got {'names': []}, expected data.ndarray or data.tensor"),
    (
        pb.SeldonMessage(data=pb.DefaultData(tensor=pb.Tensor(shape=[2, 3], values=ROW))),
        "data.tensor.values: got 3 values, expected 6, for shape [2, 3]",
    ),
    (
        pb.SeldonMessage(data=pb.DefaultData(tensor=pb.Tensor(shape=[-1, 3], values=ROW))),
        "data.tensor.shape: got [-1, 3], expected a list of sizes",
    ),
    (as_rows([[1.0, 2.0], [1.0]]), "data.ndarray: got rows of 1 and 2, expected rows of equal lengths"),
    (as_rows([[1.0, NAN]]), "data.ndarray[1]: got nan, expected a number that FP64 can hold"),
    (as_rows([[1.0, None]]), "data.ndarray: got values of types float, null, expected numbers only or strings only"),
    (as_rows([[{"a": 1}]]), "data.ndarray: got values of types dict, expected numbers only or strings only"),
    (
        as_tensor(meta={"puid": "x" * 300_000}),
        "meta: got 300004 bytes, expected at most 262144",
    ),
]


@pytest.mark.parametrize(("message", "reason"), WRONG)
def test_a_wrong_message_is_rejected_with_its_field(twice: Served, message: Any, reason: str) -> None:
    assert twice.fail(message) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


def test_bytes_that_are_no_message_are_rejected(twice: Served) -> None:
    class Raw:
        def SerializeToString(self) -> bytes:
            return b"\xff\xff"

    for method, expected in ((PREDICT, "a SeldonMessage"), (FEEDBACK, "a Feedback")):
        code, details = twice.fail(Raw(), method)
        assert (code, details.endswith(f"expected {expected}")) == (grpc.StatusCode.INVALID_ARGUMENT, True), details


def test_a_router_learns_from_feedback(serve: Serve, publish_model: Any) -> None:
    children = [
        {"name": name, "type": "MODEL", "modelUri": publish_model(name, onnx.scale(factor, ["n", 3]))}
        for name, factor in (("double", 2.0), ("triple", 3.0))
    ]
    parameters = [{"name": "epsilon", "value": "0.0", "type": "FLOAT"}]
    bandit = {"name": "bandit", "type": "ROUTER", "implementation": "EPSILON_GREEDY", "parameters": parameters}
    server = serve({**bandit, "children": children})
    first, _ = server.call(PREDICT, as_tensor())
    assert dict(first.meta.routing) == {"bandit": 0}
    for branch, reward in ((0, 0.0), (1, 1.0)):
        answered = pb.SeldonMessage(meta=pb.Meta(routing={"bandit": branch}))
        server.call(FEEDBACK, pb.Feedback(request=as_tensor(), response=answered, reward=reward))
    second, _ = server.call(PREDICT, as_tensor())
    assert dict(second.meta.routing) == {"bandit": 1}
    code, details = server.fail(
        pb.Feedback(response=pb.SeldonMessage(meta=pb.Meta(routing={"bandit": 7})), reward=1.0), FEEDBACK
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details == "response.meta.routing.bandit: got 7, expected -1 to 1, the children of bandit"
    metrics = server.http.get("/metrics").body.decode()
    assert 'service="feedback"' in metrics
    assert 'service="predictions"' in metrics


@pytest.mark.parametrize("reward", [NAN, float("inf")])
def test_a_reward_is_finite(twice: Served, reward: float) -> None:
    code, details = twice.fail(pb.Feedback(request=as_tensor(), reward=reward), FEEDBACK)
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, f"reward: got {reward}, expected a finite number")


def rows_of(content: bytes) -> Any:
    return MessageToDict(pb.SeldonMessage.FromString(content))["data"]["ndarray"]


def test_rows_may_be_of_all_that_json_has_for_arrays() -> None:
    for rows in ([[[1.5, -2.0], [0.0, 1e300]]], [["a", ""], ["b", "ä"]], [True, False], [], [[], []]):
        message = pb.SeldonMessage()
        ParseDict({"ndarray": rows}, message.data)
        assert decode(message.SerializeToString())["data"]["ndarray"] == rows
        values = np.array(rows)
        values = rows if values.dtype.kind == "U" else values
        assert rows_of(encode("predict", {"data": {"names": [], "ndarray": values}, "meta": {}})) == rows
    assert rows_of(encode("predict", {"data": {"names": [], "ndarray": "alone"}, "meta": {}})) == ["alone"]


@pytest.mark.parametrize("form", ["tensor", "ndarray"])
def test_an_integer_that_a_double_cannot_hold_is_not_rounded(form: str) -> None:
    values = np.array([[1, 2**53 + 1]])
    content = {"shape": [1, 2], "values": values.ravel()} if form == "tensor" else values
    with pytest.raises(ContractError, match="got 9007199254740993, expected integers up to 9007199254740991"):
        encode("predict", {"data": {"names": [], form: content}, "meta": {}})


def test_large_feedback_is_not_searched_for_who_has_answered() -> None:
    meta = pb.Meta(puid=f"{'0' * 32}-candidate")
    for count, name in ((1, "candidate"), (FEEDBACK_BYTES, "")):
        feedback = pb.Feedback(response=pb.SeldonMessage(meta=meta), truth=pb.SeldonMessage(strData="x" * count))
        assert _read_answerer(feedback.SerializeToString()) == name


@pytest.fixture(scope="module")
def revisions(serve: Serve, publish_model: Any, folder: Path) -> tuple[Served, Served]:
    """Return the stable server and the candidate's: routers that learn, before a model, times 2 and times 3."""
    found = []
    for revision, factor in (("stable", 2.0), ("next", 3.0)):
        uri = publish_model(revision, onnx.scale(factor, ["n", 3]))
        children = [{"name": name, "type": "MODEL", "modelUri": uri} for name in ("one", "two")]
        parameters = [{"name": "epsilon", "value": "0.0", "type": "FLOAT"}]
        bandit = {"name": "bandit", "type": "ROUTER", "implementation": "EPSILON_GREEDY", "parameters": parameters}
        found.append(serve({**bandit, "children": children}, **environment(folder, revision)))
    return found[0], found[1]


@pytest.fixture(scope="module")
def split(revisions: tuple[Served, Served]) -> Split:
    """Return the traffic of the stable server."""
    return Split(revisions[0].http)


def test_each_revision_answers_its_share_and_gets_the_feedback_about_its_answers(
    revisions: tuple[Served, Served], split: Split
) -> None:
    stable, candidate = revisions
    split.set(route(candidate.http.port, grpc_port=candidate.port, percent=50))
    answers: dict[str, Any] = {}
    for _ in range(40):
        answer, name = stable.call(PREDICT, as_tensor())
        assert answer.data.tensor.values[0] == (3.0 if name == "candidate" else 2.0)
        assert answer.meta.puid.endswith(f"-{name}")
        answers[name] = answer
    assert sorted(answers) == ["candidate", "stable"]
    assert split.counts().requests in range(15, 26)
    for _ in range(4):  # an id of no length is none, whoever answers
        answer, name = stable.call(PREDICT, as_tensor(), [("seldon-puid", "")])
        assert answer.meta.puid.endswith(f"-{name}")
    answered = pb.SeldonMessage(meta=answers["candidate"].meta)
    for branch, reward in ((0, 0.0), (1, 1.0)):
        answered.meta.routing["bandit"] = branch
        _, name = stable.call(FEEDBACK, pb.Feedback(request=as_tensor(), response=answered, reward=reward))
        assert name == "candidate"
    assert dict(candidate.call(PREDICT, as_tensor())[0].meta.routing) == {"bandit": 1}
    split.set()
    assert dict(stable.call(PREDICT, as_tensor())[0].meta.routing) == {"bandit": 0}


@pytest.mark.parametrize("message", [as_tensor(), as_rows([ROW])], ids=["tensor", "ndarray"])
def test_copies_are_compared(revisions: tuple[Served, Served], split: Split, message: Any) -> None:
    stable, candidate = revisions
    split.set(route(candidate.http.port, grpc_port=candidate.port, mirrorPercent=100))
    for _ in range(5):
        stable.call(PREDICT, message)
    stable.http.wait(lambda: split.facts().routes[0].agreement.compared == 5, 20)
    agreement = split.facts().routes[0].agreement
    # times 2 and times 3 have the same largest value: they agree by class, and differ by 4
    assert (agreement.agreed, agreement.max_distance) == (5, 4.0)
    split.set()
