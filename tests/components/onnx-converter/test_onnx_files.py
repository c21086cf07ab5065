"""ONNX files that come from elsewhere: checked, compared with what was recorded, or published without figures."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fairlead_artifacts import read_manifest
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_datasets.errors import Unusable
from fairlead_datasets.onnx_models import run_model
from fairlead_datasets.splits import Split
from onnx import TensorProto, helper

Convert = Callable[..., tuple[int, str]]
ROWS = 40
VALUES = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
WEIGHTS = np.array([[1.0, -1.0], [0.5, 0.5], [-1.0, 1.0]], np.float32)


def build(
    nodes: Sequence[Any] = (helper.make_node("MatMul", ["x", "w"], ["scores"]),),
    outputs: Sequence[Any] = (helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2]),),
    **more: Any,
) -> onnx.ModelProto:
    """Return a model of a matrix, by default `scores = x @ w`, with traces of the machine."""
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])], outputs,
        [onnx.numpy_helper.from_array(WEIGHTS, "w")], doc_string="/home/someone/train.py",
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a model's folder."""

    def run(model: onnx.ModelProto | bytes, **expected: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        if expected:
            np.savez(folder / "expected.npz", **expected)
        return folder

    return run


@pytest.fixture
def data(tmp_path: Path, publish_folder: Callable[[Path, str], str]) -> str:
    """Publish the values, with the classes that the model predicts for them."""
    folder = tmp_path / "values"
    folder.mkdir()
    np.savez(folder / "eval.npz", x=VALUES, y=(VALUES @ WEIGHTS).argmax(axis=1))
    return publish_folder(folder, "dataset")


def test_recorded_outputs_are_compared_and_the_signature_is_the_files(
    tmp_path: Path, save: Callable[..., Path], data: str, convert: Convert
) -> None:
    assert convert(save(build(), scores=VALUES @ WEIGHTS), data) == (0, "")
    manifest = read_manifest((tmp_path / "store" / "onnx").as_uri())
    assert manifest.signature is not None
    assert manifest.signature.to_json() == {
        "inputs": [{"name": "x", "dtype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "scores", "dtype": "FP32", "shape": [-1, 2]}],
    }
    figures = manifest.parameters
    assert (figures["source"], figures["different_examples"], figures["source_accuracy"]) == ("ONNX file", 0, 1.0)
    assert json.loads((tmp_path / "store" / "onnx" / "parity.json").read_text()) == figures
    assert b"someone" not in (tmp_path / "store" / "onnx" / "model.onnx").read_bytes()


def test_without_recorded_outputs_a_file_is_published_only_on_request_and_says_so(
    tmp_path: Path, save: Callable[..., Path], data: str, convert: Convert
) -> None:
    folder = save(build())
    code, message = convert(folder, data)
    assert code == 1
    assert "model: got model.onnx without the original, expected its outputs for the split in expected.npz" in message
    assert convert(folder, data, "--no-parity", "--min-accuracy", "1")[0] == 0
    figures = read_manifest((tmp_path / "store" / "onnx").as_uri()).parameters
    assert (figures["parity"], figures["examples"], figures["onnx_accuracy"]) == ("not measured", ROWS, 1.0)
    assert not (tmp_path / "store" / "onnx" / "parity.json").exists()


@pytest.mark.parametrize(
    ("expected", "more", "code", "reason"),
    [
        ({"scores": VALUES @ WEIGHTS + 0.1}, (), 2, "80 of 80 output values differ"),
        ({"scores": (VALUES @ WEIGHTS)[:30]}, (), 1, "expected.npz: scores has shape [30, 2], expected 40 rows"),
        ({"other": VALUES}, (), 1, "expected.npz: got arrays other, expected also scores"),
        (
            {"scores": VALUES @ WEIGHTS},
            ("--no-parity",),
            1,
            "--no-parity: got a model that can be compared (ONNX file)",
        ),
        ({"scores": VALUES @ WEIGHTS}, ("--opset", "21"), 1, "--opset: got a model of opset 17, expected 21"),
        ({}, ("--no-parity", "--min-examples", "50"), 2, "40 examples, expected at least 50"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(
    expected: dict[str, Any], more: tuple[str, ...], code: int, reason: str, save: Callable[..., Path], data: str,
    convert: Convert,
) -> None:  # fmt: skip
    found, message = convert(save(build(), **expected), data, *more)
    assert (found, reason in message) == (code, True), message


def _zipmap() -> onnx.ModelProto:
    map_type = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    output = helper.make_value_info("maps", helper.make_sequence_type_proto(map_type))
    zipmap = helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    return build([helper.make_node("MatMul", ["x", "w"], ["scores"]), zipmap], [output])


def _sequence() -> onnx.ModelProto:
    output = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    return build([helper.make_node("SplitToSequence", ["x"], ["parts"])], [output])


def _external(location: str) -> onnx.ModelProto:
    model = build()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model


def _shapeless() -> onnx.ModelProto:
    return build(outputs=[helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)])


def _unknown_operator() -> onnx.ModelProto:
    return build([helper.make_node("NoSuchOperator", ["x", "w"], ["scores"])])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (b"\x80\x04pickle", "model.onnx: is not an ONNX model"),
        (b"", "model.onnx: is not an ONNX model: it has no graph with outputs"),
        (build().SerializeToString()[:-30], "model.onnx: is not"),
        (_zipmap(), "output maps: got a sequence of maps, expected a tensor; export it with skl2onnx's option zipmap"),
        (_sequence(), "output parts: got a sequence, expected a tensor"),
        (_shapeless(), "output scores: got no shape"),
        (_unknown_operator(), "model.onnx: is not a valid ONNX model"),
        *((_external(place), f"tensor w: got external data at {place!r}, expected a file in the model's folder")
          for place in ("../secret", "/etc/passwd", "a/../../b", "missing", "")),
    ],
)  # fmt: skip
def test_an_invalid_file_is_refused_by_what_it_has(
    model: Any, reason: str, save: Callable[..., Path], data: str, convert: Convert
) -> None:
    code, message = convert(save(model), data, "--no-parity")
    assert (code, reason in message) == (1, True), message


@pytest.mark.parametrize(
    ("node", "shape", "reason"),
    [
        (helper.make_node("ReduceSum", ["x"], ["scores"], keepdims=0), [], "scores: got [] for different batches"),
        (helper.make_node("Einsum", ["x", "x"], ["scores"], equation="ij,kj->ik"), ["rows", "rows"],
         "scores: got [1, 1], [39, 39] for different batches, expected a row per example"),
    ],
)  # fmt: skip
def test_an_output_without_rows_of_one_shape_is_named(node: Any, shape: list[str], reason: str, tmp_path: Path) -> None:
    model, file = build([node], [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)]), tmp_path / "m"
    file.write_bytes(model.SerializeToString())
    signature = Signature((), (TensorSignature("scores", "FP32", (-1,) * len(shape)),))
    with pytest.raises(Unusable) as caught:
        run_model(signature, file, Split({"x": VALUES}, None))
    assert reason in str(caught.value)


def test_external_data_travel_with_the_model(
    tmp_path: Path, save: Callable[..., Path], data: str, convert: Convert
) -> None:
    folder = save(_external("weights/w.bin"), scores=VALUES @ WEIGHTS)
    (folder / "weights").mkdir()
    (folder / "weights" / "w.bin").write_bytes(WEIGHTS.tobytes())
    assert convert(folder, data) == (0, "")
    assert (tmp_path / "store" / "onnx" / "weights" / "w.bin").read_bytes() == WEIGHTS.tobytes()


@pytest.mark.parametrize("place", ["parity.json", "./Reference.json", "model.onnx", "expected.npz", "parity.json/w"])
def test_external_data_are_not_in_a_file_that_the_conversion_writes(
    place: str, save: Callable[..., Path], data: str, convert: Convert
) -> None:
    folder = save(_external(place), scores=VALUES @ WEIGHTS)
    if not (folder / place).exists():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_bytes(WEIGHTS.tobytes())
    code, message = convert(folder, data)
    assert code == 1
    assert f"tensor w: got external data at {place!r}, expected another name than expected.npz, manifest" in message


def test_a_signature_gives_shapes_that_the_file_lacks_and_must_fit_it(
    tmp_path: Path, save: Callable[..., Path], data: str, convert: Convert
) -> None:
    folder = save(_shapeless(), scores=VALUES @ WEIGHTS)
    signature = {
        "inputs": [{"name": "x", "dtype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "scores", "dtype": "FP64", "shape": [-1, 2]}],
    }
    (folder / "signature.json").write_text(json.dumps(signature))
    code, message = convert(folder, data)
    assert code == 1
    assert "signature.json: outputs: scores: got FP64 [-1, 2], the model has FP32 [-1, 2]" in message
    signature["outputs"][0]["dtype"] = "FP32"
    other = tmp_path / "other"
    other.mkdir()
    for name in ("model.onnx", "expected.npz"):
        (other / name).write_bytes((folder / name).read_bytes())
    (other / "signature.json").write_text(json.dumps(signature))
    assert convert(other, data) == (0, "")
    output = onnx.load(tmp_path / "store" / "onnx" / "model.onnx").graph.output[0].type.tensor_type
    assert [dim.dim_param or dim.dim_value for dim in output.shape.dim] == ["batch", 2]
