"""What every quantization by ONNX Runtime needs around it. Used where bundles are built, not on devices."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]


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
