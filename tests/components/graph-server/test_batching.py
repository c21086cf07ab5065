"""Dynamic batching: what is run together, that answers are those of single runs, and who fails with whom."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.graph import Batching
from fairlead_contracts.tensors import TensorSpec
from fairlead_graph.errors import NodeFailed, NodeTooLate, RequestRejected
from fairlead_graph.nodes.batching import Batcher
from fairlead_graph.tensors import Message, bind
from fairlead_serving.errors import Code

from tests.support import onnx_models as onnx
from tests.support.loops import in_a_loop

Array = Any
BATCHING = {"maxBatchSize": 8, "maxDelayMilliseconds": 1000.0}


class Model:
    """Doubles rows, notes the sizes of its runs, and waits until it may go on."""

    def __init__(self, size: int = 8, delay: float = 1000.0, slots: int = 1) -> None:
        self.runs: list[int] = []
        self.go = asyncio.Event()
        self.go.set()
        self.batcher = Batcher("m", Batching(max_batch_size=size, max_delay_milliseconds=delay), self._run, slots)

    async def _run(self, feeds: dict[str, Array], deadline: float) -> list[Array]:
        x = feeds["x"]
        self.runs.append(len(x))
        await self.go.wait()
        if (x < 0).any():
            raise RequestRejected("node m", -1, "positive numbers")
        return [x * 2, x.sum(axis=1)] if not (x == 99).any() else [x[:1], x[:1]]

    def ask(self, *rows: Any, seconds: float = 60.0) -> "asyncio.Task[list[Array]]":
        deadline = asyncio.get_running_loop().time() + seconds
        feeds = {"x": np.array(rows, np.float32)}
        return asyncio.get_running_loop().create_task(self.batcher.run(feeds, deadline))


@in_a_loop
async def test_full_batches_are_run_at_once_and_rows_come_back_to_their_requests() -> None:
    model = Model(size=4)
    first, second, third = model.ask([1, 2], [3, 4]), model.ask([5, 6]), model.ask([7, 8])
    results = await asyncio.gather(first, second, third)
    assert model.runs == [4]
    assert [result[0].tolist() for result in results] == [[[2, 4], [6, 8]], [[10, 12]], [[14, 16]]]
    assert [result[1].tolist() for result in results] == [[3, 7], [11], [15]]


@in_a_loop
async def test_a_batch_that_is_not_full_waits_for_its_delay_only() -> None:
    model = Model(delay=20.0)
    results = await asyncio.gather(model.ask([1, 2]), model.ask([3, 4]))
    assert (model.runs, [len(result[0]) for result in results]) == ([2], [1, 1])


@in_a_loop
async def test_what_does_not_fit_begins_the_next_batch() -> None:
    model = Model(size=4, delay=20.0)
    await asyncio.gather(model.ask([1, 2], [1, 2], [1, 2]), model.ask([1, 2], [1, 2]))
    assert model.runs == [3, 2]


@in_a_loop
async def test_requests_of_another_shape_never_share_a_run() -> None:
    model = Model(size=2, delay=20.0)
    results = await asyncio.gather(model.ask([1, 2]), model.ask([1, 2, 3]), model.ask([3, 4]))
    assert sorted(model.runs) == [1, 2]
    assert [result[0].shape for result in results] == [(1, 2), (1, 3), (1, 2)]


@in_a_loop
async def test_a_request_without_time_to_wait_is_not_held() -> None:
    model = Model(delay=1000.0)
    model.batcher._seconds = 10.0
    await asyncio.gather(model.ask([1, 2]), model.ask([3, 4], seconds=15.0))
    assert model.runs == [2]


@in_a_loop
async def test_requests_join_a_batch_that_waits_for_its_turn() -> None:
    model = Model(delay=0.0)
    model.go.clear()
    first = model.ask([1, 2])
    await asyncio.sleep(0.01)
    others = [model.ask([3, 4]) for _ in range(3)]
    await asyncio.sleep(0.01)
    model.go.set()
    await asyncio.gather(first, *others)
    assert model.runs == [1, 3]


@in_a_loop
async def test_a_request_with_invalid_values_fails_alone() -> None:
    model = Model(size=3)
    good, bad, other = model.ask([1, 2]), model.ask([-1, 2]), model.ask([3, 4])
    await asyncio.wait([good, bad, other])
    assert (good.result()[0].tolist(), other.result()[0].tolist()) == ([[2, 4]], [[6, 8]])
    assert isinstance(bad.exception(), RequestRejected)
    assert model.runs == [3, 1, 1, 1]


@in_a_loop
async def test_a_model_that_answers_with_other_rows_is_run_request_by_request() -> None:
    model = Model(size=2)
    results = await asyncio.gather(model.ask([99, 2]), model.ask([3, 4]))
    assert [result[0].shape for result in results] == [(1, 2), (1, 2)]
    assert model.runs == [2, 1, 1]


@in_a_loop
async def test_large_and_empty_requests_are_not_batched() -> None:
    model = Model(size=2)
    await asyncio.gather(model.ask([1, 2], [1, 2], [1, 2]), model.batcher.run({"x": np.zeros((0, 2))}, 1e9))
    assert sorted(model.runs) == [0, 3]


@in_a_loop
async def test_a_request_leaves_at_its_deadline_and_others_go_on() -> None:
    model = Model(size=2)
    model.go.clear()
    late, other = model.ask([1, 2], seconds=0.05), model.ask([3, 4])
    with pytest.raises(NodeTooLate):
        await late
    model.go.set()
    assert (await other)[0].tolist() == [[6, 8]]


@in_a_loop
async def test_a_cancelled_request_is_not_run() -> None:
    model = Model(delay=20.0)
    gone, other = model.ask([1, 2]), model.ask([3, 4])
    await asyncio.sleep(0)
    gone.cancel()
    await other
    assert model.runs == [1]


@in_a_loop
async def test_a_batch_that_runs_too_long_is_not_repeated() -> None:
    model = Model(size=2)

    async def run(feeds: dict[str, Array], deadline: float) -> list[Array]:
        model.runs.append(len(feeds["x"]))
        raise NodeTooLate("m")

    model.batcher._run = run
    failed = await asyncio.gather(model.ask([1, 2]), model.ask([3, 4]), return_exceptions=True)
    assert [getattr(error, "code", None) for error in failed] == [Code.TOO_LATE] * 2
    assert model.runs == [2]
    assert issubclass(NodeTooLate, NodeFailed)


@in_a_loop
async def test_a_batch_without_memory_is_run_request_by_request() -> None:
    model = Model(size=2)
    double = model._run

    async def run(feeds: dict[str, Array], deadline: float) -> list[Array]:
        if len(feeds["x"]) > 1:
            raise MemoryError
        return await double(feeds, deadline)

    model.batcher._run = run
    results = await asyncio.gather(model.ask([1, 2]), model.ask([3, 4]))
    assert [result[0].tolist() for result in results] == [[[2, 4]], [[6, 8]]]


@in_a_loop
async def test_an_error_in_the_program_leaves_no_request_waiting() -> None:
    model = Model(size=2)

    async def run(feeds: dict[str, Array], deadline: float) -> list[Array]:
        raise KeyError("an error in the program")

    model.batcher._run = run
    failed = await asyncio.gather(model.ask([1, 2]), model.ask([3, 4]), return_exceptions=True)
    assert [str(error) for error in failed] == ["node m: its batch was not run to the end"] * 2
    model.batcher._run = model._run
    assert (await asyncio.gather(model.ask([1, 2]), model.ask([3, 4])))[1][0].tolist() == [[6, 8]]


def wrap(graph: dict[str, Any], **batching: Any) -> dict[str, Any]:
    return {"deployment": "digits", "predictor": "main", "graph": graph, "batching": {**BATCHING, **batching}}


def network() -> bytes:
    """Return digits' network, 64-128-64-10, with random weights."""
    random, nodes, tensors, last = np.random.default_rng(1), [], [], "input"
    for index, (size, more) in enumerate(((64, 128), (128, 64), (64, 10))):
        name = f"l{index}"
        tensors += [
            onnx.tensor(f"{name}w", random.normal(size=(size, more)).astype(np.float32)),
            onnx.tensor(f"{name}b", random.normal(size=more).astype(np.float32)),
        ]
        out = "logits" if index == 2 else f"{name}out"
        nodes += [onnx.node("Gemm", [last, f"{name}w", f"{name}b"], [out if index == 2 else f"{name}sum"])]
        nodes += [] if index == 2 else [onnx.node("Relu", [f"{name}sum"], [out])]
        last = out
    ports = [("input", "FP32", ["n", 64])], [("logits", "FP32", ["n", 10])]
    return onnx.model(nodes, *ports, tensors)


