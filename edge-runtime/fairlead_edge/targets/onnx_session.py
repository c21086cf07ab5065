"""ONNX Runtime as the engine of a target."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.datatypes import BY_ONNX
from fairlead_contracts.edge_bundle import MODEL_FILE
from fairlead_contracts.tensors import Array, TensorSpec

from .base import CannotLoad, Ending, RunEnded, RunFailed


class OnnxSession:
    """An ONNX model in ONNX Runtime, on the processor."""

    platform = "onnxruntime_onnx"

    def __init__(self, model: bytes | str, threads: int) -> None:
        """Load a model, or the file at a path with the data that it refers to; raise CannotLoad."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            self.inputs = [_read_spec(value) for value in self._session.get_inputs()]
            self.outputs = [_read_spec(value) for value in self._session.get_outputs()]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
            raise CannotLoad(f"ONNX Runtime {ort.__version__} cannot load the model: {str(error)[:300]}") from None

    def run(self, values: Mapping[str, Array], ending: Ending | None = None) -> list[Array]:
        """Return the outputs. ONNX Runtime looks at the ending between two operators."""
        options = ort.RunOptions()
        if ending:
            ending.watch(lambda: setattr(options, "terminate", True))
        try:
            outputs: list[Array] = self._session.run(None, dict(values), options)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
            if ending and ending.is_over:
                raise RunEnded from None
            if "allocate memory" in str(error) or "bad_alloc" in str(error):
                raise MemoryError from None
            raise RunFailed(str(error)[:300]) from None
        return outputs


def load_onnx(files: Mapping[str, bytes], threads: int) -> OnnxSession:
    """Load a target's only file."""
    return OnnxSession(files[MODEL_FILE], threads)


def load_source(file: Path) -> OnnxSession:
    """Load the model that a target is built from, on all processors."""
    return OnnxSession(str(file), 0)


def _read_spec(value: Any) -> TensorSpec:
    dims = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(value.name, BY_ONNX.get(value.type, value.type), dims)
