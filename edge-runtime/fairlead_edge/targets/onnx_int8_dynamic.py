"""ONNX with 8-bit weights; activations are quantized as they come, so that no examples are needed.

Convolutions stay as they are: quantized so, they are slower than in 32 bits.
"""

from pathlib import Path

import numpy as np
from fairlead_contracts.edge_bundle import MODEL_FILE
from numpy.typing import NDArray

from .base import Target
from .onnx_session import load_onnx

_OPERATORS = ["MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization"]


def _build(source: Path, folder: Path, _examples: NDArray[np.float32]) -> None:
    # not on devices
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    from .quantizing import quantizing

    target = folder / MODEL_FILE
    with quantizing(source, target) as prepared:
        quantize_dynamic(
            str(prepared),
            str(target),
            op_types_to_quantize=_OPERATORS,
            per_channel=True,
            reduce_range=True,  # as for activations of static models: the same outputs on every processor
            weight_type=QuantType.QInt8,
        )


TARGET = Target(
    "onnx-int8-dynamic", "ONNX Runtime, 8-bit weights, activations as they come", (MODEL_FILE,), _build, load_onnx
)
