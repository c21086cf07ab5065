"""The parity check: on real data, the ONNX model must return what its source returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fairlead_contracts.parity import ConversionParity
from fairlead_contracts.signature import Signature
from fairlead_datasets.onnx_models import find_classes, find_correct
from fairlead_datasets.splits import Split
from numpy.typing import NDArray
from scipy.special import betaincinv  # type: ignore[import-untyped]

from .errors import ConversionRejected

Arrays = Sequence[NDArray[Any]]
_BATCH = 256
_MAX_ACCURACY_DROP = 0.001
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Limits:
    """The tolerances, and what the figures must reach."""

    atol: float
    rtol: float
    min_accuracy: float
    min_examples: int
    """The number of examples without which equal outputs would show little."""
    max_different: int
    """The number of examples that may differ."""


def measure_parity(
    signature: Signature, expected: Arrays, actual: Arrays, split: Split, limits: Limits
) -> ConversionParity:
    """Compare the source's outputs with the ONNX model's; raise ConversionRejected for other numbers and shapes."""
    if len(expected) != len(actual):
        raise ConversionRejected(f"outputs: the source returns {len(expected)}, expected {len(actual)}")
    differences, relative, outside, values = [0.0], [0.0], 0, 0
    different = np.zeros(len(split), bool)
    for tensor, one, other in zip(signature.outputs, expected, actual, strict=True):
        if one.shape != other.shape:
            at = f"output {tensor.name}: shape"
            raise ConversionRejected(f"{at}: ONNX returns {list(other.shape)}, the source {list(one.shape)}")
        if one.dtype.kind == "f" and other.dtype.kind == "f":
            difference, share, bad = _subtract(one, other, limits)
            differences.append(float(difference.max(initial=0)))
            relative.append(float(share.max(initial=0)))
        else:
            bad = _differ(tensor.name, one, other)
        outside, values = outside + int(bad.sum()), values + bad.size
        different |= bad.reshape(len(split), -1).any(axis=1)
    classes = [find_classes(arrays[0], split) for arrays in (expected, actual)]
    other_class = None if classes[0] is None or classes[1] is None else _differ("class", classes[0], classes[1])
    count = int((different if other_class is None else different | other_class).sum())
    return ConversionParity(
        examples=len(split),
        max_abs_difference=_round(np.max(differences)),
        max_rel_difference=_round(np.max(relative)),
        outside_tolerance=outside,
        values=values,
        different_classes=None if other_class is None else int(other_class.sum()),
        different_examples=count,
        different_bound=_round(bound_share(count, len(split))),
        source_accuracy=measure_accuracy(expected[0], split),
        onnx_accuracy=measure_accuracy(actual[0], split),
    )


def check_parity(parity: ConversionParity, limits: Limits) -> None:
    """Raise ConversionRejected listing all figures that are out of bounds."""
    problems = [] if parity.examples >= limits.min_examples else [_explain_few(parity.examples, limits)]
    if (parity.different_examples or 0) > limits.max_different:
        if parity.outside_tolerance:
            problems.append(
                f"{parity.outside_tolerance} of {parity.values} output values differ by more than atol {limits.atol:g} "
                f"+ rtol {limits.rtol:g} (largest difference {parity.max_abs_difference:.3g})"
            )
        if parity.different_classes:
            problems.append(f"{parity.different_classes} of {parity.examples} examples have another class")
        problems.append(f"{parity.different_examples} examples differ, expected at most {limits.max_different}")
    elif not np.isfinite([parity.max_abs_difference, parity.max_rel_difference]).all():
        problems.append("output values: got infinity or not-a-number, expected finite differences")
    problems += _check_accuracy(parity.onnx_accuracy, limits)
    drop = (parity.source_accuracy or 0) - (parity.onnx_accuracy or 0)
    if drop > _MAX_ACCURACY_DROP:
        problems.append(f"accuracy {parity.onnx_accuracy or 0:.4f}, expected the source's {parity.source_accuracy:.4f}")
    if problems:
        raise ConversionRejected("; ".join(problems))


def check_alone(examples: int, accuracy: float | None, limits: Limits) -> None:
    """Check what is known of a model that was compared with nothing; raise ConversionRejected."""
    problems = [] if examples >= limits.min_examples else [_explain_few(examples, limits)]
    if problems := problems + _check_accuracy(accuracy, limits):
        raise ConversionRejected("; ".join(problems))


def bound_share(count: int, examples: int) -> float:
    """Return the upper bound, with 95 % confidence, of the share of examples of which `count` were found.

    The exact one-sided bound of C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated
    in the case of the binomial", Biometrika 26 (1934): the 95 % quantile of Beta(count + 1, examples - count). For none
    found it is 1 - 0.05 ** (1 / examples).
    """
    return 1.0 if count >= examples else float(betaincinv(count + 1, examples - count, _CONFIDENCE))


def measure_accuracy(output: NDArray[Any], split: Split) -> float | None:
    """Return the share of examples with the right class; None if there are no labels, or no classes."""
    correct = find_correct(output, split)
    return None if correct is None else float(correct.mean())


def _check_accuracy(accuracy: float | None, limits: Limits) -> list[str]:
    if accuracy is None and limits.min_accuracy > 0:
        return [
            f"accuracy: cannot be measured without labels and a class or a score per class, expected at least "
            f"{limits.min_accuracy:g} (--min-accuracy 0 for models that are not classifiers)"
        ]
    if accuracy is not None and accuracy < limits.min_accuracy:
        return [f"accuracy {accuracy:.4f}, expected at least {limits.min_accuracy:g}"]
    return []


def _explain_few(examples: int, limits: Limits) -> str:
    return (
        f"{examples} examples, expected at least {limits.min_examples}: if none of {examples} differs, up to "
        f"{bound_share(0, examples):.1%} may, with 95 % confidence (--min-examples)"
    )


def _subtract(
    one: NDArray[Any], other: NDArray[Any], limits: Limits
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the differences of floating-point values, also relative ones, and which are outside the tolerance.

    Equal infinities do not differ, nor does not-a-number from itself: masks and padding are full of them.
    """
    reference = one.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(reference - other))
        scale = np.maximum(np.abs(reference), limits.atol or 1e-12)
        share = np.divide(difference, scale, out=np.zeros_like(difference), where=~same)
    # A difference that is infinite or not-a-number is outside, however large the original's value is.
    inside = (difference <= limits.atol + limits.rtol * np.abs(reference)) & np.isfinite(difference)
    return difference, share, ~(inside | same)


def _differ(name: str, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return which integers, booleans or texts differ."""
    kinds = ["texts" if array.dtype.kind in "UO" else "numbers" for array in (one, other)]
    if kinds[0] != kinds[1]:
        raise ConversionRejected(f"output {name}: ONNX returns {kinds[1]}, the source {kinds[0]}")
    return np.asarray(one.astype(object) != other.astype(object), bool) if kinds[0] == "texts" else one != other


def _round(value: float) -> float:
    """Keep three digits: the rest is noise that would give equal conversions different digests."""
    return float(f"{value:.3g}")
