"""A node that runs inside the graph server: an ONNX model on ONNX Runtime."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.datatypes import BY_ONNX
from fairlead_contracts.errors import Words
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_contracts.tensors import Array, TensorSpec
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # type: ignore[import-untyped]

from ..errors import InvalidGraph, NodeFailed, NodeOutOfMemory, NodeTooLate, RequestRejected
from ..models import ModelFile
from ..onnx_file import NotOnnx, OnnxFacts, inspect_onnx
from ..roles import Method
from ..tensors import Message, Signature, bind
from .base import Context, Feedback, NodeKind, Resources

# ONNX Runtime's exceptions have no common base except Exception.
_ORT_ERRORS = (
    ort_errors.InvalidProtobuf, ort_errors.InvalidGraph, ort_errors.InvalidArgument, ort_errors.NotImplemented,
    ort_errors.NoModel, ort_errors.NoSuchFile, ort_errors.Fail, ort_errors.RuntimeException, RuntimeError, ValueError,
    IndexError, OverflowError, TypeError,
)  # fmt: skip
_FAST_SECONDS = 0.0005
_NO_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation")


@dataclass
class OnnxNode:
    """A loaded ONNX model and the thread pool that runs it, unless the model is faster than a change of threads."""

    name: str
    session: ort.InferenceSession
    signature: Signature
    image: tuple[str, str]
    pool: ThreadPoolExecutor
    _seconds: float = float("inf")
    """Duration of the last run."""

    async def call(self, method: Method, messages: Sequence[Message], context: Context) -> Message:  # noqa: ARG002
        """Run the model, for every method."""
        (message,) = messages
        feeds = bind(self.signature.inputs, message, f"node {self.name}: input")
        loop, options = asyncio.get_running_loop(), ort.RunOptions()
        if self._seconds < _FAST_SECONDS:
            return self._answer(message, self._run(feeds, options))
        # ONNX Runtime looks at this between two operators; a longer one is ended with the process.
        timer = loop.call_at(context.deadline, setattr, options, "terminate", True)
        try:
            outputs = await loop.run_in_executor(self.pool, self._run, feeds, options)
        finally:
            timer.cancel()
        return self._answer(message, outputs)

    def _answer(self, message: Message, outputs: list[Array]) -> Message:
        tensors = {spec.name: output for spec, output in zip(self.signature.outputs, outputs, strict=True)}
        return Message(tensors, tags=message.tags)

    async def send_feedback(self, feedback: Feedback, context: Context) -> None:
        """Do nothing: a model does not learn while it serves."""

    async def check(self) -> None:
        """Do nothing: a loaded model is always available."""

    async def close(self) -> None:
        """Do nothing: the session needs no closing."""

    def _run(self, feeds: dict[str, Array], options: ort.RunOptions) -> list[Array]:
        start = time.perf_counter()
        try:
            outputs: list[Array] = self.session.run(None, feeds, options)
        except ort_errors.InvalidArgument as error:
            # Types and shapes are checked already, so the values are invalid for the model, such as an index.
            raise RequestRejected(
                f"node {self.name}", Words("invalid values"), f"values for this model ({_first_line(error)})"
            ) from None
        except (MemoryError, *_ORT_ERRORS) as error:
            if options.terminate:
                raise NodeTooLate(self.name) from None
            if isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY):
                raise NodeOutOfMemory(f"node {self.name}: needs more memory for this request than there is") from None
            raise NodeFailed(self.name, _first_line(error)) from None
        self._seconds = time.perf_counter() - start
        for spec, output in zip(self.signature.outputs, outputs, strict=True):
            if not isinstance(output, np.ndarray):
                raise NodeFailed(self.name, f"output {spec.name} is a {type(output).__name__}, expected a tensor")
        return outputs


def _load(spec: NodeSpec, at: str, resources: Resources) -> OnnxNode:
    """Fetch, check and load the model of a node."""
    model = resources.models[spec.name]
    resources.report(at, "inspect")
    try:
        facts = inspect_onnx(model.path, model.folder)
    except NotOnnx as error:
        raise InvalidGraph(at, f"modelUri {spec.model_uri}: {model.path.name} {error}") from None
    resources.report(at, "load")
    session = _open_session(model, facts, spec, at, resources)
    try:
        signature = Signature(
            tuple(_read_spec(value, f"{at}: input") for value in session.get_inputs()),
            tuple(_read_spec(value, f"{at}: output") for value in session.get_outputs()),
        )
    except UnicodeDecodeError:
        raise InvalidGraph(at, f"modelUri {spec.model_uri}: the name of an input or output is not UTF-8") from None
    image = (str(spec.model_uri), model.digest)
    return OnnxNode(spec.name, session, signature, image, resources.pool)


def _open_session(
    model: ModelFile, facts: OnnxFacts, spec: NodeSpec, at: str, resources: Resources
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = resources.settings.intra_op_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Spinning threads would use CPU time that other requests need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
    except (MemoryError, *_ORT_ERRORS) as error:
        versions = f"opset {facts.describe_opsets()}, IR {facts.ir_version}"
        problem = f"ONNX Runtime {ort.__version__} cannot load it ({versions})"
        raise InvalidGraph(at, f"modelUri {spec.model_uri}: {problem}: {_first_line(error)}") from None


def _read_spec(value: Any, at: str) -> TensorSpec:
    if value.type not in BY_ONNX:
        raise InvalidGraph(f"{at} {value.name}", f"has type {value.type}, expected one of {', '.join(BY_ONNX)}")
    dims = tuple(dim if isinstance(dim, int) else dim or None for dim in value.shape)
    return TensorSpec(value.name, BY_ONNX[value.type], dims)


def _first_line(error: Exception) -> str:
    """Return the first line of ONNX Runtime's message, without its prefix."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.removeprefix("[ONNXRuntimeError] : ")[:400]


KIND = NodeKind(_load)
