"""The runtime: one bundle's model, answering Open Inference Protocol v2 requests. Needs numpy and ONNX Runtime only."""

import json
import math
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import BundleRefused, RequestRefused

_DTYPES = {"tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(int64)": "INT64", "tensor(uint8)": "UINT8"}
_NUMPY = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "UINT8": np.uint8}


class Runtime:
    """A loaded bundle."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Load the model; raise BundleRefused when ONNX Runtime does not take it."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other base
            raise BundleRefused(f"ONNX Runtime {ort.__version__} refuses the model: {str(error)[:300]}") from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _DTYPES:
            found = ", ".join(f"{value.name} {value.type}" for value in inputs)
            raise BundleRefused(f"the model takes {found}, expected one tensor of {', '.join(_DTYPES.values())}")
        self._input = inputs[0]
        self.bundle = bundle
        self.name = bundle.description.name
        self._run(np.zeros([1 if size < 0 else size for size in self._shape()], _NUMPY[self._dtype]))

    def describe(self) -> dict[str, Any]:
        """Return V2's model metadata."""
        outputs = [
            {"name": value.name, "datatype": _DTYPES.get(value.type, value.type), "shape": _free(value.shape)}
            for value in self._session.get_outputs()
        ]
        inputs = [{"name": self._input.name, "datatype": self._dtype, "shape": self._shape()}]
        digest = self.bundle.digest
        return {
            "name": self.name,
            "versions": [digest],
            "platform": "onnxruntime_onnx",
            "inputs": inputs,
            "outputs": outputs,
        }

    def infer(self, body: bytes) -> dict[str, Any]:
        """Answer a request's body; raise RequestRefused."""
        try:
            document = json.loads(body, parse_constant=_refuse_constant)
        except ValueError as error:
            raise RequestRefused(f"body: is not JSON: {error}") from None
        values = self._parse(document)
        before = self.bundle.description.preprocessing
        outputs = self._run((values * before.scale + before.offset).astype(values.dtype))
        answer: dict[str, Any] = {"model_name": self.name, "outputs": self._build_outputs(outputs)}
        if isinstance(document.get("id"), str):
            answer["id"] = document["id"]
        return answer

    @property
    def _dtype(self) -> str:
        return _DTYPES[self._input.type]

    def _shape(self) -> list[int]:
        return _free(self._input.shape)

    def _run(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self._session.run(None, {self._input.name: values})
        return outputs

    def _build_outputs(self, outputs: list[NDArray[Any]]) -> list[dict[str, Any]]:
        built = [
            {"name": spec.name, "datatype": _DTYPES.get(spec.type, spec.type), "shape": list(array.shape),
             "data": array.ravel().tolist()}
            for spec, array in zip(self._session.get_outputs(), outputs, strict=True)
        ]  # fmt: skip
        labels = self.bundle.description.labels
        if labels and outputs[0].ndim == 2 and outputs[0].shape[1] == len(labels):
            chosen = [labels[index] for index in outputs[0].argmax(axis=1)]
            built.append({"name": "label", "datatype": "BYTES", "shape": [len(chosen)], "data": chosen})
        return built

    def _parse(self, document: Any) -> NDArray[Any]:
        """Return the one input tensor of a request."""
        inputs = document.get("inputs") if isinstance(document, dict) else None
        _require(isinstance(inputs, list) and len(inputs) == 1, "inputs", inputs, "a list of one tensor")
        tensor = inputs[0]  # type: ignore[index]
        _require(isinstance(tensor, dict), "inputs[0]", tensor, "an object")
        name, datatype, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
        _require(name == self._input.name, "inputs[0].name", name, repr(self._input.name))
        _require(datatype == self._dtype, "inputs[0].datatype", datatype, self._dtype)
        expected = self._shape()
        fits = isinstance(shape, list) and len(shape) == len(expected) and all(
            type(size) is int and size >= 0 and wanted in (-1, size)
            for size, wanted in zip(shape, expected, strict=True)
        )  # fmt: skip
        _require(fits, "inputs[0].shape", shape, f"{expected} (-1: any size)")
        return _parse_data(tensor.get("data"), shape, datatype)


def _parse_data(data: Any, shape: list[int], datatype: str) -> NDArray[Any]:
    _require(isinstance(data, list), "inputs[0].data", data, "a list")
    flat = data
    while flat and isinstance(flat[0], list):
        _require(
            all(isinstance(row, list) for row in flat), "inputs[0].data", "lists beside values", "one or the other"
        )
        flat = [value for row in flat for value in row]
    kinds = (int,) if datatype in ("INT64", "UINT8") else (int, float)
    for index, value in enumerate(flat):
        _require(type(value) in kinds, f"inputs[0].data[{index}]", value, f"a number ({datatype})")
    _require(len(flat) == math.prod(shape), "inputs[0].data", f"{len(flat)} values", f"{math.prod(shape)} of them")
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=_NUMPY[datatype])
    except OverflowError:
        raise RequestRefused(f"inputs[0].data: a value is greater than {datatype} can hold") from None
    _require(bool(np.isfinite(array).all()), "inputs[0].data", "a value out of range", f"what {datatype} can hold")
    return array.reshape(shape)


def _require(holds: bool, field: str, got: object, expected: str) -> None:
    if not holds:
        raise RequestRefused(f"{field}: got {got!r:.80}, expected {expected}")


def _free(shape: list[Any]) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in shape]


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
