"""Differences of output values in deviations of their columns."""

from typing import Any

import numpy as np
import pytest
from fairlead_edge.parity.deviations import find_scales, relate
from fairlead_edge.parity.running import Answers

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.normal(size=(600, 6))


def compare(other: np.ndarray, changed: np.ndarray) -> float:
    """Return the figure of a second output."""
    return relate({0: np.zeros_like(SCORES), 1: np.abs(other - changed)}, find_scales(Answers(SCORES, {1: other})))


def compare_scores(scores: np.ndarray, changed: np.ndarray) -> float:
    return relate({0: np.abs(scores - changed)}, find_scales(Answers(scores, {})))


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_columns_along_each_axis_are_judged_by_their_own_deviation(axis: int) -> None:
    units = np.array([1e4, 1e4, 1.0]).reshape([3 if each == axis else 1 for each in range(4)])
    other = RANDOM.normal(size=(600, 3, 3, 3)) * units
    assert compare(other, other * np.where(units == 1, 0.5, 1)) == pytest.approx(0.4, rel=0.02)
    assert compare(other, other * 1.01) == pytest.approx(0.008, rel=0.05)


def test_a_class_that_never_seems_likely_is_not_judged_by_its_tiny_scores() -> None:
    scores = np.exp(3 * SCORES - np.array([0, 0, 0, 0, 0, 15]))
    scores /= scores.sum(axis=1, keepdims=True)
    assert compare_scores(scores, np.round(scores * 255) / 255) < 0.05
    assert compare_scores(scores, scores.astype(np.float16)) < 0.05
    assert compare_scores(scores, scores / 2) > 0.3


@pytest.mark.parametrize(
    ("other", "changed", "figure"),
    [
        (np.full((600, 1), 0.1), np.full((600, 1), 0.1, np.float16), 0.0002),
        (np.full((600, 1), 0.1), np.full((600, 1), 0.2), 1),
        (np.zeros((600, 2)), np.zeros((600, 2)), 0),
        (np.zeros((600, 2)), np.full((600, 2), 1e-9), np.inf),
        (np.zeros((0, 4)), np.zeros((0, 4)), 0),
        (np.ones((600, 2)), np.full((600, 2), np.nan), np.nan),
        (np.ones((600, 2)), np.full((600, 2), np.inf), np.inf),
    ],
    ids=["16 bits", "twice", "zeros", "zeros that are none", "empty", "not a number", "infinite"],
)
def test_constant_outputs_are_judged_by_their_size(other: np.ndarray, changed: np.ndarray, figure: float) -> None:
    assert compare(other, changed) == pytest.approx(figure, abs=1e-4, nan_ok=True)


def test_a_column_of_zeros_is_judged_by_the_others() -> None:
    other = np.maximum(RANDOM.normal(size=(600, 8)), 0) * (np.arange(8) > 1)
    once = other.copy()
    once[0, 0] = 0.1
    assert compare(other, once) < 0.02
    assert compare(other, np.where(np.arange(8) == 0, 0.1, other)) > 1


def test_a_deviation_that_is_not_finite_admits_no_difference() -> None:
    scores = np.where(SCORES > 0, 1.7e308, -1.7e308)
    assert compare_scores(scores, scores) == 0
    assert compare_scores(scores, scores / 2) == np.inf


@pytest.mark.parametrize("shape", [(16, 1, 3), (16, 5, 3), (48, 1), (0, 3)])
def test_single_examples_may_have_outputs_of_another_shape(shape: Any) -> None:
    scales = find_scales(Answers(SCORES, {1: RANDOM.normal(size=(600, 2, 3))}))
    assert relate({0: np.zeros((16, 6)), 1: np.zeros(shape)}, scales) == 0
    found = relate({0: np.zeros((16, 6)), 1: np.ones(shape)}, scales)
    assert found == pytest.approx(1 if all(shape) else 0, rel=0.1)
