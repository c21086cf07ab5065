"""The comparison of a self-test: what rounding may change, and what it may not."""

import numpy as np
import pytest
from fairlead_edge.self_test import Cases

INPUTS = np.zeros((10, 2), np.float32)
SCORES = np.stack([np.eye(3, dtype=np.float32)[[index % 3]] for index in range(10)])


def respond(*outputs: np.ndarray) -> list[dict[str, object]]:
    """Return V2 responses with a case of each output."""
    return [
        {"outputs": [{"shape": list(each[index].shape), "data": each[index].ravel()} for each in outputs]}
        for index in range(10)
    ]


def test_small_differences_pass_and_large_ones_do_not() -> None:
    cases = Cases(INPUTS, [SCORES], [0.05])
    assert cases.find_problem(respond(SCORES + 0.04)) is None
    assert cases.find_problem(respond(SCORES + 0.06)) == "output 0: the mean difference is 0.06, expected at most 0.05"
    assert str(cases.find_problem(respond(SCORES * np.nan))).startswith("output 0: the mean difference is nan")


def test_other_classes_do_not_pass_whatever_the_difference() -> None:
    cases = Cases(INPUTS, [SCORES / 1000], [0.05])
    problem = "output 0: 0% of the cases have the same class, expected at least 90%"
    assert cases.find_problem(respond(np.roll(SCORES, 1, axis=-1) / 1000)) == problem


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_values_that_are_not_finite_are_equal_to_themselves(value: float) -> None:
    masked = SCORES.copy()
    masked[:, :, 0] = value
    cases = Cases(INPUTS, [np.zeros_like(SCORES), masked], [0.0, 0.01])
    assert cases.find_problem(respond(np.zeros_like(SCORES), masked)) is None
    assert cases.find_problem(respond(np.zeros_like(SCORES), SCORES)) is not None


def test_one_of_ten_classes_may_be_another_on_another_processor() -> None:
    classes = np.arange(10, dtype=np.int64).reshape(10, 1)
    cases = Cases(INPUTS, [classes], [0.0])
    other = classes.copy()
    other[3] = 0
    assert cases.find_problem(respond(other)) is None
    other[4] = 0
    assert cases.find_problem(respond(other)) == "output 0: 80% of the values are the same, expected at least 90%"
