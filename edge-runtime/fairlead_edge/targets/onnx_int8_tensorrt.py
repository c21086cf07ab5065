"""ONNX in the form of quantization that TensorRT reads: QDQ pairs with zero points of 0, and biases of 32 bits.

It is compared in ONNX Runtime on the processor: TensorRT's own answers need its device.
"""

from pathlib import Path

import numpy as np
from fairlead_contracts.edge_bundle import MODEL_FILE
from numpy.typing import NDArray

from .base import Target
from .onnx_int8 import build_static
from .onnx_session import load_onnx


def _build(source: Path, folder: Path, examples: NDArray[np.float32]) -> None:
    build_static(source, folder, examples, for_accelerators=True)


TARGET = Target(
    "onnx-int8-tensorrt", "ONNX, 8 bits in symmetric QDQ form, for TensorRT", (MODEL_FILE,), _build, load_onnx
)
