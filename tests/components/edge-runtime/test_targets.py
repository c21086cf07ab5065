"""The targets by name, what they reject, and the forms that they write."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from fairlead_edge.main import main
from fairlead_edge.targets import RETIRED, TARGETS, find_target
from fairlead_edge.targets.base import CannotBuild

from tests.support import networks, onnx_models

EXAMPLES = networks.draw(64, 5)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(networks.network(networks.make_weights()))
    return tmp_path / "model.onnx"


def build(name: str, source: Path, examples: np.ndarray = EXAMPLES) -> dict[str, bytes]:
    """Build a target; return its files."""
    target, folder = find_target(name), source.parent / "out"
    folder.mkdir()
    target.build(source, folder, examples)
    return {file: (folder / file).read_bytes() for file in target.files}


@pytest.mark.parametrize(("name", "successor"), RETIRED.items())
def test_a_retired_name_is_answered_with_what_took_its_place(
    name: str, successor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--model", "m", "--dataset", "d", "--target", name.upper()])
    assert f"{name.upper()} is retired: use {successor}" in capsys.readouterr().err


def test_targets_are_listed_with_the_retired_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert lines.keys() >= {*TARGETS, *RETIRED}
    assert lines["pytorch-mobile"].endswith("retired: use executorch")


@pytest.mark.parametrize("name", ["onnx-int8", "onnx-int8-tensorrt"])
@pytest.mark.parametrize(
    ("examples", "reason"),
    [
        (EXAMPLES[:15], r"calibration: got 15 examples, expected at least 16"),
        (EXAMPLES[:, :8], r"calibration: got examples of shape \[8\], expected \[16\] \(input input\)"),
        (EXAMPLES[..., None], r"calibration: got examples of shape \[16, 1\], expected \[16\]"),
    ],
    ids=["too few", "another size", "another rank"],
)
def test_examples_that_cannot_calibrate_are_rejected(
    source: Path, name: str, examples: np.ndarray, reason: str
) -> None:
    with pytest.raises(CannotBuild, match=reason):
        build(name, source, examples)


def test_the_form_for_tensorrt_has_zero_points_of_0_and_biases_of_32_bits(source: Path) -> None:
    graph = onnx.load_from_string(build("onnx-int8-tensorrt", source)["model.onnx"]).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    pairs = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) > 4
    assert all(not values[node.input[2]].any() for node in pairs)
    assert not [name for name, array in values.items() if array.dtype == np.int32]
    plain = onnx.load_from_string(build_again("onnx-int8", source)["model.onnx"]).graph
    zeros = [onnx.numpy_helper.to_array(tensor) for tensor in plain.initializer if "zero_point" in tensor.name]
    assert any(array.any() for array in zeros)  # what the other form has


def build_again(name: str, source: Path) -> dict[str, bytes]:
    """Build another target of the same source."""
    (source.parent / "out").rename(source.parent / "first")
    return build(name, source)


def test_the_format_of_web_and_mobile_is_not_onnx_and_answers_as_its_source(source: Path) -> None:
    files = build("onnx-ort", source)
    assert files["model.ort"][4:8] == b"ORTM"
    (found,) = find_target("onnx-ort").load(files, 1).run({"input": EXAMPLES})
    (expected,) = find_target("onnx").load({"model.onnx": source.read_bytes()}, 1).run({"input": EXAMPLES})
    assert np.abs(found - expected).max() < 1e-5


def test_an_operator_that_no_engine_knows_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(
        onnx_models.model([onnx_models.node("Nowhere", ["x"], ["y"])], [("x", "FP32", [1])], [("y", "FP32", [1])])
    )
    with pytest.raises(CannotBuild, match=r"ONNX Runtime .* cannot express the model: .*Nowhere"):
        build("onnx-ort", tmp_path / "model.onnx")
