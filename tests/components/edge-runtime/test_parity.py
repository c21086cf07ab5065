"""Parity: what is measured of a target, on which examples."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_contracts.edge_parity import MAX_GROUPS, MAX_TEXT, EdgeParity
from fairlead_contracts.parity_budget import Budget
from fairlead_edge.errors import BundleRejected, InputUnusable
from fairlead_edge.parity import find_problems, measure_parity
from fairlead_edge.splits import MAX_SLICE_NAME, MAX_SLICES, Split, load_split
from fairlead_edge.targets import find_target

from tests.support import networks, onnx_models
from tests.support.networks import CLASSES, SIZE, network

SOURCE = networks.make_weights()


@pytest.fixture
def measure(tmp_path: Path) -> Callable[..., EdgeParity]:
    """Return a function that compares a target with a source on a split."""

    def run(source: bytes, target: bytes, split: Split) -> EdgeParity:
        (tmp_path / "source.onnx").write_bytes(source)
        (tmp_path / "model.onnx").write_bytes(target)
        return measure_parity(tmp_path / "source.onnx", tmp_path, find_target("onnx"), split)

    return run


def make_split(rows: int = 300, **more: Any) -> Split:
    x, y = networks.make_examples(SOURCE, rows, 1)
    return Split(x, **({"labels": y, "file": "test.npz"} | more))


def test_the_figures_are_those_of_both_models(measure: Callable[..., EdgeParity]) -> None:
    changed = SOURCE | {"b2": SOURCE["b2"] + np.array([0.5, 0, 0, 0, 0, 0])}
    x, y = networks.make_examples(SOURCE, 300, 1)
    sites = np.where(x[:, 0] > 0, "north", "south")
    found = measure(network(SOURCE), network(changed), Split(x, y, {"site": sites}, "test.npz"))
    before, after = (networks.answer(weights, x).argmax(axis=1) for weights in (SOURCE, changed))
    assert (found.examples, found.accuracy_before) == (300, 0.96)
    assert found.accuracy_after == (after == y).mean() < 0.96
    assert found.agreement == (before == after).mean() < 1
    assert found.lost == ((before == y) & (after != y)).sum() > 0
    assert found.won == ((before != y) & (after == y)).sum()
    # of six values one differs by 0.5
    assert (found.max_abs_difference, found.mean_abs_difference) == (0.5, pytest.approx(0.5 / 6, rel=1e-2))
    assert found.relative_mean_difference == pytest.approx(0.5 / networks.answer(SOURCE, x)[:, 0].std(), rel=1e-2)
    assert found.accuracy_low < found.accuracy_after < found.accuracy_high
    assert [each.value for each in found.classes] == [str(each) for each in range(CLASSES)]
    assert [(each.column, each.value) for each in found.slices] == [("site", "north"), ("site", "south")]
    for value, each in zip(["north", "south"], found.slices, strict=True):
        chosen = sites == value
        counts = (
            chosen.sum(),
            (before == y)[chosen].sum(),
            (after == y)[chosen].sum(),
            (before == after)[chosen].sum(),
        )
        assert (each.examples, each.right_before, each.right_after, each.agreeing) == counts
    for groups in (found.classes, found.slices):
        assert sum(each.examples for each in groups) == 300
        assert sum(each.lost for each in groups) == found.lost


def test_the_drop_that_could_be_missed_shrinks_with_more_examples(measure: Callable[..., EdgeParity]) -> None:
    source = network(SOURCE)
    few, many = (measure(source, source, make_split(rows)).drop_high for rows in (100, 2000))
    # nothing is lost: 1 - 0.025 ** (1 / examples)
    assert (few, many) == (pytest.approx(0.0362, abs=1e-4), pytest.approx(0.00184, abs=1e-5))


def test_an_answer_that_does_not_depend_on_the_input_is_chance_however_common_it_is(
    measure: Callable[..., EdgeParity],
) -> None:
    rare = np.where(np.arange(300) % 20 == 0, 1, 0)
    constant = network(SOURCE | {"w2": np.zeros_like(SOURCE["w2"]), "b2": np.eye(CLASSES)[0]})
    found = measure(constant, constant, make_split(labels=rare))
    assert found.accuracy_before == found.chance_before == 0.95
    assert [problem for problem in find_problems(found, Budget()) if "more than chance" in problem]


def test_a_model_of_single_examples_is_compared(measure: Callable[..., EdgeParity]) -> None:
    weights = {"w": np.random.default_rng(0).normal(size=(SIZE, CLASSES)), "b": np.zeros(CLASSES)}
    alone, free = onnx_models.linear(weights, 1), onnx_models.linear(weights)
    assert measure(alone, free, make_split()).agreement == 1
    with pytest.raises(InputUnusable, match=r"source\.onnx: input input: got batches of 8 alone, expected batches of"):
        measure(onnx_models.linear(weights, 8), free, make_split())


def test_outputs_of_another_shape_are_rejected(measure: Callable[..., EdgeParity]) -> None:
    fewer = SOURCE | {"w2": SOURCE["w2"][:, :5], "b2": SOURCE["b2"][:5]}
    reason = r"onnx: output 0: got shape \[300, 5\], expected the source's \[300, 6\]"
    with pytest.raises(BundleRejected, match=reason):
        measure(network(SOURCE), network(fewer), make_split())


def test_a_source_that_returns_no_finite_scores_is_unusable(measure: Callable[..., EdgeParity]) -> None:
    broken = network(SOURCE | {"b2": np.full(CLASSES, np.inf)})
    with pytest.raises(InputUnusable, match=r"source\.onnx: returns 1800 values that are infinite or not-a-number"):
        measure(broken, network(SOURCE), make_split())
    regression = network(SOURCE | {"w2": SOURCE["w2"][:, :1], "b2": SOURCE["b2"][:1]})
    with pytest.raises(
        InputUnusable, match=r"returns float32 of shape \[256, 1\] for 256 .*, expected a score per class"
    ):
        measure(regression, regression, make_split())


def test_outputs_that_are_no_tensors_are_rejected(measure: Callable[..., EdgeParity]) -> None:
    sequence = onnx_models.with_sequence(network(SOURCE), "logits")
    with pytest.raises(InputUnusable, match=r"source\.onnx: output 1: got a list, expected a tensor"):
        measure(sequence, network(SOURCE), make_split())


def test_an_output_without_values_is_not_compared(measure: Callable[..., EdgeParity]) -> None:
    empty = network(SOURCE | {"w3": np.zeros((networks.HIDDEN, 0)), "b3": np.zeros(0)})
    assert measure(empty, empty, make_split()).relative_mean_difference == 0
    with pytest.raises(BundleRejected, match="output 1: got shape none"):
        measure(empty, network(SOURCE), make_split())


LABELS = networks.make_examples(SOURCE, 300, 1)[1]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (LABELS.astype(np.float64), "got float64 of shape [300], expected an integer from 0 to 5 for each example"),
        (LABELS[:, None], "got int64 of shape [300, 1], expected an integer"),
        (np.eye(CLASSES, dtype=int)[LABELS], "got int64 of shape [300, 6], expected an integer"),
        (LABELS.astype(str), "got <U21 of shape [300], expected an integer"),
        (LABELS > 2, "got bool of shape [300], expected an integer"),
        (LABELS + 1, "got 6 ("),
        (LABELS - 1, "got -1 ("),
        (np.full(300, 3), "got class 3 for every example, expected at least two classes"),
    ],
)
def test_labels_of_another_shape_or_type_are_rejected(
    measure: Callable[..., EdgeParity], labels: np.ndarray, reason: str
) -> None:
    with pytest.raises(InputUnusable) as caught:
        measure(network(SOURCE), network(SOURCE), make_split(labels=labels))
    assert str(caught.value).startswith(f"test.npz: y: {reason}")


@pytest.mark.parametrize(
    ("arrays", "names", "reason"),
    [
        ({}, ["site"], "got no array but x and y, expected 'site', which names slices"),
        ({"place": np.zeros(4, int)}, ["site"], "got place, expected 'site', which names slices"),
        ({}, ["y"], "got no array but x and y, expected 'y', which names slices"),
        ({"slice": np.zeros(3, int)}, [], "'slice': got int64 [3], expected 4 names or integers"),
        ({"slice": np.zeros((4, 1), int)}, [], "'slice': got int64 [4, 1], expected 4 names or integers"),
        ({"slice": np.zeros(4)}, [], "'slice': got float64 [4], expected 4 names or integers"),
        ({"slice": np.array(["a", "b", "c", "d" * 65])}, [], "slice: got 65 characters, expected at most 64"),
        ({"x": np.array(["a"] * 4)}, [], "x: got values of type <U1, expected numbers"),
        ({"x": np.float32(1)}, [], "got {'x': [], 'y': [4]}, expected x and y with a row for each example"),
    ],
)
def test_slices_and_examples_that_cannot_be_used_are_rejected(
    tmp_path: Path, arrays: dict[str, Any], names: list[str], reason: str
) -> None:
    np.savez(tmp_path / "test.npz", **({"x": np.zeros((4, 2)), "y": np.zeros(4, int)} | arrays))
    with pytest.raises(InputUnusable) as caught:
        load_split(tmp_path, "test", Preprocessing(), names)
    assert str(caught.value) == f"test.npz: {reason}"


def test_slices_are_the_named_arrays_or_else_the_one_of_this_name(tmp_path: Path) -> None:
    arrays = {"slice": np.array(["a", "b"]), "hour": np.array([3, 14]), "noise": np.array([0.5, 0.5])}
    np.savez(tmp_path / "test.npz", x=np.zeros((2, 2)), y=np.zeros(2, int), **arrays)
    found = load_split(tmp_path, "test", Preprocessing()).slices
    assert {name: list(values) for name, values in found.items()} == {"slice": ["a", "b"]}
    found = load_split(tmp_path, "test", Preprocessing(), ["hour", "slice", "hour"]).slices
    assert {name: list(values) for name, values in found.items()} == {"hour": ["3", "14"], "slice": ["a", "b"]}


def test_too_many_slices_are_rejected(tmp_path: Path) -> None:
    assert (MAX_SLICES, MAX_SLICE_NAME) == (MAX_GROUPS, MAX_TEXT)
    np.savez(tmp_path / "test.npz", x=np.zeros((1001, 1)), y=np.zeros(1001, int), slice=np.arange(1001))
    with pytest.raises(InputUnusable, match=r"test\.npz: got 1001 slices by slice, expected at most 1000"):
        load_split(tmp_path, "test", Preprocessing())


def test_figures_are_written_as_json(measure: Callable[..., EdgeParity]) -> None:
    found = measure(network(SOURCE), network(SOURCE), make_split())
    assert EdgeParity.parse_json(json.dumps(found.to_json()), "parity") == found
