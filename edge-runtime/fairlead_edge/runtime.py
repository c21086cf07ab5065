"""The runtime: answers Open Inference Protocol v2 requests with a bundle's model. Needs only numpy and ONNX Runtime."""

from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.datatypes import BY_ONNX
from fairlead_contracts.errors import ContractError
from fairlead_contracts.inference import AnswerError, build_response, parse_request
from fairlead_contracts.tensors import DTYPES, Array, TensorSpec
from fairlead_serving.bodies import parse_json
from fairlead_serving.errors import BadRequest, TooLate, Unprocessable

from .bundle import Bundle
from .errors import InvalidBundle

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
            inputs = self._session.get_inputs()
            outputs = [_read_spec(value) for value in self._session.get_outputs()]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
            raise InvalidBundle(f"ONNX Runtime {ort.__version__} cannot load the model: {str(error)[:300]}") from None
        if len(inputs) != 1 or BY_ONNX.get(inputs[0].type) not in _INPUTS:
            found = ", ".join(f"{value.name} {value.type}" for value in inputs)
            raise InvalidBundle(f"the model's inputs are {found}, expected one tensor of {', '.join(_INPUTS)}")
        self._input, self._outputs = _read_spec(inputs[0]), outputs
        self.bundle = bundle
        self.name = bundle.description.name

    def warm_up(self, value: int) -> str | None:
        """Run the model on made-up input; return what is wrong with it, or None."""
        shape = [1 if size < 0 else size for size in self._input.shape]
        try:
            self._run(np.full(shape, value, DTYPES[self._input.datatype]), ort.RunOptions())
        except (BadRequest, TooLate, Unprocessable) as error:
            return str(error)
        return None

    def describe(self) -> dict[str, Any]:
        """Return V2's model metadata."""
        return {
            "name": self.name,
            "versions": [self.bundle.digest],
            "platform": "onnxruntime_onnx",
            "inputs": [self._input.describe()],
            "outputs": [spec.describe() for spec in self._outputs],
        }

    def infer(self, body: bytes, options: ort.RunOptions, max_bytes: int) -> dict[str, Any]:
        """Return the response to a request's body, with the tensors' `data` as arrays; raise ServingError.

        The run ends soon after `options.terminate` is set.
        """
        names = [spec.name for spec in self._outputs]
        known = [*names, _LABEL] if self.bundle.description.labels else names
        try:
            request = parse_request(parse_json(body), [self._input], known)
            values, preprocessing = request.tensors[self._input.name], self.bundle.description.preprocessing
            with np.errstate(all="ignore"):
                prepared = (values * preprocessing.scale + preprocessing.offset).astype(values.dtype)
            outputs = self._run(prepared, options)
            return build_response(self.name, self._name_outputs(outputs), request, max_bytes).document
        except AnswerError as error:
            raise Unprocessable(str(error)) from None
        except ContractError as error:
            raise BadRequest(str(error)) from None

    def _run(self, values: Array, options: ort.RunOptions) -> list[Array]:
        try:
            outputs: list[Array] = self._session.run(None, {self._input.name: values}, options)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
            if options.terminate:
                raise TooLate from None
            if "allocate memory" in str(error) or "bad_alloc" in str(error):
                raise MemoryError from None
            raise BadRequest(f"the model rejects these values: {str(error)[:300]}") from None
        return outputs

    def _name_outputs(self, outputs: list[Array]) -> dict[str, Array]:
        """Return the outputs by name, with class labels if the first output is a score per class."""
        named = {spec.name: array for spec, array in zip(self._outputs, outputs, strict=True)}
        labels = self.bundle.description.labels
        if labels and outputs[0].ndim == 2 and outputs[0].shape[1] == len(labels):
            named[_LABEL] = np.array([labels[index] for index in outputs[0].argmax(axis=1)], dtype=object)
        return named


def _read_spec(value: Any) -> TensorSpec:
    dims = tuple(size if isinstance(size, int) else None for size in value.shape)
    return TensorSpec(value.name, BY_ONNX.get(value.type, value.type), dims)
