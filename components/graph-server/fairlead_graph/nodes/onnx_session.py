"""An ONNX model on ONNX Runtime: opened after its file was inspected, and run with arrays."""

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.datatypes import BY_ONNX
from fairlead_contracts.errors import Words
from fairlead_contracts.tensors import DTYPES, Array, TensorSpec
from onnx import TensorProto
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # type: ignore[import-untyped]

from ..class_maps import without_class_maps
from ..errors import InvalidGraph, NodeFailed, NodeOutOfMemory, NodeTooLate, RequestRejected
from ..models import ModelFile
from ..onnx_file import NotOnnx, OnnxFacts, inspect_onnx
from ..tensors import Labels, Signature
from .cuda import Device, find_problem, open_on_device

# ONNX Runtime's exceptions have no common base except Exception.
_ORT_ERRORS = (
    ort_errors.InvalidProtobuf, ort_errors.InvalidGraph, ort_errors.InvalidArgument, ort_errors.NotImplemented,
    ort_errors.NoModel, ort_errors.NoSuchFile, ort_errors.Fail, ort_errors.RuntimeException, ort_errors.EPFail,
    RuntimeError, ValueError, IndexError, OverflowError, TypeError,
)  # fmt: skip
_NO_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation")
_BF16 = np.dtype(ml_dtypes.bfloat16)
_MAX_LABELS_BYTES = 64 << 10


@dataclass(frozen=True)
class Source:
    """Where a model is from, for messages."""

    at: str
    uri: str

    def reject(self, problem: str) -> InvalidGraph:
        """Return the error for a model that cannot be served."""
        return InvalidGraph(self.at, f"modelUri {self.uri}: {problem}")


@dataclass
class Session:
    """An open model."""

    node: str
    session: ort.InferenceSession
    signature: Signature
    device: Device
    labels: Mapping[str, Labels] = field(default_factory=dict)
    """The classes of outputs that were maps from class to probability."""
    as_values: bool = False
    """Whether tensors are passed as ONNX Runtime's values, because there are some of BF16."""

    def run(self, feeds: Mapping[str, Array], options: ort.RunOptions) -> list[Array]:
        """Run the model; raise RequestRejected or NodeFailed."""
        try:
            outputs = self._run(feeds, options)
        except ort_errors.InvalidArgument as error:
            # Types and shapes are checked already, so the values are invalid for the model, such as an index.
            raise RequestRejected(
                f"node {self.node}", Words("invalid values"), f"values for this model ({_first_line(error)})"
            ) from None
        except (MemoryError, *_ORT_ERRORS) as error:
            if options.terminate:
                raise NodeTooLate(self.node) from None
            if isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY):
                raise NodeOutOfMemory(f"node {self.node}: needs more memory for this request than there is") from None
            raise NodeFailed(self.node, _first_line(error)) from None
        for spec, output in zip(self.signature.outputs, outputs, strict=True):
            self._check(spec.name, output)
        return outputs

    def _run(self, feeds: Mapping[str, Array], options: ort.RunOptions) -> list[Array]:
        if not self.as_values:
            return list(self.session.run(None, feeds, options))
        values = {name: _to_value(array) for name, array in feeds.items()}
        names = [spec.name for spec in self.signature.outputs]
        return [_from_value(value) for value in self.session.run_with_ort_values(names, values, options)]

    def _check(self, name: str, output: Any) -> None:
        if not isinstance(output, np.ndarray):
            raise NodeFailed(self.node, f"output {name} is a {type(output).__name__}, expected a tensor")
        labels = self.labels.get(name)
        if labels and (not output.ndim or output.shape[-1] != len(labels)):
            found = f"output {name} has shape {list(output.shape)}"
            raise NodeFailed(self.node, f"{found}, expected a last dimension of its {len(labels)} classes")


