"""A graph server as a microservice of Seldon's executor: each node type answers the calls that the executor sends.

The paths, and what the executor reads of the answers, are those of Seldon Core 1.17: executor/api/client/client.go
(SeldonPredictPath and the others), executor/api/rest/client.go, executor/api/grpc/seldon/client.go (the gRPC services)
and executor/api/util/utils.go (which number of an answer is the route).
"""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from fairlead_graph.protocols import seldon_prediction_pb2 as pb

from tests.support import onnx_models as onnx
from tests.support.ports import free_port

Start = Callable[..., Any]
ROW = {"data": {"names": ["a", "b", "c"], "ndarray": [[1.0, 2.0, 4.0]]}, "meta": {"puid": "p1"}}


def built_in(implementation: str, kind: str, children: int, **parameters: str) -> dict[str, Any]:
    """Return the graph that the operator writes for a built-in: with a stand-in for each child."""
    stand_ins = [{"name": f"c{at}", "type": "MODEL", "implementation": "SIMPLE_MODEL"} for at in range(children)]
    known = [{"name": name, "value": value, "type": "FLOAT"} for name, value in parameters.items()]
    node = {"name": "root", "type": kind, "implementation": implementation, "children": stand_ins}
    return node | ({"parameters": known} if known else {})


@pytest.fixture(scope="module")
def serve(start: Start) -> Start:
    """Return a function that serves a graph over both protocols, as the operator's containers do."""

    def run(graph: dict[str, Any], **variables: str) -> Any:
        port = free_port()
        # what Seldon Core sets in each container; the server's own arguments decide
        theirs = {"PREDICTIVE_UNIT_SERVICE_PORT": "1", "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": "1",
                  "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": "2", "PREDICTIVE_UNIT_ID": "root",
                  "PREDICTIVE_UNIT_PARAMETERS": "[]", "PREDICTOR_ID": "main"}  # fmt: skip
        server = start(graph, FAIRLEAD_GRPC_PORT=str(port), **theirs, **variables).wait_ready()
        server.grpc_port = port
        return server

    return run


@pytest.fixture(scope="module")
def ratio(serve: Start) -> Any:
    return serve(built_in("RANDOM_ABTEST", "ROUTER", 2, ratioA="0"))


@pytest.fixture(scope="module")
def mean(serve: Start) -> Any:
    return serve(built_in("AVERAGE_COMBINER", "COMBINER", 2))


def call(server: Any, method: str, message: Any, answer: Any = pb.SeldonMessage) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = channel.unary_unary(f"/seldon.protos.{method}", lambda sent: sent.SerializeToString(), answer.FromString)
        return stub(message, timeout=20)


def as_proto(*values: float) -> Any:
    return pb.SeldonMessage(data=pb.DefaultData(tensor=pb.Tensor(shape=[1, len(values)], values=values)))


@pytest.mark.parametrize(("kind", "path", "method"), [
    ("MODEL", "/predict", "Model/Predict"),
    ("TRANSFORMER", "/transform-input", "Transformer/TransformInput"),
    ("OUTPUT_TRANSFORMER", "/transform-output", "OutputTransformer/TransformOutput"),
])  # fmt: skip
def test_a_model_answers_as_a_node_of_its_type(
    serve: Start, publish_model: Callable[..., str], kind: str, path: str, method: str
) -> None:
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    server = serve({"name": "root", "type": kind, "modelUri": uri})
    answer = server.post(path, ROW, {"Seldon-Puid": "p2"})
    assert answer.status == 200
    assert answer.json["data"]["ndarray"] == [[2.0, 4.0, 8.0]]
    assert list(call(server, method, as_proto(1, 2, 4)).data.tensor.values) == [2, 4, 8]
    assert server.get("/health/status").status == 200
    feedback = {"request": ROW, "response": answer.json, "reward": 1.0}
    assert server.post("/send-feedback", feedback).status == 200
    call(server, "Model/SendFeedback", pb.Feedback(reward=1.0))


def test_a_router_says_the_child_where_the_executor_reads_it(ratio: Any) -> None:
    answer = ratio.post("/route", ROW)
    assert (answer.status, answer.json["data"]) == (200, {"names": [], "ndarray": [[1]]})
    assert answer.json["meta"] == {"puid": "p1", "routing": {"root": 1}}
    (row,) = call(ratio, "Router/Route", as_proto(1, 2)).data.ndarray.values
    assert row.list_value.values[0].number_value == 1


def test_a_combiner_answers_with_what_it_makes_of_the_messages(mean: Any) -> None:
    other = {"data": {"names": ["a", "b", "c"], "ndarray": [[3.0, 2.0, 0.0]]}}
    answer = mean.post("/aggregate", {"seldonMessages": [ROW, other]})
    assert answer.status == 200
    assert answer.json["data"] == {"names": ["a", "b", "c"], "ndarray": [[2.0, 2.0, 2.0]]}
    assert answer.json["meta"]["puid"] == "p1"
    messages = pb.SeldonMessageList(seldonMessages=[as_proto(1, 2), as_proto(3, 4)])
    assert list(call(mean, "Combiner/Aggregate", messages).data.tensor.values) == [2, 3]


def test_a_router_learns_from_the_executors_feedback(serve: Start) -> None:
    router = serve(built_in("EPSILON_GREEDY", "ROUTER", 3, epsilon="0"))
    assert router.post("/route", ROW).json["data"]["ndarray"] == [[0]]
    for branch, reward in ((0, 0.0), (2, 1.0)):
        response = {"meta": {"routing": {"root": branch}}}
        assert router.post("/send-feedback", {"request": ROW, "response": response, "reward": reward}).status == 200
    assert router.post("/route", ROW).json["data"]["ndarray"] == [[2]]
    response = pb.SeldonMessage(meta=pb.Meta(routing={"root": 1}))
    for _ in range(3):
        call(router, "Router/SendFeedback", pb.Feedback(response=response, reward=1.0))
    assert router.post("/route", ROW).json["data"]["ndarray"] == [[1]]


@pytest.mark.parametrize(("body", "problem"), [
    ({}, "seldonMessages: got None, expected a list of 1 to 16 messages"),
    ({"seldonMessages": []}, "seldonMessages: got []"),
    ({"seldonMessages": [ROW] * 17}, "seldonMessages: got "),
    ({"seldonMessages": "x"}, "seldonMessages: got 'x'"),
    ({"seldonMessages": [{"strData": "x"}]}, "seldonMessages[0].data: got ['strData']"),
    ([1], "seldonMessages: got None"),
])  # fmt: skip
def test_wrong_messages_to_a_combiner_are_rejected(mean: Any, body: Any, problem: str) -> None:
    answer = mean.post("/aggregate", body)
    assert answer.status == 400
    assert answer.json["status"]["info"].startswith(problem)


def test_a_node_of_another_type_has_no_such_method(ratio: Any, mean: Any) -> None:
    answer = mean.post("/route", ROW)
    assert (answer.status, answer.json["status"]["status"]) == (404, "FAILURE")
    assert answer.json["status"]["info"] == "method route: not found, because node root is a COMBINER"
    assert ratio.post("/aggregate", {"seldonMessages": [ROW]}).status == 404
    with pytest.raises(grpc.RpcError) as caught:
        call(mean, "Router/Route", as_proto(1))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
