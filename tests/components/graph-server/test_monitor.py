"""Monitoring: what models accept and return is counted by the bins of their reference, exactly, and within bounds."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.binning import Binning
from fairlead_contracts.graph import Monitor
from fairlead_contracts.monitor import PATH, MonitorFacts, NodeFacts
from fairlead_contracts.reference import FILE, Categories, Numbers, Reference, TensorReference
from fairlead_graph.monitor.counting import SLICES
from fairlead_graph.monitor.metrics import MonitorMetrics
from fairlead_graph.monitor.observer import MAX_WAITING_BYTES, Observer
from prometheus_client import CollectorRegistry

from tests.support import onnx_models

Publish = Callable[..., str]
EDGES = tuple(np.linspace(-1.5, 1.5, 16).tolist())
PLACES = ("x", "code", "text")
DIGEST = "sha256:" + "0" * 64


def build_reference(**changes: Any) -> Reference:
    """Return the reference of a model with numbers, integers and texts, each of which it returns."""
    numbers = tuple(
        Numbers(index=index, minimum=-2.0, edges=EDGES, counts=(10,) * 16, not_finite=index) for index in range(2)
    )
    code = Categories(index=0, values=(0, 1, 2), counts=(100, 50, 10), other=1)
    text = Categories(index=0, values=("a", "ü"), counts=(150, 10), other=1)
    sides = {
        suffix: (
            TensorReference(name=f"x{suffix}", datatype="FP32", width=2, columns=numbers),
            TensorReference(name=f"code{suffix}", datatype="INT64", width=1, columns=(code,)),
            TensorReference(name=f"text{suffix}", datatype="BYTES", width=1, columns=(text,)),
        )
        for suffix in ("", "_out")
    }
    values = {"split": "train", "rows": 161, "inputs": sides[""], "outputs": sides["_out"], **changes}
    return Reference(**values)


def build_model() -> bytes:
    ports = [("x", "FP32", ["n", 2]), ("code", "INT64", ["n", 1]), ("text", "BYTES", ["n"])]
    nodes = [onnx_models.node("Identity", [name], [f"{name}_out"]) for name in PLACES]
    return onnx_models.model(nodes, ports, [(f"{name}_out", kind, shape) for name, kind, shape in ports])


def make_rows(seed: int, rows: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 2)).astype(np.float32)
    x[generator.random((rows, 2)) < 0.05] = np.nan
    x[generator.random((rows, 2)) < 0.05] = np.inf
    text = np.array(generator.choice(["a", "ü", "other", "a" * 500], rows), object)
    return {"x": x, "code": generator.integers(-1, 5, (rows, 1)), "text": text}


def encode(rows: dict[str, np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """Return the body and the header of a request with binary tensors, which may have values that JSON has not."""
    x, code, text = rows["x"], rows["code"], rows["text"]
    packed = b"".join(len(word.encode()).to_bytes(4, "little") + word.encode() for word in text)
    inputs, blocks = [], [x.tobytes(), code.astype("<i8").tobytes(), packed]
    for name, kind, block in zip(PLACES, ("FP32", "INT64", "BYTES"), blocks, strict=True):
        shape, parameters = list(rows[name].shape), {"binary_data_size": len(block)}
        inputs.append({"name": name, "datatype": kind, "shape": shape, "parameters": parameters})
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    return head + b"".join(blocks), {"Inference-Header-Content-Length": str(len(head))}


def count_alike(reference: Reference, requests: list[dict[str, np.ndarray]]) -> dict[tuple[str, str], list[list[int]]]:
    """Return the counts of each column of each tensor, of all requests at once."""
    expected = {}
    for side, tensors in (("input", reference.inputs), ("output", reference.outputs)):
        for tensor in tensors:
            binning = Binning(tensor)
            picked = binning.pick(np.concatenate([rows[tensor.name.removesuffix("_out")] for rows in requests]))
            assert picked is not None
            counts = binning.count(picked).tolist()
            ends = np.cumsum(binning.sizes).tolist()
            expected[side, tensor.name] = [
                counts[end - size : end] for end, size in zip(ends, binning.sizes, strict=True)
            ]
    return expected


def read_counts(node: NodeFacts) -> dict[tuple[str, str], list[list[int]]]:
    return {(t.side, t.name): [list(column.counts) for column in t.columns] for t in node.tensors}


def monitored(uri: str, **more: Any) -> bytes:
    graph = {"name": "model", "type": "MODEL", "modelUri": uri}
    document = {"deployment": "digits", "predictor": "main", "graph": graph, "monitor": {"windowSeconds": 3600}, **more}
    return json.dumps(document).encode()


def read_facts(server: Any) -> MonitorFacts:
    answer = server.get(PATH)
    assert answer.status == 200, answer.body
    return MonitorFacts.parse_json(answer.body, PATH)


@pytest.mark.parametrize("batching", [None, {"maxBatchSize": 8, "maxDelayMilliseconds": 1}])
def test_a_server_counts_what_its_model_accepts_and_returns(
    start: Callable[..., Any], publish_model: Publish, batching: dict[str, int] | None
) -> None:
    reference = build_reference()
    files = {"model.onnx": build_model(), FILE: reference.model_dump_json(by_alias=True).encode()}
    document = monitored(publish_model("model", files), **({"batching": batching} if batching else {}))
    server = start(document).wait_ready()
    assert read_facts(server).nodes[0].rows == 0, "the warm-up is no request"
    requests = [make_rows(seed, rows) for seed, rows in enumerate((1, 1, 7, 300))]
    for rows in requests:
        body, headers = encode(rows)
        answer = server.post("/v2/models/digits/infer", body, headers)
        assert answer.status == 200, answer.body
    assert server.post("/v2/models/digits/infer", {"inputs": []}).status == 400
    server.wait(lambda: read_facts(server).nodes[0].rows == 309)
    facts = read_facts(server)
    (node,) = facts.nodes
    assert (facts.predictor, node.node, node.problem, node.reference_rows, node.skipped) == (
        "main",
        "model",
        None,
        161,
        0,
    )
    assert read_counts(node) == count_alike(reference, requests)
    assert node.tensors[0].columns[0].reference == reference.inputs[0].columns[0].slots
    metrics = server.get("/metrics").body.decode()
    assert 'fairlead_graph_monitor_rows_total{node="model"} 309.0' in metrics
    assert 'fairlead_graph_monitor_psi{node="model",side="input",tensor="code"}' in metrics
    assert server.request("PUT", PATH, b"{}").status == 405
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "there is no reference.json beside model.onnx"),
        (b"{", "reference.json: got invalid JSON"),
        (b" " * (5 << 20), "reference.json: got 4194305 bytes, expected at most 4194304"),
        (
            build_reference(inputs=build_reference().outputs).model_dump_json(by_alias=True).encode(),
            "reference.json: inputs.x_out: got it, expected one of x, code, text",
        ),
    ],
)  # fmt: skip
def test_a_model_whose_reference_cannot_be_used_serves_and_says_so(
    start: Callable[..., Any], publish_model: Publish, content: bytes | None, problem: str
) -> None:
    files = {"model.onnx": build_model(), **({FILE: content} if content is not None else {})}
    server = start(monitored(publish_model("model", files))).wait_ready()
    body, headers = encode(make_rows(0, 3))
    assert server.post("/v2/models/digits/infer", body, headers).status == 200
    (node,) = read_facts(server).nodes
    assert (node.rows, node.tensors) == (0, ())
    assert str(node.problem).startswith(problem)


def test_a_server_that_monitors_nothing_has_no_such_path(start: Callable[..., Any], publish_model: Publish) -> None:
    server = start({"name": "m", "type": "MODEL", "modelUri": publish_model("model", build_model())}).wait_ready()
    assert server.get(PATH).status == 404


# The observer alone, with a clock that is set


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def executor() -> Any:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def observe(observer: Observer, rows: dict[str, np.ndarray]) -> None:
    observer.observe(rows, {f"{name}_out": array for name, array in rows.items()})


def build_observer(executor: Executor, clock: Clock, percent: int | None = None) -> Observer:
    settings = Monitor(window_seconds=80, sample_percent=percent)
    return Observer("model", DIGEST, build_reference(), settings, executor, clock)


def test_a_window_forgets_what_is_older_and_nothing_younger(executor: Executor) -> None:
    clock = Clock()
    observer = build_observer(executor, clock)
    requests = [make_rows(seed, 3) for seed in range(30)]
    for index, rows in enumerate(requests):
        observe(observer, rows)
        clock.now += 10
        # the window has 8 slices of 10 s, and the one that has just begun
        counted = requests[max(0, index + 1 - SLICES) : index + 1]
        node = observer.read().result()
        assert node.rows == 3 * len(counted)
        assert read_counts(node) == count_alike(build_reference(), counted)
    clock.now += 1000
    assert observer.read().result().rows == 0


def test_the_counts_of_several_servers_add_up_to_those_of_one(executor: Executor) -> None:
    requests = [make_rows(seed, 2) for seed in range(20)]
    pods = [build_observer(executor, Clock()) for _ in range(3)]
    for index, rows in enumerate(requests):
        observe(pods[index % 3], rows)
    nodes = [pod.read().result() for pod in pods]
    merged = {
        key: [
            np.sum([read_counts(node)[key][place] for node in nodes], axis=0).tolist() for place in range(len(columns))
        ]
        for key, columns in read_counts(nodes[0]).items()
    }
    assert merged == count_alike(build_reference(), requests)


def test_what_waits_is_bounded_and_the_rest_is_skipped(executor: Executor) -> None:
    observer, release = build_observer(executor, Clock()), threading.Event()
    blocked = executor.submit(release.wait)
    rows = make_rows(0, 1000)
    for _ in range(200):
        observe(observer, rows)
    waiting = observer._collected - observer._counted
    assert MAX_WAITING_BYTES < waiting < MAX_WAITING_BYTES + 4_000_000
    release.set()
    blocked.result()
    node = observer.read().result()
    assert node.skipped > 0
    assert node.rows + node.skipped == 200 * 1000
    assert observer._collected == observer._counted


def test_requests_without_a_row_do_not_fill_what_waits(executor: Executor) -> None:
    observer = build_observer(executor, Clock())
    none, large = np.zeros((0, 2), np.float32), np.zeros((40_000, 2), np.float32)
    for _ in range(70):
        # the model returns rows all the same
        observer.observe({"x": none}, {"x_out": large})
        observer.read().result()
    rows = make_rows(0, 3)
    observe(observer, rows)
    node = observer.read().result()
    assert (node.rows, node.skipped) == (3, 0)
    assert read_counts(node)["input", "x"] == count_alike(build_reference(), [rows])["input", "x"]
    assert observer._collected == observer._counted


def test_a_request_for_which_there_is_no_memory_is_skipped(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    observer = build_observer(executor, Clock())
    with monkeypatch.context() as patch:
        patch.setattr(Binning, "pick", fail)
        observe(observer, make_rows(0, 5))
    observe(observer, make_rows(1, 2))
    node = observer.read().result()
    assert (node.rows, node.skipped) == (2, 5)


def test_a_sample_is_a_part_of_the_requests(executor: Executor) -> None:
    observer = build_observer(executor, Clock(), percent=25)
    rows = make_rows(0, 1)
    for _ in range(2000):
        observe(observer, rows)
    assert 350 < observer.read().result().rows < 650  # 500, give or take eight standard deviations


def test_tensors_of_other_shapes_are_not_counted(executor: Executor) -> None:
    observer = build_observer(executor, Clock())
    rows = make_rows(0, 4)
    for x, empty in product((np.zeros((4, 3), np.float32), np.zeros((0, 2), np.float32)), (False, True)):
        observer.observe({**rows, "x": x}, {} if empty else {"new": x})
    node = observer.read().result()
    assert all(sum(counts) == 0 for counts in read_counts(node)["input", "x"])
    assert read_counts(node)["input", "code"] == [
        [4 * count for count in counts] for counts in count_alike(build_reference(), [rows])["input", "code"]
    ]


def test_references_of_a_file_are_bounded_by_what_other_models_have_left(tmp_path: Path) -> None:
    from fairlead_contracts.errors import ContractError
    from fairlead_contracts.tensors import TensorSpec
    from fairlead_graph.models import ModelFile
    from fairlead_graph.monitor.observer import read_reference
    from fairlead_graph.tensors import Signature

    reference = build_reference(outputs=())
    (tmp_path / FILE).write_text(reference.model_dump_json(by_alias=True))
    model = ModelFile(tmp_path / "model.onnx", tmp_path, DIGEST)
    kinds = {"x": "FP32", "code": "INT64", "text": "BYTES"}
    signature = Signature(tuple(TensorSpec(name, kind, None) for name, kind in kinds.items()), ())
    slots = reference.count_slots()
    assert read_reference(model, signature, slots) == reference
    with pytest.raises(ContractError, match=f"{slots} bins and categories, expected at most {slots - 1} beside"):
        read_reference(model, signature, slots - 1)


def test_counters_go_on_when_the_model_process_is_replaced() -> None:
    registry = CollectorRegistry()
    metrics = MonitorMetrics(registry)
    for rows, skipped in ((10, 2), (15, 2), (4, 1), (4, 1)):
        metrics.observe({"model": {"rows": rows, "skipped": skipped, "psi": [["input", "x", 0.5]]}})
    assert registry.get_sample_value("fairlead_graph_monitor_rows_total", {"node": "model"}) == 19
    assert registry.get_sample_value("fairlead_graph_monitor_skipped_rows_total", {"node": "model"}) == 3
    labels = {"node": "model", "side": "input", "tensor": "x"}
    assert registry.get_sample_value("fairlead_graph_monitor_psi", labels) == 0.5


def test_counts_of_a_server_that_is_loading_are_unavailable(start: Callable[..., Any], publish_model: Publish) -> None:
    reference = build_reference().model_dump_json(by_alias=True).encode()
    uri = publish_model("model", {"model.onnx": build_model(), FILE: reference})
    remote = {"name": "far", "type": "MODEL", "endpoint": {"host": "127.0.0.1", "port": 1, "type": "REST"}}
    graph = {"name": "model", "type": "MODEL", "modelUri": uri, "children": [remote]}
    document = {"deployment": "digits", "predictor": "main", "graph": graph, "monitor": {"windowSeconds": 3600}}
    server = start(json.dumps(document).encode())
    # as soon as it listens, and until the models are loaded; a node elsewhere that does not respond is no obstacle
    statuses: list[int] = []

    def loaded() -> bool:
        statuses.append(server.get(PATH).status)
        return statuses[-1] == 200

    server.wait(loaded)
    assert set(statuses) <= {200, 503}
    assert server.get("/v2/health/ready").status == 503
