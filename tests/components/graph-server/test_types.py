"""What is served beyond plain numbers: scikit-learn's class maps, half precision, and inputs that may be left out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from fairlead_contracts.graph import GraphNode
from fairlead_graph.errors import NodeFailed, RequestRejected
from fairlead_graph.graph import build_graph
from fairlead_graph.nodes import Context, Resources
from fairlead_graph.nodes.builtin import _average
from fairlead_graph.settings import NodeSettings
from fairlead_graph.tensors import Message
from onnx import TensorProto, ValueInfoProto, helper

from tests.support.loops import in_a_loop

BF16 = np.dtype(ml_dtypes.bfloat16)
_PROBABILITIES = [[0.25, 0.75], [0.5, 0.5]]


def build(nodes: Any, inputs: Any, outputs: Any, constants: Any = ()) -> bytes:
    """Return an ONNX model's file."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def port(name: str, kind: int, shape: Any) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def maps(name: str, key: int) -> ValueInfoProto:
    """Return an output as scikit-learn's converter declares it."""
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(key, value))
    return helper.make_value_info(name, kind)


def classifier(columns: Any = 2, **classes: Any) -> bytes:
    """Return a classifier as skl2onnx writes it: the best class, and a map from class to probability for each row."""
    key = TensorProto.STRING if "classlabels_strings" in classes else TensorProto.INT64
    nodes = [
        helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
        helper.make_node("ZipMap", ["x"], ["probability"], domain="ai.onnx.ml", **classes),
    ]
    inputs = [port("x", TensorProto.FLOAT, ["n", columns])]
    return build(nodes, inputs, [port("label", TensorProto.INT64, ["n"]), maps("probability", key)])


def ask(server: Any, shape: Any, data: Any, datatype: str = "FP32", **more: Any) -> Any:
    return server.infer({"name": "x", "datatype": datatype, "shape": shape, "data": data}, **more)


def serve(start: Callable[..., Any], uri: str, **environment: str) -> Any:
    return start({"name": "m", "type": "MODEL", "modelUri": uri}, **environment).wait_ready()


def rejection(start: Callable[..., Any], uri: str, tmp_path: Path) -> str:
    report = tmp_path / "report"
    server = start({"name": "m", "type": "MODEL", "modelUri": uri}, FAIRLEAD_TERMINATION_LOG=str(report))
    assert server.process.wait(60) == 1
    return str(json.loads(report.read_text())["failure"]["message"])


def test_maps_from_class_to_probability_are_a_tensor_with_labels(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    server = serve(start, publish_model("texts", classifier(classlabels_strings=["no", "yés"])))
    label, probability = ask(server, [2, 2], _PROBABILITIES).json["outputs"]
    assert label == {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]}
    assert probability == {
        "name": "probability", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 0.5, 0.5],
        "parameters": {"labels": '["no", "yés"]'},
    }  # fmt: skip
    assert server.get("/v2/models/digits").json["outputs"][1]["shape"] == [-1, 2]
    assert "label, probability" in server.predict({"data": {"ndarray": _PROBABILITIES}}).json["status"]["info"]


def logistic_regression() -> bytes:
    """Return a logistic regression with the operators that skl2onnx uses: ONNX Runtime infers no shape behind them."""
    classes = {"classlabels_strings": ["no", "yes"]}
    nodes = [
        helper.make_node(
            "LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", coefficients=[-1.0, 0.5, 1.0, -0.5],
            intercepts=[0.25, -0.25], post_transform="SOFTMAX", multi_class=1, **classes,
        ),
        helper.make_node("ZipMap", ["scores"], ["probability"], domain="ai.onnx.ml", **classes),
    ]  # fmt: skip
    outputs = [port("label", TensorProto.STRING, ["n"]), maps("probability", TensorProto.STRING)]
    return build(nodes, [port("x", TensorProto.FLOAT, ["n", 2])], outputs)


