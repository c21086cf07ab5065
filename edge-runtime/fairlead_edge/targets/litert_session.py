"""LiteRT as the engine of a target."""

import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from fairlead_contracts.tensors import Array, TensorSpec, datatype_of

from .base import CannotLoad, Ending, RunEnded, RunFailed

FILE = "model.tflite"


class LiteRtSession:
    """A model in LiteRT, on the processor; of several signatures, the first is run."""

    platform = "litert"

    def __init__(self, files: Mapping[str, bytes], threads: int) -> None:
        """Load the file, to be run by so many threads; raise CannotLoad."""
        try:
            self._interpreter = Interpreter(model_content=files[FILE], num_threads=threads or None)
            self._interpreter.allocate_tensors()
            # without signatures there is none to name the inputs
            self._runner = self._interpreter.get_signature_runner(next(iter(self._interpreter.get_signature_list())))
            self.inputs = _read_specs(self._runner.get_input_details())
            self.outputs = _read_specs(self._runner.get_output_details())
        except (ValueError, RuntimeError, StopIteration) as error:
            got = str(error).strip() or "the model has no signature"
            raise CannotLoad(f"LiteRT {version('ai-edge-litert')} cannot load the model: {got[:300]}") from None
        # a runner's tensors are those of its interpreter
        self._lock = threading.Lock()

    def run(self, values: Mapping[str, Array], ending: Ending | None = None) -> list[Array]:
        """Return the outputs. LiteRT cannot end a run: it ends with its process."""
        with self._lock:
            if ending and ending.is_over:
                raise RunEnded
            try:
                found = self._runner(**{name: np.ascontiguousarray(array) for name, array in values.items()})
            except (ValueError, RuntimeError, TypeError) as error:
                raise RunFailed(str(error)[:300]) from None
            return [np.array(found[spec.name]) for spec in self.outputs]


def _read_specs(details: Mapping[str, Mapping[str, Any]]) -> list[TensorSpec]:
    """Return the tensors in the order of their numbers, which names such as output_10 have."""
    names = sorted(details, key=lambda name: (len(name), name))
    return [_read_spec(name, details[name]) for name in names]


def _read_spec(name: str, details: Mapping[str, Any]) -> TensorSpec:
    sizes = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    dims = tuple(int(size) if size >= 0 else None for size in sizes)
    return TensorSpec(name, datatype_of(np.zeros(0, details["dtype"])), dims)