def open_session(
    node: str, model: ModelFile, source: Source, threads: int, report: Callable[[str, str], None]
) -> Session:
    """Inspect and open a model; raise InvalidGraph. `report` is called with the step that begins. This call blocks."""
    report(source.at, "inspect")
    try:
        facts = inspect_onnx(model.path, model.folder)
    except NotOnnx as error:
        raise source.reject(f"{model.path.name} {error}") from None
    report(source.at, "load")
    labels = facts.class_maps
    if sum(len(str(label)) + 4 for classes in labels.values() for label in classes) > _MAX_LABELS_BYTES:
        raise source.reject(f"the names of its classes have more than {_MAX_LABELS_BYTES} bytes")
    session, device = _open(model, facts, source, threads)
    try:
        inputs = [_read_spec(value, facts, f"{source.at}: input") for value in session.get_inputs()]
        given = [
            _read_spec(value, facts, f"{source.at}: input", optional=True)
            for value in session.get_overridable_initializers()
        ]
        outputs = [_read_spec(value, facts, f"{source.at}: output") for value in session.get_outputs()]
    except UnicodeDecodeError:
        raise source.reject("the name of an input or output is not UTF-8") from None
    signature = Signature((*inputs, *given), tuple(outputs))
    kinds = {spec.datatype for spec in (*signature.inputs, *signature.outputs)}
    if "BF16" in kinds and "BYTES" in {spec.datatype for spec in signature.inputs}:
        raise source.reject("has inputs of texts and tensors of BF16, which ONNX Runtime's Python API cannot run")
    return Session(node, session, signature, device, labels, "BF16" in kinds)


def _open(model: ModelFile, facts: OnnxFacts, source: Source, threads: int) -> tuple[ort.InferenceSession, Device]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Spinning threads would use CPU time that other requests need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content: str | bytes = str(model.path)
    if facts.class_maps:
        content = without_class_maps(model.path, facts.class_maps)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(model.path.parent))
    try:
        return open_on_device(content, options, find_problem())
    except (MemoryError, *_ORT_ERRORS) as error:
        versions = f"opset {facts.describe_opsets()}, IR {facts.ir_version}"
        problem = f"ONNX Runtime {ort.__version__} cannot load it ({versions})"
        raise source.reject(f"{problem}: {_first_line(error)}") from None


def _read_spec(value: Any, facts: OnnxFacts, at: str, optional: bool = False) -> TensorSpec:
    datatype = BY_ONNX.get(value.type)
    if datatype is None or datatype not in DTYPES:
        raise InvalidGraph(f"{at} {value.name}", _describe_type(value.type))
    dims = tuple(dim if isinstance(dim, int) else dim or None for dim in value.shape)
    # ONNX Runtime returns no dimensions for a scalar, and also if their number is free.
    free = not dims and value.name in facts.shapeless
    return TensorSpec(value.name, datatype, None if free else dims, optional=optional)


def _describe_type(kind: str) -> str:
    """Return what is wrong with a type that is not served, and what to do."""
    text = f"has type {kind}, expected a tensor of {', '.join(DTYPES)}"
    if kind.startswith("seq(map("):
        return f"{text}: convert the classifier with skl2onnx's option zipmap: False"
    if not kind.startswith("tensor("):
        return f"{text}: export the model without it, or with an operator that makes a tensor of it"
    return text


def _to_value(array: Array) -> Any:
    if array.dtype == _BF16:
        bits = np.ascontiguousarray(array).view(np.uint16)
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits.reshape(array.shape), TensorProto.BFLOAT16)
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def _from_value(value: Any) -> Array:
    """Return a copy of a value as an array; ONNX Runtime has no conversion for BF16."""
    if value.data_type() != "tensor(bfloat16)":
        return np.asarray(value.numpy())
    size = value.tensor_size_in_bytes()
    content = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(content, _BF16).reshape(value.shape())


def _first_line(error: Exception) -> str:
    """Return the first line of ONNX Runtime's message, without its prefix."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.removeprefix("[ONNXRuntimeError] : ")[:400]
