"""The reference of a converted model: what it saw and returned on the split that it was trained on."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from fairlead_artifacts import fetch, publish
from fairlead_contracts.reference import FILE, MAX_COLUMNS, Categories, Numbers, Reference
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_datasets.errors import Unusable
from fairlead_datasets.splits import Split
from fairlead_onnx_converter.main import main
from fairlead_onnx_converter.reference import build_reference
from torch import nn

ROWS, WIDTH = 500, 6


class Linear(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2] * 2 + 1


def publish_data(tmp_path: Path, **splits: dict[str, np.ndarray]) -> str:
    folder, uri = tmp_path / "data", (tmp_path / "store" / "data").as_uri()
    folder.mkdir()
    for name, arrays in splits.items():
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    publish(folder, uri, kind="dataset", producer="tests/0")
    return uri


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder, uri = tmp_path / "model", (tmp_path / "store" / "model").as_uri()
    folder.mkdir()
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(Linear().eval(), (torch.zeros(2, WIDTH),), dynamic_shapes=shapes)
    torch.export.save(program, folder / "model.pt2")
    x, y = TensorSignature("x", "FP32", (-1, WIDTH)), TensorSignature("y", "FP32", (-1, 2))
    (folder / "signature.json").write_text(json.dumps(Signature((x,), (y,)).to_json()))
    publish(folder, uri, kind="model", producer="tests/0")
    return uri


def convert(tmp_path: Path, model: str, dataset: str, *more: str) -> int:
    out = (tmp_path / "store" / "onnx").as_uri()
    return main(["--model", model, "--dataset", dataset, "--out-uri", out, "--min-accuracy", "0", *more])


def read(tmp_path: Path) -> Reference:
    fetch((tmp_path / "store" / "onnx").as_uri(), tmp_path / "fetched")
    return Reference.parse_json((tmp_path / "fetched" / FILE).read_bytes(), FILE)


def random_rows(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)
    values[:, 5] = 3
    return values


def test_the_reference_is_what_the_model_sees_and_returns_on_the_training_split(tmp_path: Path, model: str) -> None:
    train = random_rows()
    dataset = publish_data(tmp_path, eval={"x": random_rows(40, 1)}, train={"x": train})
    assert convert(tmp_path, model, dataset, "--scale", "0.5") == 0
    reference = read(tmp_path)
    assert (reference.split, reference.rows) == ("train", ROWS)
    (x,), (y,) = reference.inputs, reference.outputs
    assert (x.name, x.width, len(x.columns), y.name, y.width) == ("x", WIDTH, WIDTH, "y", 2)
    first, constant = x.columns[0], x.columns[5]
    assert isinstance(first, Numbers)
    seen = train[:, 0] * 0.5
    assert (first.minimum, first.edges[-1]) == (seen.min(), seen.max())
    assert len(first.edges) == 16
    assert sum(first.counts) == ROWS
    assert max(first.counts) - min(first.counts) <= 1
    assert constant == Numbers(index=5, minimum=1.5, edges=(1.5,), counts=(ROWS,))
    session = ort.InferenceSession(tmp_path / "fetched" / "model.onnx")
    returned = session.run(None, {"x": train * np.float32(0.5)})[0][:, 0]
    column = y.columns[0]
    assert isinstance(column, Numbers)
    lower = np.array([-np.inf, *column.edges[:-1]])
    expected = [
        int(((returned > low) & (returned <= high)).sum()) for low, high in zip(lower, column.edges, strict=True)
    ]
    assert list(column.counts) == expected


def test_a_model_without_a_training_split_is_published_without_a_reference(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path, model, publish_data(tmp_path, eval={"x": random_rows()})) == 0
    assert not (tmp_path / "store" / "onnx" / FILE).exists()
    assert capsys.readouterr().err == ""


def test_a_training_split_that_the_model_does_not_accept_makes_no_reference_and_says_so(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = publish_data(tmp_path, eval={"x": random_rows()}, train={"x": np.zeros((9, 2), np.float32)})
    assert convert(tmp_path, model, dataset) == 0
    assert not (tmp_path / "store" / "onnx" / FILE).exists()
    assert "gets no reference.json: train.npz: x has shape [-1, 2]" in capsys.readouterr().err


def test_a_named_split_must_be_there(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = publish_data(tmp_path, eval={"x": random_rows(30)})
    assert convert(tmp_path, model, dataset, "--reference-split", "live") == 1
    assert "expected live.npz" in capsys.readouterr().err
    assert convert(tmp_path, model, dataset, "--reference-split", "eval") == 0
    reference = read(tmp_path)
    assert (reference.split, reference.rows) == ("eval", 30)


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """Return an ONNX model with inputs of several types, each of which it returns."""
    from onnx import TensorProto, helper, save

    kinds = {"wide": (TensorProto.FLOAT, ["n", 3, 400]), "free": (TensorProto.FLOAT, ["n", "m"]),
             "code": (TensorProto.INT64, ["n"]), "count": (TensorProto.INT32, ["n", 1])}  # fmt: skip
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in kinds.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_", kind, shape) for name, (kind, shape) in kinds.items()]
    nodes = [helper.make_node("Identity", [name], [f"{name}_"]) for name in kinds]
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    file = tmp_path / "model.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file


def test_wide_and_free_tensors_and_categories_are_described_within_bounds(identity: Path) -> None:
    generator = np.random.default_rng(3)
    arrays = {
        "wide": generator.random((300, 3, 400), np.float32), "free": generator.random((300, 7), np.float32),
        "code": generator.integers(-2, 3, 300), "count": np.arange(300, dtype=np.int32).reshape(300, 1),
    }  # fmt: skip
    arrays["free"][0, 0] = np.nan
    kinds = {
        "wide": ("FP32", (-1, 3, 400)),
        "free": ("FP32", (-1, -1)),
        "code": ("INT64", (-1,)),
        "count": ("INT32", (-1, 1)),
    }
    inputs = tuple(TensorSignature(name, *kind) for name, kind in kinds.items())
    outputs = tuple(TensorSignature(f"{name}_", *kind) for name, kind in kinds.items())
    reference = build_reference("train", Split(arrays, None), Signature(inputs, outputs), identity)
    for side, suffix in ((reference.inputs, ""), (reference.outputs, "_")):
        wide, free, code, count = side
        assert [tensor.name for tensor in side] == [f"{name}{suffix}" for name in kinds]
        assert wide.width == 1200
        assert 100 < len(wide.columns) <= MAX_COLUMNS
        assert wide.columns[-1].index > 1180
        assert (free.width, len(free.columns)) == (None, 1)
        assert isinstance(free.columns[0], Numbers)
        assert (sum(free.columns[0].counts), free.columns[0].not_finite) == (300 * 7 - 1, 1)
        assert isinstance(code.columns[0], Categories)
        assert code.columns[0].values == (-2, -1, 0, 1, 2)
        assert code.columns[0].counts == tuple(int((arrays["code"] == value).sum()) for value in range(-2, 3))
        assert isinstance(count.columns[0], Numbers)
        assert count.columns[0].minimum == 0
        assert count.columns[0].edges[-1] == 299
    assert Reference.parse_json(reference.model_dump_json(by_alias=True), FILE) == reference


def test_an_output_without_values_is_not_described_and_one_of_changing_width_is_refused(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "m"])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("none", "grows")]
    ends = [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("zero", 0), ("one", 1))]
    nodes = [
        helper.make_node("Slice", ["x", "zero", "zero", "one"], ["none"]),
        helper.make_node("Einsum", ["x", "x"], ["grows"], equation="ij,kj->ik"),
    ]
    graph = helper.make_graph(nodes, "graph", [x], outputs, ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, tmp_path / "model.onnx")
    inputs = (TensorSignature("x", "FP32", (-1, 3)),)
    split = Split({"x": np.ones((5, 3), np.float32)}, None)
    signature = Signature(inputs, (TensorSignature("none", "FP32", (-1, 0)),))
    reference = build_reference("train", split, signature, tmp_path / "model.onnx")
    assert ([tensor.name for tensor in reference.inputs], reference.outputs) == (["x"], ())
    signature = Signature(inputs, (TensorSignature("grows", "FP32", (-1, 1)),))
    with pytest.raises(Unusable, match="grows: got 4 values in a row, expected 1"):
        build_reference("train", split, signature, tmp_path / "model.onnx")