def test_a_classifier_of_scikit_learn_has_columns_for_its_classes_and_may_be_batched(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    node = {"name": "m", "type": "MODEL", "modelUri": publish_model("logistic", logistic_regression())}
    batching = {"maxBatchSize": 4, "maxDelayMilliseconds": 1.0}
    document = {"deployment": "digits", "predictor": "main", "graph": node, "batching": batching}
    server = start(json.dumps(document).encode()).wait_ready()
    assert server.get("/v2/models/digits").json["outputs"][1]["shape"] == [-1, 2]
    label, probability = ask(server, [2, 2], [1.0, 0.0, -1.0, 0.0]).json["outputs"]
    assert label["data"] == ["yes", "no"]
    scores = np.exp(np.array([[-0.75, 0.75], [1.25, -1.25]]))
    np.testing.assert_allclose(
        np.reshape(probability["data"], (2, 2)), scores / scores.sum(axis=1, keepdims=True), rtol=1e-5
    )
    assert probability["parameters"] == {"labels": '["no", "yes"]'}


def test_class_maps_alone_are_seldons_names(start: Callable[..., Any], publish_model: Callable[..., str]) -> None:
    node = helper.make_node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml", classlabels_int64s=[7, -1])
    model = build([node], [port("x", TensorProto.FLOAT, ["n", 2])], [maps("p", TensorProto.INT64)])
    server = serve(start, publish_model("numbers", model))
    assert server.predict({"data": {"ndarray": _PROBABILITIES}}).json["data"] == {
        "names": ["7", "-1"], "ndarray": _PROBABILITIES,
    }  # fmt: skip
    assert ask(server, [2, 2], _PROBABILITIES).json["outputs"][0]["parameters"] == {"labels": "[7, -1]"}


def test_other_types_are_rejected_with_what_to_do(
    start: Callable[..., Any], publish_model: Callable[..., str], tmp_path: Path
) -> None:
    sequence = helper.make_value_info(
        "s", helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 2]))
    )
    node = helper.make_node("SequenceConstruct", ["x"], ["s"])
    model = build([node], [port("x", TensorProto.FLOAT, ["n", 2])], [sequence])
    assert rejection(start, publish_model("sequence", model), tmp_path) == (
        "node m: output s: has type seq(tensor(float)), expected a tensor of BOOL, UINT8, UINT16, UINT32, UINT64, "
        "INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES, BF16: export the model without it, or with an operator "
        "that makes a tensor of it"
    )


def test_a_number_of_classes_that_is_not_the_models_is_said_by_its_output(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    server = serve(start, publish_model("wide", classifier("k", classlabels_int64s=[0, 1, 2])))
    answer = ask(server, [1, 2], [0.5, 0.5])
    assert answer.status == 500
    assert answer.json["error"] == (
        "node m: output probability has shape [1, 2], expected a last dimension of its 3 classes"
    )


def test_a_mean_of_classifiers_keeps_their_labels_and_needs_the_same() -> None:
    one, other = np.float32([[0.25, 0.75]]), np.float32([[0.75, 0.25]])
    first = Message({"p": one}, labels={"p": ("a", "b")})
    mean = _average("mean", [first, Message({"p": other}, labels={"p": ("a", "b")})])
    assert (mean.tensors["p"].tolist(), mean.names) == ([[0.5, 0.5]], ("a", "b"))
    with pytest.raises(NodeFailed, match=r"classes \['a', 'b'\] and \['b', 'a'\], expected the same"):
        _average("mean", [first, Message({"p": other}, labels={"p": ("b", "a")})])


def test_the_mean_of_half_precision_is_summed_in_more() -> None:
    halves = [Message({"y": np.array([60000.0], np.float16)}) for _ in range(2)]
    assert _average("mean", halves).tensors["y"] == np.array([60000.0], np.float16)
    brains = [Message({"y": np.array([1.0], BF16)}), Message({"y": np.array([2.0], BF16)})]
    assert (_average("mean", brains).tensors["y"].dtype, _average("mean", brains).tensors["y"].tolist()) == (
        BF16,
        [1.5],
    )


@pytest.fixture(scope="module")
def brain(start: Callable[..., Any], publish_model: Callable[..., str]) -> Any:
    """Return a server of a model with BF16 in and out, and FP32 in the middle."""
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "two"], ["twice"]),
        helper.make_node("Cast", ["twice"], ["y"], to=TensorProto.BFLOAT16),
        helper.make_node("Shape", ["x"], ["shape"]),
    ]
    outputs = [port("y", TensorProto.BFLOAT16, ["n", 2]), port("shape", TensorProto.INT64, [2])]
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    return serve(
        start, publish_model("brain", build(nodes, [port("x", TensorProto.BFLOAT16, ["n", 2])], outputs, [two]))
    )


def test_bf16_passes_in_json_as_its_exact_numbers(brain: Any) -> None:
    outputs = ask(brain, [2, 2], [1.5, -2, 0.1, 1e30], "BF16").json["outputs"]
    nearest = [float(BF16.type(2 * float(BF16.type(value)))) for value in (1.5, -2, 0.1, 1e30)]
    assert np.array(outputs[0].pop("data"), np.float32).tolist() == nearest
    assert outputs[0] == {"name": "y", "datatype": "BF16", "shape": [2, 2]}
    assert outputs[1]["data"] == [2, 2]
    assert ask(brain, [0, 2], [], "BF16").json["outputs"][0]["data"] == []


@pytest.mark.parametrize("value", [10**39, 1e39])
def test_what_bf16_cannot_hold_is_named(brain: Any, value: Any) -> None:
    answer = ask(brain, [1, 2], [1, value], "BF16")
    assert (answer.status, answer.json["error"].split(":")[0]) == (400, "inputs[0].data[1]")
    assert "expected a number that BF16 can hold" in answer.json["error"]


