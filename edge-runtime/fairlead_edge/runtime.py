"""The runtime: answers Open Inference Protocol v2 requests with a bundle's model. Needs only numpy and ONNX Runtime."""

import json
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.datatypes import BY_ONNX
from fairlead_contracts.errors import ContractError
from fairlead_contracts.inference import build_response, parse_request
from fairlead_contracts.tensors import DTYPES, Array, TensorSpec

from .bundle import Bundle
from .errors import InvalidBundle, RequestRejected

_INPUTS = ("FP32", "FP64", "INT64", "UINT8")
"""Data types that a bundle's preprocessing supports."""
_LABEL = "label"


class Runtime:
    """A loaded bundle."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Load the model; raise InvalidBundle if ONNX Runtime cannot load it."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
            raise InvalidBundle(f"ONNX Runtime {ort.__version__} cannot load the model: {str(error)[:300]}") from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or BY_ONNX.get(inputs[0].type) not in _INPUTS:
            found = ", ".join(f"{value.name} {value.type}" for value in inputs)
            raise InvalidBundle(f"the model's inputs are {found}, expected one tensor of {', '.join(_INPUTS)}")
        self._input = _read_spec(inputs[0])
        self.bundle = bundle
        self.name = bundle.description.name
        shape = [1 if size < 0 else size for size in self._input.shape]
        self._run(np.zeros(shape, DTYPES[self._input.datatype]))

    def describe(self) -> dict[str, Any]:
        """Return V2's model metadata."""
        return {
            "name": self.name,
            "versions": [self.bundle.digest],
            "platform": "onnxruntime_onnx",
            "inputs": [self._input.describe()],
            "outputs": [_read_spec(value).describe() for value in self._session.get_outputs()],
        }

    def infer(self, body: bytes) -> dict[str, Any]:
        """Return the response to a request's body, with the tensors' `data` as arrays; raise RequestRejected."""
        try:
            document = json.loads(body, parse_constant=_reject_constant)
        except (ValueError, RecursionError) as error:
            raise RequestRejected(f"body: is not JSON: {error}") from None
        names = [value.name for value in self._session.get_outputs()]
        known = [*names, _LABEL] if self.bundle.description.labels else names
        try:
            request = parse_request(document, [self._input], known)
            values, before = request.tensors[self._input.name], self.bundle.description.preprocessing
            outputs = self._run((values * before.scale + before.offset).astype(values.dtype))
            return build_response(self.name, self._name_outputs(outputs), request)
        except ContractError as error:
            raise RequestRejected(str(error)) from None

    def _run(self, values: Array) -> list[Array]:
        outputs: list[Array] = self._session.run(None, {self._input.name: values})
        return outputs

    def _name_outputs(self, outputs: list[Array]) -> dict[str, Array]:
        """Return the outputs by name, with class labels if the first output is a score per class."""
        named = {value.name: array for value, array in zip(self._session.get_outputs(), outputs, strict=True)}
        labels = self.bundle.description.labels
        if labels and outputs[0].ndim == 2 and outputs[0].shape[1] == len(labels):
            named[_LABEL] = np.array([labels[index] for index in outputs[0].argmax(axis=1)], dtype=object)
        return named


def _read_spec(value: Any) -> TensorSpec:
    dims = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(value.name, BY_ONNX.get(value.type, value.type), dims)


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")
