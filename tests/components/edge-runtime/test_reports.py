"""What the commands print and write of targets and data: on one line, and as valid JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support import networks
from tests.support import onnx_models as onnx
from tests.support.networks import CLASSES, SIZE, network

SOURCE = networks.make_weights()


def test_figures_that_are_not_finite_are_null_in_a_comparison(
    tmp_path: Path, build: Callable[..., int], replace_build: Callable[..., None]
) -> None:
    content = network(SOURCE | {"b2": np.where(np.arange(CLASSES) == 2, np.nan, SOURCE["b2"])})
    replace_build(lambda _source, folder, _examples: (folder / "model.onnx").write_bytes(content))
    assert build("onnx", "--out", str(tmp_path / "out.json"), compare=True) == 0
    found = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)["onnx"]
    assert (found["max_abs_difference"], found["golden"]["relative_mean_difference"]) == (None, None)
    assert "is nan, expected a finite number" in " ".join(found["over_budget"])


@pytest.mark.parametrize("compare", [True, False])
def test_names_of_slices_are_printed_on_one_line(
    build: Callable[..., int], compare: bool, replace_build: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = networks.make_examples(SOURCE, 600, 12)
    sites = np.where(y == 2, "north\n\x1b[31m\u202e" + "x" * 40, "south")
    content = network(SOURCE | {"b2": SOURCE["b2"] - np.where(np.arange(CLASSES) == 2, 1e3, 0)})
    replace_build(lambda _source, folder, _examples: (folder / "model.onnx").write_bytes(content))
    limits = {"max-drop": 1, "min-agreement": 0, "max-relative-difference": 1e9, "max-class-drop": 1}
    limits["min-class-agreement"] = 0
    options = [f"--{name}={limit}" for name, limit in limits.items()]
    assert build("onnx", *options, x=x, y=y, slice=sites, compare=compare) == (0 if compare else 2)
    output = capsys.readouterr()
    text = output.out if compare else output.err
    assert "slice slice=north??[31m?xxx" in text
    assert len(text.splitlines()) == (3 if compare else 1)
    assert all(line.isprintable() for line in text.splitlines())


def test_reasons_of_engines_are_printed_on_one_line(
    build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    source = onnx.model(
        [onnx.node("Add", ["a\n", "b\x1b"], ["y"])],
        [("a\n", "FP32", ["n", SIZE]), ("b\x1b", "FP32", ["n", SIZE])],
        [("y", "FP32", ["n", SIZE])],
    )
    assert build("onnx", source=source) == 1
    assert capsys.readouterr().err == "fairlead-edge: model.onnx: inputs: got 2 (a?, b?), expected one\n"
