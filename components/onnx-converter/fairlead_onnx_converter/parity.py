"""The parity check: on real data, the ONNX model must return what the torch program returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.parity import ConversionParity
from fairlead_contracts.signature import Signature
from numpy.typing import NDArray

from .errors import ConversionFailed, ConversionRejected
from .sources import SourceModel
from .splits import Split

_BATCH = 256
_MAX_ACCURACY_DROP = 0.001


@dataclass(frozen=True)
class Limits:
    """The tolerances and the minimum accuracy for parity."""

    atol: float
    rtol: float
    min_accuracy: float


def measure_parity(
    source: SourceModel, signature: Signature, file: Path, split: Split, limits: Limits
) -> ConversionParity:
    """Run both models on a split; raise ConversionFailed if the ONNX model cannot run."""
    expected, actual = source.run(split), _run_onnx(signature, file, split)
    differences, relative, outside, values = [0.0], [0.0], 0, 0
    for one, other in zip(expected, actual, strict=True):
        if one.shape != other.shape:
            raise ConversionRejected(f"output shape: ONNX returns {list(other.shape)}, torch {list(one.shape)}")
        reference, difference = np.abs(one.astype(np.float64)), np.abs(one.astype(np.float64) - other)
        # The negation makes a NaN count as outside.
        outside += int((~(difference <= limits.atol + limits.rtol * reference)).sum())
        values += difference.size
        differences.append(float(difference.max(initial=0)))
        relative.append(float((difference / np.maximum(reference, limits.atol or 1e-12)).max(initial=0)))
    return ConversionParity(
        examples=len(split),
        max_abs_difference=_round(np.max(differences)),
        max_rel_difference=_round(np.max(relative)),
        outside_tolerance=outside,
        values=values,
        torch_accuracy=_accuracy(expected[0], split),
        onnx_accuracy=_accuracy(actual[0], split),
    )


def check_parity(parity: ConversionParity, limits: Limits) -> None:
    """Raise ConversionRejected listing all figures that are out of bounds."""
    problems = []
    if parity.outside_tolerance:
        problems.append(
            f"{parity.outside_tolerance} of {parity.values} output values differ by more than atol {limits.atol:g} + "
            f"rtol {limits.rtol:g} (largest difference {parity.max_abs_difference:.3g})"
        )
    if parity.torch_accuracy is None or parity.onnx_accuracy is None:
        if limits.min_accuracy > 0:
            problems.append(
                f"accuracy: cannot be measured without labels and a score per class, expected at least "
                f"{limits.min_accuracy:g} (--min-accuracy 0 for models that are not classifiers)"
            )
    else:
        if parity.onnx_accuracy < limits.min_accuracy:
            problems.append(f"accuracy {parity.onnx_accuracy:.4f}, expected at least {limits.min_accuracy:g}")
        if parity.onnx_accuracy < parity.torch_accuracy - _MAX_ACCURACY_DROP:
            problems.append(f"accuracy {parity.onnx_accuracy:.4f}, expected torch's {parity.torch_accuracy:.4f}")
    if problems:
        raise ConversionRejected("; ".join(problems))


def _run_onnx(signature: Signature, file: Path, split: Split) -> list[NDArray[Any]]:
    names = [tensor.name for tensor in signature.outputs]
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        parts = [session.run(names, batch) for batch in split.batches(_BATCH)]
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
        raise ConversionFailed(f"ONNX Runtime {ort.__version__} cannot run the model: {str(error)[:300]}") from None
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _round(value: float) -> float:
    """Keep three digits: the rest is noise that would give equal conversions different digests."""
    return float(f"{value:.3g}")


def _accuracy(scores: NDArray[Any], split: Split) -> float | None:
    if split.labels is None or scores.ndim != 2 or scores.shape[1] < 2 or split.labels.dtype.kind not in "iu":
        return None
    return float((scores.argmax(axis=1) == split.labels).mean())
