"""No ruined model passes the parity gate, and every honest target does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.edge_parity import EdgeParityTable, parse_table
from fairlead_edge.targets import BUILT_ELSEWHERE, TARGETS, find_target

from tests.support import networks
from tests.support.networks import CLASSES, HIDDEN, SIZE, Weights, network

BUILT_HERE = [name for name in TARGETS if name not in BUILT_ELSEWHERE]
SOURCE = networks.make_weights()
RANDOM = np.random.default_rng(5)


def change(**arrays: Any) -> bytes:
    """Return the source with other weights."""
    return network(SOURCE | arrays)


def swap(one: int, other: int) -> bytes:
    order = np.arange(CLASSES)
    order[[one, other]] = other, one
    return change(w2=SOURCE["w2"][:, order], b2=SOURCE["b2"][order])


RUINS: dict[str, tuple[bytes, str]] = {
    "shuffled weights": (change(w1=RANDOM.permutation(SOURCE["w1"].ravel()).reshape(SIZE, HIDDEN)), "accuracy drops"),
    "shuffled last layer": (change(w2=RANDOM.permutation(SOURCE["w2"])), "accuracy drops"),
    "a layer of zeros": (change(w1=np.zeros((SIZE, HIDDEN))), "the target's accuracy is at least"),
    "lost biases": (change(b1=np.zeros(HIDDEN), b2=np.zeros(CLASSES)), "accuracy drops"),
    "lost biases of the last layer": (change(b2=np.zeros(CLASSES)), "standard deviations is"),
    "two classes swapped": (swap(1, 4), "class 1: accuracy drops by 0.9"),
    "classes off by one": (
        change(w2=np.roll(SOURCE["w2"], 1, axis=1), b2=np.roll(SOURCE["b2"], 1)), "agreement is 0.0000"
    ),
    "outputs of half the scale": (change(w2=SOURCE["w2"] / 2, b2=SOURCE["b2"] / 2), "standard deviations is"),
    "inputs of another scale": (change(w1=SOURCE["w1"] * 0.1), "accuracy drops"),
    "inputs in another order": (change(w1=SOURCE["w1"][::-1]), "accuracy drops"),
    "noise": (change(w1=SOURCE["w1"] + RANDOM.normal(0, 0.1, (SIZE, HIDDEN))), "accuracy drops"),
    "a constant answer": (change(w2=np.zeros((HIDDEN, CLASSES))), "more than chance"),
    "another activation": (network(SOURCE, "Tanh"), "accuracy drops"),
    "another network": (network(networks.make_weights(4)), "accuracy drops"),
    "a weight of not-a-number": (change(b2=np.where(np.arange(CLASSES) == 2, np.nan, SOURCE["b2"])), "is nan"),
    "answers that depend on the batch": (network(SOURCE, centered=True), "one at a time, the mean difference"),
}  # fmt: skip


LAST = np.arange(CLASSES) == CLASSES - 1
MASKED = SOURCE | {"w2": np.where(LAST, 0, SOURCE["w2"]), "b2": np.where(LAST, -1e4, SOURCE["b2"])}
BOXES = SOURCE | {
    "w3": RANDOM.normal(0, 1, (HIDDEN, 5)) * np.array([100, 100, 30, 30, 0.1]),
    "b3": np.array([320, 240, 60, 60, 0.5]),
}
FAR = SOURCE | {"factor": np.array(1e200)}
HIDDEN_RUINS: dict[str, tuple[Weights, Weights]] = {
    "half the scale beside a class masked with -1e4": (
        MASKED, MASKED | {"w2": MASKED["w2"] / 2, "b2": np.where(LAST, -1e4, MASKED["b2"] / 2)}
    ),
    "half the scale beside a class masked with -1e9": (
        MASKED | {"b2": np.where(LAST, -1e9, MASKED["b2"])},
        MASKED | {"w2": MASKED["w2"] / 2, "b2": np.where(LAST, -1e9, MASKED["b2"] / 2)},
    ),
    "a confidence that is lost beside boxes in pixels": (
        BOXES, BOXES | {"w3": BOXES["w3"] * [1, 1, 1, 1, 0], "b3": BOXES["b3"] * [1, 1, 1, 1, 0]}
    ),
    "half a confidence beside boxes in pixels": (
        BOXES, BOXES | {"w3": BOXES["w3"] * [1, 1, 1, 1, 0.5], "b3": BOXES["b3"] * [1, 1, 1, 1, 0.5]}
    ),
    "a tenth of values around 1e200": (FAR, FAR | {"factor": np.array(1e199)}),
    "a constant that is lost": (
        SOURCE | {"w3": np.zeros((HIDDEN, 1)), "b3": np.array([0.1])},
        SOURCE | {"w3": np.zeros((HIDDEN, 1)), "b3": np.array([0.0])},
    ),
}  # fmt: skip
"""Sources, and targets of which a column that dominates all differences and deviations hides what is lost."""
HARMLESS: dict[str, Weights] = {
    "values around 1e200": FAR,
    "a constant of 0.1": SOURCE | {"w3": np.zeros((HIDDEN, 1)), "b3": np.array([0.1])},
    "a constant of 0": SOURCE | {"w3": np.zeros((HIDDEN, 2)), "b3": np.zeros(2)},
    "a column that hardly varies": SOURCE | {"w3": np.full((HIDDEN, 1), 1e-7), "b3": np.array([0.1])},
    "a column without deviation beside others": SOURCE
    | {"w3": np.where(np.arange(4) == 1, 0, RANDOM.normal(0, 1, (HIDDEN, 4))), "b3": np.zeros(4)},
}


@pytest.mark.parametrize("target", BUILT_HERE)
def test_an_honest_target_passes(tmp_path: Path, build: Callable[..., int], target: str) -> None:
    assert build(target) == 0
    table = parse_table((tmp_path / "store" / "bundle" / "parity.json").read_bytes(), "parity.json")
    assert isinstance(table, EdgeParityTable)
    assert table.relative_mean_difference < table.budget.max_relative_difference / 2


@pytest.mark.parametrize("ruin", RUINS)
def test_a_ruined_target_is_not_published(
    tmp_path: Path,
    build: Callable[..., int],
    ruin: str,
    replace_build: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    content, reason = RUINS[ruin]
    replace_build(lambda _source, folder, _examples: (folder / "model.onnx").write_bytes(content))
    assert build("onnx") == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "store" / "bundle").exists()


def make_data(weights: Weights) -> dict[str, Any]:
    """Return held-out arrays of what the network predicts."""
    x, _ = networks.make_examples(SOURCE, 600, 12)
    return {"x": x, "y": networks.answer(weights, x).argmax(axis=1)}


@pytest.mark.parametrize("ruin", HIDDEN_RUINS)
def test_no_column_hides_what_is_lost_of_others(
    build: Callable[..., int], ruin: str, replace_build: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = HIDDEN_RUINS[ruin]
    content = network(target)
    replace_build(lambda _source, folder, _examples: (folder / "model.onnx").write_bytes(content))
    assert build("onnx", source=network(source), **make_data(source)) == 2
    assert "the mean difference of output values in standard deviations is" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["onnx", "onnx-fp16", "onnx-int8", "onnx-int8-dynamic"])
@pytest.mark.parametrize("name", HARMLESS)
def test_an_honest_target_with_columns_that_hardly_vary_passes(
    build: Callable[..., int], name: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = HARMLESS[name]
    assert build(target, source=network(weights), **make_data(weights)) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "code"), [("onnx", 0), ("onnx-fp16", 0), ("onnx-int8", 2), ("onnx-int8-dynamic", 0)]
)
@pytest.mark.parametrize("weights", [MASKED, BOXES], ids=["masked", "boxes"])
def test_8_bits_for_columns_of_other_scales_are_too_few(
    build: Callable[..., int], weights: Weights, target: str, code: int
) -> None:
    # one step of the masked class, or of the boxes, is larger than all values of the rest
    assert build(target, source=network(weights), **make_data(weights)) == code


@pytest.mark.parametrize("factor", [0.01, 1000.0])
def test_int8_calibrated_with_examples_of_another_scale_is_not_published(
    tmp_path: Path,
    build: Callable[..., int],
    factor: float,
    replace_build: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    honest = find_target("onnx-int8").build
    replace_build(lambda source, folder, examples: honest(source, folder, examples * np.float32(factor)))
    assert build("onnx-int8") == 2
    assert "accuracy drops" in capsys.readouterr().err
    assert not (tmp_path / "store" / "bundle").exists()


def test_a_rare_class_that_is_lost_is_found_whatever_the_whole_loses(
    build: Callable[..., int], replace_build: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    b2 = SOURCE["b2"] - np.where(np.arange(CLASSES) == 2, 1e3, 0)
    replace_build(lambda _source, folder, _examples: (folder / "model.onnx").write_bytes(change(b2=b2)))
    limits = {"max-drop": 1, "min-agreement": 0, "max-relative-difference": 1e9}
    assert build("onnx", *(f"--{name}={limit}" for name, limit in limits.items())) == 2
    assert capsys.readouterr().err.startswith("fairlead-edge: rejected: class 2: accuracy drops by ")


@pytest.mark.parametrize(
    ("source", "data"),
    [
        (network(networks.make_weights(4)), SOURCE),
        (change(w2=np.zeros((HIDDEN, CLASSES))), SOURCE),
    ],
    ids=["trained for something else", "constant"],
)
def test_a_source_that_answers_at_random_never_passes(
    build: Callable[..., int], source: bytes, data: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    generous = ["--max-drop", "1", "--min-agreement", "0", "--min-examples", "1", "--max-relative-difference", "1e9"]
    assert build("onnx", *generous, source=source, data=data) == 2
    assert "the source's accuracy is at least" in capsys.readouterr().err


def test_labels_that_are_off_by_one_are_a_source_that_answers_at_random(
    build: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    _, y = networks.make_examples(SOURCE, 600, 12)
    assert build("onnx", y=(y + 1) % CLASSES) == 2
    assert "the source's accuracy is at least 0.0" in capsys.readouterr().err


def test_copies_of_examples_are_counted_once(build: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    x, y = networks.make_examples(SOURCE, 600, 12)
    chosen = np.tile([np.flatnonzero(y == kind)[1] for kind in (2, 3)], 300)
    assert build("onnx", x=x[chosen], y=y[chosen]) == 2
    reason = "600 examples, of which 2 are distinct, expected at least 100 distinct ones"
    assert reason in capsys.readouterr().err


def test_the_calibration_split_is_not_held_out(build: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert build("onnx", "--split", "train") == 1
    assert capsys.readouterr().err.startswith(
        "fairlead-edge: train.npz: got the same 200 examples for calibration and for parity, expected held-out ones"
    )
