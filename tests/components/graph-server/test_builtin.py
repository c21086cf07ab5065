"""The built-in nodes: what they answer, how routers learn from feedback, and that wrong parameters are named."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.graph import GraphNode
from fairlead_graph.errors import InvalidGraph, NodeFailed
from fairlead_graph.nodes import KINDS, Resources
from fairlead_graph.nodes.builtin import BuiltIn
from fairlead_graph.tensors import Message

from tests.support import onnx_models as onnx

LEAF = {"name": "leaf", "type": "MODEL", "implementation": "SIMPLE_MODEL"}


def load(implementation: str, children: int = 2, type: str = "ROUTER", **parameters: Any) -> BuiltIn:
    """Load a router, or a node of another type, without a server."""
    given = [{"name": key, "value": str(value), "type": "FLOAT"} for key, value in parameters.items()]
    document = {
        "name": "r", "type": type, "implementation": implementation, "parameters": given,
        "children": [{**LEAF, "name": f"c{index}"} for index in range(children)],
    }  # fmt: skip
    spec = GraphNode.model_validate_json(json.dumps(document))
    node = KINDS["implementation"].load(spec, "node r", Resources(None, None, {}, lambda *_: None))  # type: ignore[arg-type]
    assert isinstance(node, BuiltIn)
    return node


def route(node: BuiltIn) -> int:
    return int(node.run([Message({"x": np.zeros((1, 1))})]).tensors["route"][0])


def test_the_share_of_an_abtest_is_what_it_says() -> None:
    node = load("RANDOM_ABTEST", ratioA=0.2, seed=1)
    first = sum(route(node) == 0 for _ in range(5000)) / 5000
    assert abs(first - 0.2) < 0.03
    assert {route(load("RANDOM_ABTEST", ratioA=1)) for _ in range(50)} == {0}
    assert {route(load("RANDOM_ABTEST", ratioA=0)) for _ in range(50)} == {1}


def test_equal_seeds_route_alike() -> None:
    one, other = (load("RANDOM_ABTEST", ratioA=0.5, seed=7) for _ in range(2))
    assert [route(one) for _ in range(50)] == [route(other) for _ in range(50)]


@pytest.mark.parametrize("implementation", ["EPSILON_GREEDY", "THOMPSON_SAMPLING"])
def test_a_router_finds_the_best_of_three_branches(implementation: str) -> None:
    rates, world = (0.2, 0.8, 0.5), random.Random(3)
    node = load(implementation, children=3, seed=5)
    assert node.branches is not None
    chosen = []
    for _ in range(2000):
        branch = route(node)
        chosen.append(branch)
        node.branches.learn(branch, float(world.random() < rates[branch]), 1)
    assert chosen[-500:].count(1) > 400
    assert set(chosen) == {0, 1, 2}


@pytest.mark.parametrize("typed_first", [True, False])
def test_a_mean_of_a_models_tensor_and_of_plain_numbers_has_no_type_yet(typed_first: bool) -> None:
    node = load("AVERAGE_COMBINER", type="COMBINER")
    model, plain = Message({"y": np.ones((1, 2), np.float32)}), Message({"data": np.full((1, 2), 3.0)}, typed=False)
    mean = node.run([model, plain] if typed_first else [plain, model])
    assert not mean.typed  # so that the next model gets what it accepts
    assert next(iter(mean.tensors.values())).tolist() == [[2.0, 2.0]]
    assert node.run([model, model]).typed


REJECTED = [
    ("RANDOM_ABTEST", 2, {}, "parameter ratioA: is missing, expected a number from 0 to 1"),
    ("RANDOM_ABTEST", 2, {"ratioA": 1.5}, "parameter ratioA: got '1.5', expected a number from 0 to 1"),
    ("RANDOM_ABTEST", 2, {"ratioA": "nan"}, "parameter ratioA: got 'nan', expected a number from 0 to 1"),
    ("RANDOM_ABTEST", 3, {"ratioA": 0.5}, "RANDOM_ABTEST has 3 children, expected 2"),
    ("EPSILON_GREEDY", 2, {"epsilon": "x"}, "parameter epsilon: got 'x', expected a number from 0 to 1"),
    ("EPSILON_GREEDY", 2, {"epsilom": 0.1}, "parameter epsilom: is unknown to this implementation"),
    ("THOMPSON_SAMPLING", 2, {"seed": -1}, "parameter seed: got '-1', expected a number from 0 to"),
]


@pytest.mark.parametrize(("implementation", "children", "parameters", "reason"), REJECTED)
def test_a_wrong_parameter_is_named(implementation: str, children: int, parameters: Any, reason: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        load(implementation, children, **parameters)
    assert reason in str(caught.value)


def average(*arrays: Any) -> Any:
    from fairlead_graph.nodes.builtin import _average

    return _average("mean", [Message({"y": np.asarray(array)}) for array in arrays]).tensors["y"]


def test_the_mean_keeps_floats_and_makes_integers_floats() -> None:
    floats = average(np.float32([1, 2]), np.float32([3, 6]))
    assert (floats.dtype, floats.tolist()) == (np.float32, [2.0, 4.0])
    integers = average(np.int64([1, 2]), np.int64([2, 2]))
    assert (integers.dtype, integers.tolist()) == (np.float64, [1.5, 2.0])
    with pytest.raises(NodeFailed, match=r"node mean: tensor y has the shapes \[2\] and \[1\]"):
        average([1.0, 2.0], [1.0])
    with pytest.raises(NodeFailed, match="not of numbers"):
        average(np.array(["a"], object), np.array(["b"], object))


@pytest.fixture(scope="module")
def uris(publish_model: Callable[..., str]) -> tuple[str, str]:
    """Return the URIs of two models: times 2 and times 4."""
    return tuple(publish_model(f"times-{factor:g}", onnx.scale(factor, ["n", 3])) for factor in (2.0, 4.0))  # type: ignore[return-value]


def models(uris: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"name": f"m{index}", "type": "MODEL", "modelUri": uri} for index, uri in enumerate(uris)]


def test_a_combiner_averages_models_in_one_server(start: Callable[..., Any], uris: tuple[str, str]) -> None:
    graph = {"name": "mean", "type": "COMBINER", "implementation": "AVERAGE_COMBINER", "children": models(uris)}
    server = start(graph).wait_ready()
    answer = server.infer({"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]})
    assert answer.json["outputs"][0]["data"] == [3.0, 6.0, 9.0]
    assert server.predict({"data": {"ndarray": [[1, 2, 3]]}}).json["meta"]["requestPath"]["mean"] == "AVERAGE_COMBINER"


def test_a_simple_model_answers_as_seldons_does(start: Callable[..., Any], folder: Path) -> None:
    server = start(LEAF).wait_ready()
    answer = server.predict({"data": {"ndarray": [[1, 2, 3]]}})
    assert answer.json["data"] == {"names": ["class0", "class1", "class2"], "ndarray": [[0.1, 0.9, 0.5]]}


def test_a_router_learns_from_the_feedback_of_its_clients(start: Callable[..., Any], uris: tuple[str, str]) -> None:
    parameters = [{"name": "epsilon", "value": "0.0", "type": "FLOAT"}]
    graph = {
        "name": "bandit", "type": "ROUTER", "implementation": "EPSILON_GREEDY", "parameters": parameters,
        "children": models(uris),
    }  # fmt: skip
    server = start(graph).wait_ready()
    request = {"data": {"ndarray": [[1, 2, 3]]}}
    first = server.predict(request).json
    assert first["meta"]["routing"] == {"bandit": 0}

    def feed(branch: Any, reward: Any) -> Any:
        response = {"meta": {"routing": {"bandit": branch}}}
        return server.post("/api/v1.0/feedback", {"request": request, "response": response, "reward": reward})

    assert feed(0, 0).status == 200
    assert feed(1, 1.0).status == 200
    assert server.predict(request).json["meta"]["routing"] == {"bandit": 1}
    for branch, reward, reason in (
        (2, 1, "response.meta.routing.bandit: got 2, expected -1 to 1, the children of bandit"),
        ("1", 1, "response.meta.routing.bandit: got '1', expected the index of a child"),
        (1, 3.5, "reward: got 3.5, expected 0 to 1, from which EPSILON_GREEDY learns"),
        (1, "1", "reward: got '1', expected a finite number"),
    ):
        answer = feed(branch, reward)
        assert (answer.status, answer.json["status"]["info"]) == (400, reason)
    metrics = server.get("/metrics").body.decode()
    assert 'service="feedback"' in metrics


@pytest.mark.parametrize("implementation", ["EPSILON_GREEDY", "THOMPSON_SAMPLING"])
def test_what_a_router_has_learned_outlives_its_process(
    start: Callable[..., Any], publish_model: Callable[..., str], implementation: str
) -> None:
    divide = onnx.model(
        [onnx.node("Div", ["x", "d"], ["y"])], [("x", "INT32", ["n"]), ("d", "INT32", ["n"])], [("y", "INT32", ["n"])]
    )
    children = [{"name": f"m{index}", "type": "MODEL", "modelUri": publish_model("div", divide)} for index in range(2)]
    parameters = [{"name": "epsilon", "value": "0", "type": "FLOAT"}] if implementation == "EPSILON_GREEDY" else []
    graph = {"name": "bandit", "type": "ROUTER", "implementation": implementation, "children": children}
    server = start({**graph, "parameters": [*parameters, {"name": "seed", "value": "1", "type": "INT"}]}).wait_ready()

    def ask(x: int, d: int) -> Any:
        tensors = (("x", x), ("d", d))
        return server.infer(
            *({"name": name, "datatype": "INT32", "shape": [1], "data": [value]} for name, value in tensors)
        )

    def taken() -> int:
        """Return how many requests the second child has had."""
        lines = server.get("/metrics").body.decode().splitlines()
        name = "seldon_api_executor_client_requests_seconds_count"
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and '"m1"' in line))

    for branch, reward in ((0, 0.0), (1, 1.0)):
        for _ in range(40):
            feedback = {"response": {"meta": {"routing": {"bandit": branch}}}, "reward": reward}
            assert server.post("/api/v1.0/feedback", feedback).status == 200
    assert ask(-(2**31), -1).json["error"].startswith("the model process was ended by SIGFPE")
    server.wait_ready()
    before = taken()
    assert all(ask(8, 2).json["outputs"][0]["data"] == [4] for _ in range(20))
    assert taken() - before == 20


def test_what_a_router_has_learned_outlives_the_server(
    start: Callable[..., Any], uris: tuple[str, str], tmp_path: Path
) -> None:
    parameters = [{"name": "epsilon", "value": "0", "type": "FLOAT"}]
    graph = {"name": "r", "type": "ROUTER", "implementation": "EPSILON_GREEDY", "parameters": parameters}
    graph["children"] = models(uris)  # type: ignore[assignment]
    request = {"data": {"ndarray": [[1, 2, 3]]}}

    def route(server: Any) -> int:
        return int(server.predict(request).json["meta"]["routing"]["r"])

    def begin(nodes: Any) -> Any:
        return start(nodes, FAIRLEAD_STATE_FOLDER=str(tmp_path)).wait_ready()

    first = begin(graph)
    assert route(first) == 0
    feedback = {"response": {"meta": {"routing": {"r": 1}}}, "reward": 1.0}
    assert first.post("/api/v1.0/feedback", feedback).status == 200
    assert first.stop() == 0
    second = begin(graph)
    assert route(second) == 1
    assert second.post("/api/v1.0/feedback", {**feedback, "reward": 0.0}).status == 200
    second.wait(lambda: "[[0.0,1.0],[0.0,1.0]]" in (tmp_path / "routers.json").read_text())
    second.process.kill()
    assert route(begin({**graph, "parameters": [{**parameters[0], "value": "0.0"}]})) == 0  # another graph
    (tmp_path / "routers.json").write_text('{"version": "x", "nodes": {"r": NaN}}')
    last = begin(graph)
    assert route(last) == 0
    assert "what routers have learned cannot be read" in last.log.read_text()


def test_feedback_reaches_a_microservice(start: Callable[..., Any], seldon: Callable[..., dict[str, Any]]) -> None:
    server = start({"name": "remote", "type": "MODEL", "endpoint": seldon()}).wait_ready()
    body = {"request": {"data": {"ndarray": [[1, 2, 3]]}}, "response": {"meta": {}}, "reward": 1.0}
    answer = server.post("/api/v1.0/feedback", body)
    assert answer.status == 200, answer.body
    assert "/send-feedback" in server.get("/metrics").body.decode()
