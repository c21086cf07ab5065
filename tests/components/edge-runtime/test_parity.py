"""Parity: what is measured of a target, and which figures are over a budget."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_contracts.edge_parity import EdgeParity, Golden, Group
from fairlead_contracts.parity_budget import Budget
from fairlead_edge.errors import BundleRejected, InputUnusable
from fairlead_edge.parity import build_comparison, build_table, check_parity, find_problems, measure_parity
from fairlead_edge.splits import Split, load_split
from fairlead_edge.targets import find_target

from tests.support import networks, onnx_models
from tests.support.networks import CLASSES, SIZE, network

SOURCE = networks.make_weights()
GOOD = EdgeParity(
    examples=400, max_abs_difference=0.1, agreement=0.99, accuracy_before=0.98, accuracy_after=0.98, bytes_before=9,
    bytes_after=9, mean_abs_difference=0.01, relative_mean_difference=0.02, lost=2, won=2, drop_high=0.0174,
    accuracy_low=0.961, accuracy_high=0.991, sure_accuracy_before=0.94, sure_accuracy_after=0.94, chance_before=0.5,
    chance_after=0.5, golden=Golden(examples=16, max_abs_difference=0.1, relative_mean_difference=0.02, agreeing=16),
    class_count=2, classes=(),
)  # fmt: skip


def change(**figures: Any) -> EdgeParity:
    return GOOD.model_copy(update=figures)


def group(examples: int, right_after: int, agreeing: int | None = None, value: str = "3") -> Group:
    """Return a group of which the source gets everything right."""
    return Group(
        column="y", value=value, examples=examples, right_before=examples, right_after=right_after,
        lost=examples - right_after, agreeing=right_after if agreeing is None else agreeing, accuracy_low=0.0,
        accuracy_high=1.0,
    )  # fmt: skip


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
    assert found.relative_mean_difference == pytest.approx(0.5 / 6 / networks.answer(SOURCE, x).std(), rel=1e-2)
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
        ({"slice": np.array(["a", "b", "c", "d" * 254])}, [], "slice: got 254 characters, expected at most 253"),
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
    np.savez(tmp_path / "test.npz", x=np.zeros((1001, 1)), y=np.zeros(1001, int), slice=np.arange(1001))
    with pytest.raises(InputUnusable, match=r"test\.npz: got 1001 slices by slice, expected at most 1000"):
        load_split(tmp_path, "test", Preprocessing())


def test_figures_within_the_budget_are_no_problem() -> None:
    check_parity(GOOD, Budget())


@pytest.mark.parametrize(
    ("figures", "limits", "reason"),
    [
        ({"lost": 7}, {}, "accuracy drops from 0.9800 to 0.9800 (5 of 400 examples), expected a drop of at most 0.01"),
        ({}, {"min_examples": 401}, "400 examples, expected at least 401: with these, accuracy may drop by 1.7%"),
        ({}, {"max_missed_drop": 0.01}, "a drop in accuracy of up to 0.0174 could have been missed with 400 examples"),
        ({}, {"min_accuracy": 0.981}, "accuracy is 0.9800, expected at least 0.981"),
        ({"agreement": 0.94}, {}, "agreement is 0.9400, expected at least 0.95"),
        ({}, {"max_difference": 0.09}, "the largest difference of an output value is 0.1, expected at most 0.09"),
        ({}, {"max_mean_difference": 0.0}, "the mean difference of output values is 0.01, expected at most 0"),
        ({"relative_mean_difference": 0.163}, {}, "the mean difference of output values in standard deviations is 0.1"),
        ({"max_abs_difference": math.inf}, {}, "the largest difference of an output value is inf, expected a finite"),
        ({"mean_abs_difference": math.nan}, {}, "the mean difference of output values is nan, expected a finite"),
        ({"sure_accuracy_before": 0.5}, {}, "the source's accuracy is at least 0.5000 (99.99 % confidence), expected"),
        ({"sure_accuracy_after": 0.5}, {}, "the target's accuracy is at least 0.5000 (99.99 % confidence), expected"),
        (
            {"golden": GOOD.golden.model_copy(update={"agreeing": 12})}, {},
            "on examples one at a time, the classes agree for 12 of 16, expected an agreement of at least 0.95",
        ),
        (
            {"golden": GOOD.golden.model_copy(update={"relative_mean_difference": 0.2})}, {},
            "on 16 examples one at a time, the mean difference of output values in standard deviations is 0.2",
        ),
        ({"classes": (group(40, 20),)}, {}, "class 3: accuracy drops by 0.5000 (20 of 40 examples), expected at most"),
        ({"classes": (group(40, 40, 20),)}, {}, "class 3: agreement is 0.5000, expected at least 0.8"),
        ({"slices": (group(40, 20),)}, {}, "slice y=3: accuracy drops by 0.5000 (20 of 40 examples), expected at most"),
        ({"slices": (group(40, 40, 20),)}, {}, "slice y=3: agreement is 0.5000, expected at least 0.8"),
        ({"classes": (group(400, 360),)}, {"max_class_drop": 0.05}, "class 3: accuracy drops by 0.1000 (40 of 400"),
    ],
)  # fmt: skip
def test_each_figure_over_its_limit_is_a_problem(figures: dict[str, Any], limits: dict[str, Any], reason: str) -> None:
    (first, *_) = find_problems(change(**figures), Budget(**limits))
    assert first.startswith(reason)
    with pytest.raises(BundleRejected) as caught:
        check_parity(change(**figures), Budget(**limits))
    assert str(caught.value).startswith(reason)


def test_a_few_examples_of_a_class_prove_little() -> None:
    assert find_problems(change(classes=(group(5, 4),)), Budget()) == []
    # one class of a thousand that seems ruined may be so by chance
    assert find_problems(change(classes=(group(10, 5, 8),), class_count=2), Budget()) != []
    assert find_problems(change(classes=(group(10, 5, 8),), class_count=1000), Budget()) == []
    # and one of which everything is lost is not
    assert find_problems(change(classes=(group(10, 0, 8),), class_count=1000), Budget()) != []


def test_many_problems_are_cut() -> None:
    problems = find_problems(change(classes=tuple(group(40, 0, value=str(each)) for each in range(50))), Budget())
    assert (len(problems), problems[-1]) == (4, "and 97 more of classes and slices")


def test_the_table_has_the_limits_what_could_be_missed_and_the_classes_that_lose_the_most() -> None:
    classes = tuple(group(40, 40 - (value == 77), value=str(value)) for value in range(100))
    names = (group(40, 40, value="north\n\x1b[31m" + "x" * 100),)
    table = build_table(change(classes=classes, slices=names), Budget(max_missed_drop=0.01))
    assert "with 400 examples, a drop of up to 1.7% could be missed" in table
    assert "drop <= 0.01" in table
    assert "over budget: a drop in accuracy of up to 0.0174 could have been missed" in table
    assert "\n77 " in table
    assert "… and 80 more, which lose less, in parity.json" in table
    assert all(line.isprintable() and len(line) < 130 for line in table.splitlines())


@pytest.mark.parametrize("difference", [np.inf, np.nan])
def test_the_smallest_target_within_the_budget_is_marked(difference: float) -> None:
    wrong = change(max_abs_difference=difference, bytes_after=1)
    results = [("onnx-fp16", wrong), ("onnx", GOOD), ("openvino", "target openvino: openvino is not installed")]
    _, first, second, third, last = build_comparison(results, Budget()).splitlines()
    assert first.endswith(f"the largest difference of an output value is {difference}, expected a finite number")
    assert second.endswith("the smallest")
    assert third.endswith("openvino is not installed")
    assert last == "400 examples: a drop in accuracy of up to 1.7% could be missed (95 % confidence)"


def test_figures_are_written_as_json(measure: Callable[..., EdgeParity]) -> None:
    found = measure(network(SOURCE), network(SOURCE), make_split())
    assert EdgeParity.parse_json(json.dumps(found.to_json()), "parity") == found
