"""OpenVINO's intermediate representation, with 16-bit weights; it computes in 32 bits on every processor."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.tensors import Array, TensorSpec
from numpy.typing import NDArray

from .base import CannotBuild, CannotLoad, Ending, RunEnded, RunFailed, Target

# OpenVINO sends telemetry if it can import this, a dependency of its: nothing is collected, stored or sent.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino as ov  # type: ignore[import-untyped]  # noqa: E402

_FILES = _STRUCTURE, _WEIGHTS = "model.xml", "model.bin"
_TYPES = {
    "f32": "FP32", "f64": "FP64", "f16": "FP16", "i8": "INT8", "i16": "INT16", "i32": "INT32", "i64": "INT64",
    "u8": "UINT8", "u16": "UINT16", "u32": "UINT32", "u64": "UINT64", "boolean": "BOOL",
}  # fmt: skip
"""V2's data types by OpenVINO's names."""


def _build(source: Path, folder: Path, _examples: NDArray[np.float32]) -> None:
    try:
        model = ov.Core().read_model(str(source))
    except RuntimeError as error:
        raise CannotBuild(f"OpenVINO {ov.__version__} cannot express the model: {_first_line(error)}") from None
    ov.save_model(model, str(folder / _STRUCTURE), compress_to_fp16=True)


class _OpenVinoSession:
    """A model in OpenVINO, on the processor."""

    platform = "openvino"

    def __init__(self, files: Mapping[str, bytes], threads: int) -> None:
        # processors with 16-bit units would compute in 16 bits, and answer otherwise than was measured
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            core = ov.Core()
            weights = ov.Tensor(np.frombuffer(files[_WEIGHTS], np.uint8))
            self._model = core.compile_model(core.read_model(files[_STRUCTURE], weights), "CPU", options)
            self.inputs = [_read_spec(value) for value in self._model.inputs]
            self.outputs = [_read_spec(value) for value in self._model.outputs]
        except RuntimeError as error:
            raise CannotLoad(f"OpenVINO {ov.__version__} cannot load the model: {_first_line(error)}") from None

    def run(self, values: Mapping[str, Array], ending: Ending | None = None) -> list[Array]:
        """Return the outputs. OpenVINO looks at the ending between two operators."""
        request = self._model.create_infer_request()
        if ending:
            ending.watch(request.cancel)
            if ending.is_over:
                raise RunEnded  # a request that does not run yet cannot be cancelled
        arrays = {name: np.ascontiguousarray(array) for name, array in values.items()}
        try:
            request.infer(arrays)
        except MemoryError:
            raise
        except RuntimeError as error:
            if ending and ending.is_over:
                raise RunEnded from None
            raise RunFailed(_first_line(error)) from None
        # copies: the request's own memory goes with it
        return [np.array(request.get_output_tensor(index).data) for index in range(len(self.outputs))]


def _read_spec(value: Any) -> TensorSpec:
    dims = tuple(None if size.is_dynamic else size.get_length() for size in value.partial_shape)
    kind = value.element_type.get_type_name()
    return TensorSpec(value.any_name, _TYPES.get(kind, kind), dims)


def _first_line(error: RuntimeError) -> str:
    """Return the last line of a chain of C++ errors, which has the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


TARGET = Target("openvino", "OpenVINO, 16-bit weights, 32-bit activations", _FILES, _build, _OpenVinoSession)
