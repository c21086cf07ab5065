"""A graph server with several model processes: what is counted or learned in one of them is what all of them know."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.model_memory import MIN_PROCESS_BYTES, find_least_memory
from fairlead_contracts.monitor import PATH, ColumnFacts, MonitorFacts, NodeFacts, TensorFacts
from fairlead_contracts.psi import measure_psi
from fairlead_contracts.reference import FILE, Numbers, Reference, TensorReference
from fairlead_graph.devices import read_devices
from fairlead_graph.errors import InvalidGraph
from fairlead_graph.monitor.metrics import MonitorMetrics
from fairlead_graph.monitor.sum import add_up
from fairlead_graph.settings import read_settings
from fairlead_serving.errors import ServingError
from fairlead_serving.limits import Limits
from prometheus_client import CollectorRegistry

from tests.support import onnx_models as onnx

Start = Callable[..., Any]
TWO = {"FAIRLEAD_MODEL_PROCESSES": "2"}
INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}
SEVERAL = "FAIRLEAD_MODEL_PROCESSES"
DIGEST = "sha256:" + "0" * 64


def list_children(server: Any) -> list[int]:
    """Return the ids of a server's processes, in the order of their starts."""
    text = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in text.split()]


@contextmanager
def first_occupied(server: Any, ask: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Let the first process have a request that it answers after the block, so that others go to the second."""
    first, _ = list_children(server)
    os.kill(first, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        try:
            answer = pool.submit(ask)
            server.wait(lambda: b"fairlead_graph_requests_in_flight 1.0" in server.get("/metrics").body)
            yield answer
        finally:
            os.kill(first, signal.SIGCONT)


@pytest.fixture(scope="module")
def server(start: Start, publish_model: Callable[..., str]) -> Any:
    """Return a ready server of one model, times 2, with two processes."""
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    return start({"name": "twice", "type": "MODEL", "modelUri": uri}, **TWO).wait_ready()


def test_a_process_that_stands_still_holds_up_its_own_request_alone(server: Any) -> None:
    with first_occupied(server, lambda: server.infer(INPUT)) as waiting:
        assert [server.infer(INPUT).status for _ in range(5)] == [200] * 5
        assert not waiting.done()
    assert waiting.result().json["outputs"][0]["data"] == [2, 4, 8]


def test_processes_that_are_killed_are_replaced_and_counted(server: Any) -> None:
    before = list_children(server)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    counted = b'process_restarts_total{cause="was ended by SIGKILL (perhaps for memory)"} 2.0'
    server.wait(lambda: counted in server.get("/metrics").body)
    assert server.infer(INPUT).json["outputs"][0]["data"] == [2, 4, 8]
    server.wait(lambda: len(list_children(server)) == 2)
    assert not {*list_children(server)} & {*before}


def test_a_request_that_ends_its_process_costs_no_other_request(
    start: Start, publish_model: Callable[..., str]
) -> None:  # fmt: skip
    ports = [("a", "INT64", ["n"]), ("b", "INT64", ["n"])]
    model = onnx.model([onnx.node("Div", ["a", "b"], ["c"])], ports, [("c", "INT64", ["n"])])
    server = start({"name": "div", "type": "MODEL", "modelUri": publish_model("div", model)}, **TWO).wait_ready()

    def divide(a: int, b: int) -> Any:
        pair = (("a", a), ("b", b))
        return server.infer(*({"name": n, "datatype": "INT64", "shape": [1], "data": [value]} for n, value in pair))

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(divide, number, 3) for number in range(60)]
        crashed = [divide(-(2**63), -1) for _ in range(3)]
        assert [other.result().json["outputs"][0]["data"] for other in others] == [[n // 3] for n in range(60)]
    assert {answer.status for answer in crashed} == {500}


@pytest.mark.parametrize("implementation", ["EPSILON_GREEDY", "THOMPSON_SAMPLING"])
def test_what_a_router_learns_is_known_in_each_process_and_after_a_crash(
    start: Start, publish_model: Callable[..., str], tmp_path: Path, implementation: str
) -> None:
    uri = publish_model("twice", onnx.scale(2.0, ["n", 3]))
    epsilon = [{"name": "epsilon", "value": "0.0", "type": "FLOAT"}] if implementation == "EPSILON_GREEDY" else []
    graph = {
        "name": "bandit", "type": "ROUTER", "implementation": implementation, "parameters": epsilon,
        "children": [{"name": f"m{index}", "type": "MODEL", "modelUri": uri} for index in range(2)],
    }  # fmt: skip
    server = start(graph, FAIRLEAD_STATE_FOLDER=str(tmp_path), **TWO).wait_ready()
    request = {"data": {"ndarray": [[1, 2, 3]]}}

    def feed(branch: int, reward: float) -> None:
        response = {"meta": {"routing": {"bandit": branch}}}
        rows = {"data": {"ndarray": [[1, 2, 3]] * 500}}
        answer = server.post("/api/v1.0/feedback", {"request": rows, "response": response, "reward": reward})
        assert answer.status == 200, answer.body

    def choose() -> int:
        return int(server.predict(request).json["meta"]["routing"]["bandit"])

    feed(0, 0)
    feed(1, 1)
    with first_occupied(server, choose) as waiting:
        assert [choose() for _ in range(5)] == [1] * 5
    assert waiting.result() == 1
    for pid in list_children(server):
        os.kill(pid, signal.SIGKILL)
    server.wait(lambda: b'SIGKILL (perhaps for memory)"} 2.0' in server.get("/metrics").body)
    with ThreadPoolExecutor(8) as pool:
        assert {asked.result() for asked in [pool.submit(choose) for _ in range(16)]} == {1}
    # the file is written some time after the feedback, of which it may have the first alone
    server.wait(lambda: "[[0.0,500.0],[500.0,0.0]]" in (tmp_path / "routers.json").read_text())


NUMBERS = Numbers(index=0, minimum=0.0, edges=(1.0, 2.0, 3.0), counts=(10, 10, 10), not_finite=0)
REFERENCE = Reference(
    split="train", rows=30, outputs=(),
    inputs=(TensorReference(name="x", datatype="FP32", width=3, columns=(NUMBERS,)),),
)  # fmt: skip


def test_monitors_add_up_what_the_processes_have_counted(start: Start, publish_model: Callable[..., str]) -> None:
    files = {"model.onnx": onnx.scale(2.0, ["n", 3]), FILE: REFERENCE.model_dump_json(by_alias=True).encode()}
    graph = {"name": "model", "type": "MODEL", "modelUri": publish_model("model", files)}
    document = {"deployment": "digits", "predictor": "main", "graph": graph, "monitor": {"windowSeconds": 3600}}
    server = start(json.dumps(document).encode(), **TWO).wait_ready()
    with first_occupied(server, lambda: server.infer(INPUT)):
        for value in (0.5, 0.5, 2.5):
            assert server.infer({**INPUT, "data": [value, 2, 4]}).status == 200

    def read() -> NodeFacts:
        return MonitorFacts.parse_json(server.get(PATH).body, PATH).nodes[0]

    server.wait(lambda: server.get(PATH).status == 200 and read().rows == 4)
    column = read().tensors[0].columns[0]
    assert column.counts == (0, 3, 0, 1, 0, 0)  # 1 in the first process, 0.5 twice and 2.5 in the second
    index = measure_psi(column.reference, column.counts)
    metrics = server.get("/metrics").body.decode()
    assert 'fairlead_graph_monitor_rows_total{node="model"} 4.0' in metrics
    assert f'fairlead_graph_monitor_psi{{node="model",side="input",tensor="x"}} {index}' in metrics
    # a process that is replaced counts from zero, and its rows are not counted again
    os.kill(list_children(server)[0], signal.SIGKILL)
    server.wait(lambda: server.get(PATH).status == 200 and read().rows == 3)
    assert 'fairlead_graph_monitor_rows_total{node="model"} 4.0' in server.get("/metrics").body.decode()


def build_node(*counts: int) -> NodeFacts:
    columns = (ColumnFacts(index=0, reference=(5, 5), counts=counts),)
    tensors = (TensorFacts(side="input", name="x", columns=columns),)
    return NodeFacts(node="m", digest=DIGEST, reference_rows=10, rows=sum(counts), skipped=1, tensors=tensors)


def build_reply(node: NodeFacts) -> tuple[dict[str, Any], bytes]:
    summary = {"m": {"rows": node.rows, "skipped": 1, "psi": [["input", "x", 9.0]]}} if node.tensors else {}
    return {"monitor": summary}, MonitorFacts(predictor="main", nodes=(node,)).model_dump_json(by_alias=True).encode()


async def add(*nodes: NodeFacts) -> tuple[list[dict[str, Any]], NodeFacts]:
    summaries, content = await add_up([build_reply(node) for node in nodes])
    return summaries, MonitorFacts.parse_json(content, PATH).nodes[0]


def test_counts_rows_and_indexes_are_those_of_all_processes() -> None:
    summaries, node = asyncio.run(add(build_node(3, 1), build_node(0, 4), build_node(1, 0)))
    assert (node.rows, node.skipped, node.tensors[0].columns[0].counts) == (9, 3, (4, 5))
    index = measure_psi((5, 5), (4, 5))
    assert [summary["m"]["psi"] for summary in summaries] == [[["input", "x", index]]] * 3
    assert [summary["m"]["rows"] for summary in summaries] == [4, 4, 1]
    # a model that is not monitored is not monitored in any of them
    broken = NodeFacts(node="m", digest=DIGEST, problem="there is no reference.json beside model.onnx")
    assert asyncio.run(add(broken, broken))[1] == broken


def test_a_model_that_only_one_process_cannot_observe_is_not_monitored_and_the_others_are() -> None:
    other = build_node(1, 2).model_copy(update={"node": "other"})
    broken = NodeFacts(node="m", digest=DIGEST, problem="reference.json cannot be read")
    both = [
        ({"monitor": {}}, MonitorFacts(predictor="main", nodes=nodes).model_dump_json(by_alias=True).encode())
        for nodes in ((build_node(3, 1), other), (other, broken))
    ]
    _, content = asyncio.run(add_up(both))
    summed, counted = MonitorFacts.parse_json(content, PATH).nodes
    assert (summed, counted.tensors[0].columns[0].counts) == (broken, (2, 4))


@pytest.mark.parametrize("content", [b"{}", b"{", b'{"nodes": []}', b'{"nodes": [{"node": "m"}]}', b" " * (2 << 20)])
def test_counts_that_do_not_add_up_are_an_error_of_the_server(content: bytes) -> None:
    with pytest.raises(ServingError, match="do not add up"):
        asyncio.run(add_up([build_reply(build_node(3, 1)), ({"monitor": {}}, content)]))


def test_counters_add_up_over_processes_that_are_replaced_one_by_one() -> None:
    registry = CollectorRegistry()
    metrics = MonitorMetrics(registry)
    for first, second in ((10, 20), (15, 20), (2, 21), (3, 4)):
        for process, rows in enumerate((first, second)):
            metrics.observe({"m": {"rows": rows, "skipped": 0, "psi": []}}, process)
    assert registry.get_sample_value("fairlead_graph_monitor_rows_total", {"node": "m"}) == 15 + 3 + 21 + 4


class Plane:
    """The facts of two processes, of which the second had no memory left on the GPU."""

    def read_facts(self) -> list[tuple[dict[str, Any], bytes]]:
        cuda, cpu = (
            {"node": "a", "provider": "CUDA", "problem": None},
            {"node": "a", "provider": "CPU", "problem": "full"},
        )
        other = {**cuda, "node": "b"}
        return [({"devices": {"nodes": [one, other]}}, b"") for one in (cuda, cpu)]


def test_a_model_that_one_process_runs_on_the_cpu_runs_there() -> None:
    nodes = read_devices(Plane())["nodes"]  # type: ignore[arg-type]
    assert [(node["node"], node["provider"]) for node in nodes] == [("a", "CPU"), ("b", "CUDA")]


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({SEVERAL: "0"}, "FAIRLEAD_MODEL_PROCESSES: got '0', expected an integer of at least 1 and at most 16"),
        ({SEVERAL: "17"}, "FAIRLEAD_MODEL_PROCESSES: got '17', expected an integer of at least 1 and at most 16"),
        ({SEVERAL: "two"}, "FAIRLEAD_MODEL_PROCESSES: got 'two', expected an integer of at least 1 and at most 16"),
        ({SEVERAL: "8"}, "FAIRLEAD_MODEL_PROCESSES: got '8', expected at most 6: each needs 192 MiB of"),
        ({SEVERAL: "2", "FAIRLEAD_MEMORY_BYTES": str(256 << 20)}, "got '2', expected at most 1: each needs 192 MiB of"),
    ],
)
def test_a_number_of_processes_that_cannot_be_is_rejected(variables: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        read_settings(variables)
    assert reason in str(caught.value)


@pytest.mark.parametrize("count", range(2, 17))
def test_the_least_memory_gives_each_process_what_it_needs_and_no_less_does(count: int) -> None:
    least = find_least_memory(count)
    settings = read_settings({SEVERAL: str(count), "FAIRLEAD_MEMORY_BYTES": str(least)})
    assert settings.limits.share_model_bytes(count) >= MIN_PROCESS_BYTES
    with pytest.raises(InvalidGraph):
        read_settings({SEVERAL: str(count), "FAIRLEAD_MEMORY_BYTES": str(least - 1)})
    assert Limits(memory_bytes=least - 1).share_model_bytes(count) < MIN_PROCESS_BYTES


def test_an_invalid_setting_is_in_the_termination_report(start: Start, tmp_path: Path) -> None:
    message = tmp_path / "termination"
    graph = {"name": "m", "type": "MODEL", "implementation": "SIMPLE_MODEL"}
    server = start(graph, FAIRLEAD_TERMINATION_LOG=str(message), FAIRLEAD_MODEL_PROCESSES="17")
    assert server.process.wait(60) == 1, server.log.read_text()
    report = json.loads(message.read_text())
    assert report["failure"]["message"].startswith("FAIRLEAD_MODEL_PROCESSES: got '17', expected an integer of")


def test_processes_share_the_cores_unless_the_threads_are_set() -> None:
    cores = len(os.sched_getaffinity(0))
    assert read_settings({}).processes == 1
    threads = [read_settings({SEVERAL: str(count)}).nodes.worker_threads for count in (1, 2, 6)]
    assert threads == [int(np.ceil(cores / count)) for count in (1, 2, 6)]
    assert read_settings({SEVERAL: "2", "FAIRLEAD_WORKER_THREADS": "5"}).nodes.worker_threads == 5
