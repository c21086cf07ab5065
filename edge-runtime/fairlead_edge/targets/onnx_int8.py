"""ONNX with 8-bit weights and activations, quantized statically: by real examples, per channel, in QDQ form."""

from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.edge_bundle import MODEL_FILE
from numpy.typing import NDArray

from .base import Target
from .onnx_session import load_onnx

_BATCH = 32


class _Reader:
    """Feeds examples to the calibration in batches, as its CalibrationDataReader."""

    def __init__(self, name: str, examples: NDArray[Any]) -> None:
        self._batches = iter({name: examples[start : start + _BATCH]} for start in range(0, len(examples), _BATCH))

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next batch, or None at the end."""
        return next(self._batches, None)


def build_static(source: Path, folder: Path, examples: NDArray[np.float32], *, for_accelerators: bool = False) -> None:
    """Write an int8 model, calibrated by the range of each activation on the examples.

    Accelerators such as TensorRT want zero points of 0 and biases in 32-bit floating point.
    """
    # not on devices
    import onnx
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    from .quantizing import check_examples, quantizing

    target = folder / MODEL_FILE
    entry = onnx.load(str(source), load_external_data=False).graph.input[0]
    check_examples(entry, examples)
    kind = onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
    with quantizing(source, target) as prepared:
        quantize_static(
            str(prepared),
            str(target),
            _Reader(entry.name, examples.astype(kind)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # x86 processors without VNNI add products of 8-bit numbers in 16 bits, which can overflow. With 7-bit
            # weights, devices return the outputs that were measured here.
            reduce_range=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": for_accelerators,
                "WeightSymmetric": True,
                "QuantizeBias": not for_accelerators,
            },
        )


TARGET = Target("onnx-int8", "ONNX Runtime, 8-bit weights and activations", (MODEL_FILE,), build_static, load_onnx)
