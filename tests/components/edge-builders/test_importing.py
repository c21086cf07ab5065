"""Importing ONNX into torch: each operator answers as ONNX Runtime, and what cannot be imported is named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from fairlead_edge_builders.errors import CannotBuild
from fairlead_edge_builders.importing import import_model
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(4)
TABLE, PICTURE = (1, 6), (1, 3, 9, 8)


def weights(*shape: int) -> np.ndarray:
    """Return random weights."""
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def integers(*values: int) -> np.ndarray:
    """Return a constant of shapes and axes."""
    return np.array(values, np.int64)


CASES: dict[str, tuple[str, Sequence[int], list[np.ndarray | None], dict[str, Any]]] = {
    "a convolution": ("Conv", PICTURE, [weights(4, 3, 3, 3), weights(4)], {"strides": [2, 1], "pads": [1, 1, 1, 1]}),
    "one in groups, dilated": ("Conv", PICTURE, [weights(3, 1, 2, 2)], {"group": 3, "dilations": [2, 2]}),
    "one padded at one end": ("Conv", PICTURE, [weights(4, 3, 3, 3)], {"pads": [0, 0, 1, 2]}),
    "one along one axis": ("Conv", (1, 3, 9), [weights(2, 3, 3)], {"pads": [1, 1]}),
    "the largest of windows": ("MaxPool", PICTURE, [], {"kernel_shape": [3, 2], "strides": [2, 2]}),
    "windows padded at one end": ("MaxPool", PICTURE, [], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}),
    "the mean of windows": ("AveragePool", PICTURE, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "the mean with padding": (
        "AveragePool", PICTURE, [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
    ),
    "the mean of all": ("GlobalAveragePool", PICTURE, [], {}),
    "the largest of all": ("GlobalMaxPool", PICTURE, [], {}),
    "a matrix product": ("Gemm", TABLE, [weights(4, 6), weights(4)], {"transB": 1}),
    "one that is scaled": ("Gemm", TABLE, [weights(6, 4), weights(4)], {"alpha": 0.5, "beta": 2.0}),
    "one without a bias": ("MatMul", TABLE, [weights(6, 4)], {}),
    "normalized layers": ("LayerNormalization", TABLE, [weights(6), weights(6)], {}),
    "a clip": ("Clip", TABLE, [np.float32(-0.3), np.float32(0.4)], {}),
    "relu6": ("Clip", TABLE, [np.float32(0), np.float32(6)], {}),
    "a hard sigmoid": ("HardSigmoid", TABLE, [], {}),
    "that of MobileNet": ("HardSigmoid", TABLE, [], {"alpha": 1 / 6}),
    "a hard swish": ("HardSwish", TABLE, [], {}),
    "a softmax": ("Softmax", TABLE, [], {"axis": 1}),
    "a gelu": ("Gelu", TABLE, [], {}),
    "a leaky relu": ("LeakyRelu", TABLE, [], {"alpha": 0.2}),
    "a division": ("Div", TABLE, [np.float32(3)], {}),
    "a transposition": ("Transpose", PICTURE, [], {"perm": [0, 2, 3, 1]}),
    "a flattened picture": ("Flatten", PICTURE, [], {}),
    "another shape": ("Reshape", PICTURE, [integers(0, -1, 4)], {}),
    "a new axis": ("Unsqueeze", TABLE, [integers(1, -1)], {}),
    "a slice": ("Slice", PICTURE, [integers(1, -3), integers(3, 100), integers(1, 3), integers(1, 2)], {}),
    "a mean": ("ReduceMean", PICTURE, [integers(2, 3)], {"keepdims": 0}),
    "a sum of all": ("ReduceSum", TABLE, [], {}),
    "columns by number": ("Gather", TABLE, [integers(3, 1)], {"axis": 1}),
    "padding": ("Pad", PICTURE, [integers(0, 0, 1, 0, 0, 0, 2, 1), np.float32(0.5)], {}),
    "an expansion": ("Expand", TABLE, [integers(3, 1, 6)], {}),
    "another type": ("Cast", TABLE, [], {"to": TensorProto.FLOAT16}),
}  # fmt: skip


def save(
    folder: Path, kind: str, shape: Sequence[Any], constants: Sequence[np.ndarray | None] = (), **attributes: Any
) -> Path:
    """Save a model of one node; its batches are of any size."""
    names = [f"c{place}" for place in range(len(constants))]
    node = helper.make_node(kind, ["x", *names], ["y"], name="the_node", **attributes)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in zip(names, constants, strict=True)]
    output = attributes.get("to", TensorProto.FLOAT) if kind == "Cast" else TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape[1:]])],
        [helper.make_tensor_value_info("y", output, None)],
        tensors,
    )
    file = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10), str(file))
    return file


@pytest.mark.parametrize("case", CASES)
def test_an_operator_answers_as_in_onnx_runtime_and_is_exported(tmp_path: Path, case: str) -> None:
    kind, shape, constants, attributes = CASES[case]
    examples = RANDOM.normal(0, 2, (3, *shape[1:])).astype(np.float32)
    # import_model compares both, and raises if they differ
    program = import_model(save(tmp_path, kind, shape, constants, **attributes), examples)
    (found,) = program.module(program.sample)
    (exported,) = program.export().module()(program.sample)
    assert torch.equal(found, exported)


def test_an_import_that_answers_otherwise_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fairlead_edge_builders import importing

    monkeypatch.setitem(importing.OPERATORS, "Relu", lambda _node, inputs: inputs[0])
    with pytest.raises(CannotBuild, match="answers otherwise than the source: output y"):
        import_model(save(tmp_path, "Relu", TABLE), -np.ones((1, 6), np.float32))


def test_nodes_without_a_counterpart_are_named(tmp_path: Path) -> None:
    file = save(tmp_path, "Det", (1, 2, 2))
    with pytest.raises(CannotBuild, match=r"no counterpart of Det \(node the_node\)"):
        import_model(file, np.ones((1, 2, 2), np.float32))


def test_what_an_operator_of_torch_lacks_is_named_by_node(tmp_path: Path) -> None:
    file = save(tmp_path, "Conv", PICTURE, [weights(4, 3, 3, 3)], auto_pad="SAME_UPPER")
    with pytest.raises(CannotBuild, match=r"Conv \(node the_node\): auto_pad is not supported"):
        import_model(file, np.ones(PICTURE, np.float32))


def test_a_shape_that_is_not_static_is_named_by_input_and_axis(tmp_path: Path) -> None:
    file = save(tmp_path, "Relu", (1, 3, "height"))
    with pytest.raises(CannotBuild, match=r"input x: axis 2 \(height\) has no fixed size"):
        import_model(file, np.ones((1, 3, 4), np.float32))


@pytest.mark.parametrize("examples", [np.ones((2, 5), np.float32), np.ones((0, 6), np.float32)], ids=["size", "none"])
def test_examples_of_another_shape_or_none_are_rejected(tmp_path: Path, examples: np.ndarray) -> None:
    with pytest.raises(CannotBuild, match=r"calibration: got \d examples of shape \[\d\], expected at least one of"):
        import_model(save(tmp_path, "Relu", TABLE), examples)


def test_several_inputs_are_named(tmp_path: Path) -> None:
    file = save(tmp_path, "Relu", TABLE)
    model = onnx.load(str(file))
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    onnx.save(model, str(file))
    with pytest.raises(CannotBuild, match=r"inputs: got 2 \(x, more\), expected one"):
        import_model(file, np.ones((1, 6), np.float32))


def test_words_are_looked_up_by_integers(tmp_path: Path) -> None:
    table = numpy_helper.from_array(weights(10, 4), "words")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["words", "x"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5, 4])],
        [table],
    )
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(file))
    program = import_model(file, RANDOM.integers(0, 10, (3, 5)))
    assert program.sample.dtype == torch.int64


def test_a_file_that_is_no_model_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(CannotBuild, match=r"ONNX Runtime .* cannot load the model"):
        import_model(tmp_path / "model.onnx", np.ones((1, 6), np.float32))


def test_a_block_of_mobilenet_is_imported(tmp_path: Path) -> None:
    tensors = {
        "w1": weights(8, 3, 3, 3), "scale": np.abs(weights(8)) + 0.5, "shift": weights(8), "mean": weights(8),
        "deviation": np.abs(weights(8)) + 0.5, "w2": weights(8, 1, 3, 3), "w3": weights(4, 8, 1, 1),
        "w4": weights(8, 4, 1, 1), "w5": weights(8, 8, 1, 1), "shape": integers(-1, 8), "w6": weights(5, 8),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "deviation"], ["b"]),
        helper.make_node("HardSwish", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "w2"], ["d"], group=8, pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Conv", ["e", "w3"], ["f"]),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Conv", ["g", "w4"], ["h"]),
        helper.make_node("HardSigmoid", ["h"], ["i"], alpha=1 / 6),
        helper.make_node("Mul", ["d", "i"], ["j"]),
        helper.make_node("Conv", ["j", "w5"], ["k"]),
        helper.make_node("Add", ["c", "k"], ["l"]),
        helper.make_node("GlobalAveragePool", ["l"], ["m"]),
        helper.make_node("Reshape", ["m", "shape"], ["n"]),
        helper.make_node("Gemm", ["n", "w6"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(file))
    program = import_model(file, RANDOM.normal(0, 1, (4, 3, 16, 16)).astype(np.float32))
    assert program.export().module()(program.sample)[0].shape == (1, 5)
