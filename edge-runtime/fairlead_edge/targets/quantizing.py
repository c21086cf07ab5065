"""What every quantization by ONNX Runtime needs around it. Used where bundles are built, not on devices."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

from .base import CannotBuild

MIN_EXAMPLES = 16
"""With fewer, the ranges of activations are those of a few examples."""


def check_examples(entry: onnx.ValueInfoProto, examples: NDArray[np.float32]) -> None:
    """Raise CannotBuild if examples cannot calibrate a model with this input."""
    if len(examples) < MIN_EXAMPLES:
        raise CannotBuild(f"calibration: got {len(examples)} examples, expected at least {MIN_EXAMPLES}")
    sizes = [dim.dim_value or -1 for dim in entry.type.tensor_type.shape.dim]
    fits = len(sizes) == examples.ndim and all(
        size in (-1, got) for size, got in zip(sizes[1:], examples.shape[1:], strict=True)
    )
    if not fits:
        got = list(examples.shape[1:])
        raise CannotBuild(f"calibration: got examples of shape {got}, expected {sizes[1:]} (input {entry.name})")


@contextmanager
def quantizing(source: Path, target: Path) -> Iterator[Path]:
    """Yield the model prepared for quantization; afterwards check the target, which the block writes."""
    root = logging.getLogger()
    level = root.level
    # It recommends preprocessing even if the model is preprocessed.
    root.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            prepared = Path(scratch, "prepared.onnx")
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            yield prepared
    finally:
        root.setLevel(level)
    onnx.checker.check_model(str(target), full_check=True)
