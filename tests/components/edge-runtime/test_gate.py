"""The parity gate: which figures are over a budget, and the tables that say so."""

import math
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.edge_parity import EdgeParity, Golden, Group
from fairlead_contracts.parity_budget import Budget
from fairlead_edge.errors import BundleRejected
from fairlead_edge.parity import build_comparison, build_table, check_parity, find_problems

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


def test_figures_within_the_budget_are_no_problem() -> None:
    check_parity(GOOD, Budget())


@pytest.mark.parametrize(
    ("figures", "limits", "reason"),
    [
        ({"lost": 7}, {}, "accuracy drops from 0.9800 to 0.9800 (5 of 400 examples), expected a drop of at most 0.01"),
        ({}, {"min_examples": 401}, "400 examples, expected at least 401: with these, accuracy may drop by 1.7%"),
        ({"distinct": 2}, {}, "400 examples, of which 2 are distinct, expected at least 100 distinct ones"),
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
    names = (group(40, 40, value="north\n\x1b[31m" + "x" * 50),)
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
