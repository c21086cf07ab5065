"""The parity gate: what counts as a difference, and what a comparison of few examples shows."""

from math import comb
from typing import Any

import numpy as np
import pytest
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_datasets.splits import Split
from fairlead_onnx_converter.errors import ConversionRejected
from fairlead_onnx_converter.parity import Limits, bound_share, check_parity, measure_parity

ROWS = 40
TEXTS, NUMBERS, SCORES = np.array(["a", "b"] * 20), np.arange(ROWS), np.eye(4, dtype=np.float32)[np.arange(ROWS) % 4]

MASKED = np.tile(np.array([-np.inf, np.inf, np.nan, 1.0], np.float32), (ROWS, 1))


def limits(**changes: Any) -> Limits:
    fixed: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-3, "min_accuracy": 0.0, "min_examples": 30, "max_different": 0}
    return Limits(**fixed | changes)


def compare(*pairs: tuple[Any, Any], labels: Any = None, **changes: Any) -> str:
    """Compare outputs; return why they are rejected."""
    names = tuple(TensorSignature(f"out{index}", "FP32", (-1,)) for index in range(len(pairs)))
    split = Split({"x": np.zeros((len(pairs[0][0]), 1))}, labels)
    expected, actual = ([np.asarray(pair[side]) for pair in pairs] for side in (0, 1))
    bounds = limits(**changes)
    try:
        check_parity(measure_parity(Signature((), names), expected, actual, split, bounds), bounds)
    except ConversionRejected as error:
        return str(error)
    return ""


def changed(array: Any, row: int, value: Any) -> Any:
    copy = np.array(array, object if array.dtype.kind == "U" else None)
    copy[row] = value
    return copy


@pytest.mark.parametrize(
    ("pairs", "more", "reason"),
    [
        ([(SCORES, SCORES + 1e-6)], {}, ""),
        ([(TEXTS, TEXTS.astype(object)), (NUMBERS, NUMBERS)], {}, ""),
        ([(TEXTS, changed(TEXTS, 3, "B"))], {}, "1 of 40 examples have another class; 1 examples differ, expected"),
        ([(TEXTS, changed(TEXTS, 3, "B"))], {"max_different": 1}, ""),
        ([(NUMBERS, changed(NUMBERS, 3, 4))], {}, "1 of 40 output values differ"),
        ([(NUMBERS > 9, NUMBERS > 8)], {}, "1 of 40 output values differ"),
        ([(SCORES, SCORES), (NUMBERS * 1.0, changed(NUMBERS * 1.0, 5, 5.1))], {}, "1 of 200 output values differ"),
        ([(SCORES, SCORES), (NUMBERS * 1.0, NUMBERS)], {}, ""),
        ([(SCORES, SCORES), (TEXTS, NUMBERS)], {}, "output out1: ONNX returns numbers, the source texts"),
        ([(SCORES, SCORES[:, :3])], {}, "output out0: shape: ONNX returns [40, 3], the source [40, 4]"),
        ([(SCORES, SCORES), (NUMBERS * 1.0, changed(NUMBERS * 1.0, 5, np.nan))], {}, "1 of 200 output values differ"),
        ([(NUMBERS * 1.0, changed(NUMBERS * 1.0, 5, np.nan))], {"max_different": 1}, "expected finite differences"),
        ([(MASKED, MASKED.copy())], {}, ""),
        ([(SCORES, SCORES), (MASKED, -MASKED)], {}, "120 of 320 output values differ"),
        ([(SCORES, SCORES), (MASKED, np.nan_to_num(MASKED, nan=1))], {"max_different": 40}, "expected finite"),
        ([(SCORES[:9], SCORES[:9])], {}, "9 examples, expected at least 30: if none of 9 differs, up to 28.3% may"),
        ([(SCORES[:9], SCORES[:9])], {"min_examples": 9}, ""),
        ([(SCORES, SCORES)], {"labels": NUMBERS % 4, "min_accuracy": 1.0}, ""),
        ([(SCORES, SCORES)], {"labels": NUMBERS % 3, "min_accuracy": 0.9}, "accuracy 0.3000, expected at least 0.9"),
        ([(TEXTS, TEXTS)], {"labels": TEXTS, "min_accuracy": 1.0}, ""),
        ([(TEXTS, TEXTS)], {"labels": NUMBERS, "min_accuracy": 0.5}, "accuracy: cannot be measured without labels"),
    ],
)  # fmt: skip
def test_outputs_are_compared_by_their_kind(pairs: list[Any], more: dict[str, Any], reason: str) -> None:
    found = compare(*pairs, **more)
    assert reason in found
    assert bool(found) == bool(reason), found


def test_another_largest_score_is_another_class_even_within_the_tolerance() -> None:
    near = np.tile(np.array([0.5, 0.50001], np.float32), (ROWS, 1))
    flipped = changed(near, 7, [0.50001, 0.5])
    labels = np.ones(ROWS, int)
    assert compare((near, flipped)) == ""  # without labels these are only numbers
    assert "1 of 40 examples have another class" in compare((near, flipped), labels=labels)
    assert "accuracy 0.9750, expected the source's 1.0000" in compare((near, flipped), labels=labels)


@pytest.mark.parametrize(("count", "examples"), [(0, 1), (0, 30), (0, 1000), (1, 10), (7, 50)])
def test_the_bound_is_the_share_at_which_so_few_differences_have_a_chance_of_one_in_twenty(
    count: int, examples: int
) -> None:
    share = bound_share(count, examples)
    chance = sum(comb(examples, k) * share**k * (1 - share) ** (examples - k) for k in range(count + 1))
    assert chance == pytest.approx(0.05)
    assert count or share == pytest.approx(1 - 0.05 ** (1 / examples))
    assert bound_share(examples, examples) == 1.0