def test_bf16_passes_as_bytes(brain: Any) -> None:
    values = np.array([[1.5, np.inf]], BF16)
    head = json.dumps({
        "inputs": [{"name": "x", "datatype": "BF16", "shape": [1, 2], "parameters": {"binary_data_size": 4}}],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
    }).encode()  # fmt: skip
    answer = brain.post(
        "/v2/models/digits/infer", head + values.tobytes(), {"Inference-Header-Content-Length": str(len(head))}
    )
    length = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.body[:length])["outputs"][0]["datatype"] == "BF16"
    assert np.frombuffer(answer.body[length:], BF16).tolist() == [3.0, np.inf]
    assert ask(brain, [1, 2], [1, 3e38], "BF16").status == 422  # infinity, as JSON


def load(publish_model: Callable[..., str], content: bytes) -> Any:
    """Return a graph of one model without a server."""
    from concurrent.futures import ThreadPoolExecutor

    from fairlead_graph.models import fetch_models

    spec = GraphNode(name="m", type="MODEL", model_uri=publish_model("model", content))
    folder = Path(spec.model_uri.removeprefix("file://")).parent / "fetched"  # type: ignore[union-attr]
    models = fetch_models(spec, folder)
    return build_graph(spec, Resources(NodeSettings(), ThreadPoolExecutor(1), models, lambda *_: None))


def optional_model() -> bytes:
    """Return `y = x * factor + bias`, where `factor` is 3 if it is not sent."""
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
    inputs = [port("x", TensorProto.FLOAT, ["n"]), port("factor", TensorProto.FLOAT, [])]
    return build(nodes, inputs, [port("y", TensorProto.FLOAT, ["n"])], [
        helper.make_tensor("factor", TensorProto.FLOAT, [], [3.0]),
    ])  # fmt: skip


def test_an_input_with_a_value_of_its_own_may_be_left_out(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    server = serve(start, publish_model("optional", optional_model()))
    x = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}
    factor = {"name": "factor", "datatype": "FP32", "shape": [], "data": [10]}
    assert server.infer(x).json["outputs"][0]["data"] == [3.0, 6.0]
    assert server.infer(x, factor).json["outputs"][0]["data"] == [10.0, 20.0]
    assert server.infer(factor).json["error"] == "inputs: got 1 without x, expected all of x"
    wrong = server.infer(x, {**factor, "shape": [1]})
    assert wrong.json["error"] == "inputs[1].shape: got [1], expected [] (-1: any size)"
    assert [tensor["name"] for tensor in server.get("/v2/models/digits").json["inputs"]] == ["x"]
    assert server.predict({"data": {"ndarray": [1, 2]}}).json["data"]["ndarray"] == [3.0, 6.0]


def test_scalars_empty_tensors_and_free_ranks_are_told_apart(
    start: Callable[..., Any], publish_model: Callable[..., str]
) -> None:
    free = ValueInfoProto(name="x")
    free.type.tensor_type.elem_type = TensorProto.FLOAT
    out = ValueInfoProto(name="y")
    out.type.tensor_type.elem_type = TensorProto.FLOAT
    identity = helper.make_node("Identity", ["x"], ["y"])
    anything = serve(start, publish_model("free", build([identity], [free], [out])))
    for shape, data in (([], [1.5]), ([0, 3], []), ([1, 2, 1], [1.0, 2.0])):
        output = ask(anything, shape, data).json["outputs"][0]
        assert (output["shape"], output["data"]) == (shape, data)
    ports = [port("x", TensorProto.FLOAT, [])], [port("y", TensorProto.FLOAT, [])]
    scalar = serve(start, publish_model("scalar", build([identity], *ports)))
    assert ask(scalar, [], [2.5]).json["outputs"][0] == {"name": "y", "datatype": "FP32", "shape": [], "data": [2.5]}
    assert ask(scalar, [1], [2.5]).json["error"] == "inputs[0].shape: got [1], expected [] (-1: any size)"


@in_a_loop
async def test_a_message_between_nodes_is_checked_as_a_request_is(publish_model: Callable[..., str]) -> None:
    add = helper.make_node("Add", ["a", "b"], ["c"])
    inputs = [port(name, TensorProto.FLOAT, ["rows", 2]) for name in "ab"]
    graph = load(publish_model, build([add], inputs, [port("c", TensorProto.FLOAT, ["rows", 2])]))
    one, two = np.ones((1, 2), np.float32), np.ones((2, 2), np.float32)
    with pytest.raises(RequestRejected, match=r"node m: input b shape\[0\]: got 2, expected 1, as in node m: input a"):
        await graph.root.node.call("predict", [Message({"a": one, "b": two})], Context("", 0.0))
    with pytest.raises(RequestRejected, match=r"node m: input b: got nothing, expected FP32 of shape \[-1, 2\]"):
        await graph.root.node.call("predict", [Message({"a": one})], Context("", 0.0))
