"""ONNX with 8-bit weights; activations are quantized as they come, so that no examples are needed.

Convolutions stay as they are: quantized so, they are slower than in 32 bits.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
from fairlead_contracts.edge_bundle import MODEL_FILE
from numpy.typing import NDArray

from .base import Target
from .onnx_session import load_onnx

_OPERATORS = ["MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization"]


def _build(source: Path, folder: Path, _examples: NDArray[np.float32]) -> None:
    # not on devices
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    root = logging.getLogger()
    level = root.level
    # It recommends preprocessing even if the model is preprocessed.
    root.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            prepared = Path(scratch, "prepared.onnx")
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_dynamic(
                str(prepared),
                str(folder / MODEL_FILE),
                op_types_to_quantize=_OPERATORS,
                per_channel=True,
                reduce_range=True,  # as for activations of static models: the same outputs on every processor
                weight_type=QuantType.QInt8,
            )
    finally:
        root.setLevel(level)
    onnx.checker.check_model(str(folder / MODEL_FILE), full_check=True)


TARGET = Target(
    "onnx-int8-dynamic", "ONNX Runtime, 8-bit weights, activations as they come", (MODEL_FILE,), _build, load_onnx
)