def test_answers_of_a_batch_are_those_of_single_runs(
    start: Callable[..., Any], publish_model: Callable[..., str], as_document: Callable[[Any], bytes]
) -> None:
    node = {"name": "m", "type": "MODEL", "modelUri": publish_model("network", network())}
    single = start(node).wait_ready()
    batched = start(as_document(wrap(node, maxBatchSize=16, maxDelayMilliseconds=50.0))).wait_ready()
    rows = np.random.default_rng(2).normal(size=(16, 64)).astype(np.float32)

    def ask(server: Any, row: Array) -> Array:
        answer = server.infer({"name": "input", "datatype": "FP32", "shape": [1, 64], "data": row.tolist()})
        assert answer.status == 200, answer.body
        return np.array(answer.json["outputs"][0]["data"], np.float32)

    with ThreadPoolExecutor(16) as pool:
        together = np.stack(list(pool.map(lambda row: ask(batched, row), rows)))
    alone = np.stack([ask(single, row) for row in rows])
    # a matrix product of one row may use another kernel than one of many, which rounds in another order
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    assert (together.argmax(axis=1) == alone.argmax(axis=1)).all()


def test_rows_of_an_elementwise_model_are_the_same_to_the_last_bit(
    start: Callable[..., Any], publish_model: Callable[..., str], as_document: Callable[[Any], bytes]
) -> None:
    steps = ("Exp", "Sqrt", "Tanh", "Sigmoid")
    nodes = [onnx.node(name, [f"t{index}"], [f"t{index + 1}"]) for index, name in enumerate(steps)]
    model = onnx.model(nodes, [("t0", "FP32", ["n", 7])], [("t4", "FP32", ["n", 7])])
    node = {"name": "m", "type": "MODEL", "modelUri": publish_model("steps", model)}
    single, batched = start(node).wait_ready(), start(as_document(wrap(node))).wait_ready()
    rows = np.random.default_rng(3).normal(size=(8, 7)).astype(np.float32)

    def ask(server: Any, row: Array) -> list[float]:
        return list(server.infer({"name": "t0", "datatype": "FP32", "shape": [1, 7], "data": row.tolist()})
                    .json["outputs"][0]["data"])  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda row: ask(batched, row), rows))
    assert together == [ask(single, row) for row in rows]


