"""ONNX with 16-bit floating-point weights and activations; inputs and outputs stay as they are."""

from pathlib import Path

import numpy as np
from fairlead_contracts.edge_bundle import MODEL_FILE
from numpy.typing import NDArray

from .base import Target
from .onnx_session import load_onnx


def _build(source: Path, folder: Path, _examples: NDArray[np.float32]) -> None:
    # not on devices
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16  # type: ignore[import-untyped]
    from onnxruntime.transformers.onnx_model import OnnxModel  # type: ignore[import-untyped]

    converted = OnnxModel(convert_float_to_float16(onnx.load(str(source)), keep_io_types=True))
    converted.topological_sort()  # its casts stand at the end
    onnx.save(converted.model, str(folder / MODEL_FILE))
    onnx.checker.check_model(str(folder / MODEL_FILE), full_check=True)


TARGET = Target("onnx-fp16", "ONNX Runtime, 16-bit weights and activations", (MODEL_FILE,), _build, load_onnx)
