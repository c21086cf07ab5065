"""Run an ONNX model on a split, and read its classes from what it returns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped, import-not-found, unused-ignore]
from fairlead_contracts.signature import Signature
from fairlead_contracts.tensors import datatype_of
from numpy.typing import NDArray

from .errors import Unusable
from .outputs import join_outputs
from .splits import Split

_BATCH = 256


def run_model(signature: Signature, file: Path, split: Split) -> list[NDArray[Any]]:
    """Return an ONNX model's outputs for a split; raise Unusable if it cannot run, or differs from its signature."""
    names = [tensor.name for tensor in signature.outputs]
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        parts = [session.run(names, batch) for batch in split.batches(_BATCH)]
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
        raise Unusable(f"ONNX Runtime {ort.__version__} cannot run the model: {str(error)[:300]}") from None
    arrays = join_outputs(names, parts)
    _check_outputs(signature, arrays, len(split))
    return arrays


def find_classes(output: NDArray[Any], split: Split) -> NDArray[Any] | None:
    """Return the predicted classes: the first output itself, or, if labels are indices, those of its largest scores.

    None if the output is neither.
    """
    kind = output.dtype.kind
    if kind in "biuUO" and (output.ndim == 1 or output.shape[1:] == (1,)):
        return output.reshape(len(output))
    if split.labels is None or split.labels.dtype.kind not in "iu" or split.labels.ndim != 1:
        return None
    return output.argmax(axis=1) if kind == "f" and output.ndim == 2 and output.shape[1] > 1 else None


def find_correct(output: NDArray[Any], split: Split) -> NDArray[Any] | None:
    """Return which examples have the right class; None if there are no labels, or no classes."""
    classes = find_classes(output, split)
    if classes is None or split.labels is None or classes.shape != split.labels.shape:
        return None
    numbers = {"b", "i", "u"}
    if (classes.dtype.kind in numbers) != (split.labels.dtype.kind in numbers):
        return None
    return np.asarray(classes == split.labels, bool)


def _check_outputs(signature: Signature, arrays: Sequence[NDArray[Any]], rows: int) -> None:
    for tensor, array in zip(signature.outputs, arrays, strict=True):
        fits = array.ndim == len(tensor.shape) and all(
            size in (-1, found) for size, found in zip(tensor.shape, array.shape, strict=True)
        )
        if datatype_of(array) != tensor.dtype or not fits:
            got = f"{datatype_of(array)} {[-1, *array.shape[1:]]}"
            raise Unusable(f"output {tensor.name}: got {got}, expected {tensor.dtype} {list(tensor.shape)}")
        if len(array) != rows:
            raise Unusable(f"output {tensor.name}: got {len(array)} rows, expected {rows}, as the inputs")