FIXED = [
    ([2, 3], [2, 3], "has shape [2, 3], expected a first dimension of any size (-1)"),
    ([], [], "has shape [], expected a first dimension of any size (-1)"),
]


@pytest.mark.parametrize(("inputs", "outputs", "reason"), FIXED, ids=["fixed", "scalar"])
def test_a_model_without_a_free_first_dimension_is_rejected(
    start: Callable[..., Any], publish_model: Callable[..., str], as_document: Callable[[Any], bytes],
    inputs: Any, outputs: Any, reason: str,
) -> None:  # fmt: skip
    model = onnx.model([onnx.node("Identity", ["x"], ["y"])], [("x", "FP32", inputs)], [("y", "FP32", outputs)])
    node = {"name": "m", "type": "MODEL", "modelUri": publish_model("fixed", model)}
    server = start(as_document(wrap(node)))
    assert server.process.wait(60) == 1
    assert f'"at": "node m: input x", "reason": "{reason}' in server.log.read_text()


def test_batching_without_a_model_is_rejected(start: Callable[..., Any], as_document: Callable[[Any], bytes]) -> None:
    server = start(as_document(wrap({"name": "m", "type": "MODEL", "implementation": "SIMPLE_MODEL"})))
    assert server.process.wait(60) == 1
    assert (
        '"at": "batching", "reason": "got batching, expected none in a graph without a modelUri"'
        in server.log.read_text()
    )


def test_a_checked_request_has_its_inputs_in_the_order_of_the_node() -> None:
    """Whatever order a client has sent them in: they are a part of what the requests of a batch have in common."""
    specs = (TensorSpec("a", "FP32", (None,)), TensorSpec("b", "FP32", (None,)))
    sent = {"b": np.ones(1, np.float32), "a": np.zeros(1, np.float32)}
    assert list(bind(specs, Message(sent, checked=specs), "node x: input")) == ["a", "b"]
    assert list(bind(specs, Message(sent), "node x: input")) == ["a", "b"]
