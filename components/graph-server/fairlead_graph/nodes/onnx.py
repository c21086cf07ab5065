"""A node that runs inside the graph server: an ONNX model on ONNX Runtime."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_contracts.tensors import Array
from fairlead_serving.board import Place

from ..monitor.observer import Observer
from ..roles import Method
from ..tensors import Message, Signature, bind
from .base import Context, Feedback, NodeKind, Resources
from .batching import Batcher, check_batchable
from .cuda import Device
from .onnx_session import Session, Source, open_session

_FAST_SECONDS = 0.0005


@dataclass
class OnnxNode:
    """A loaded ONNX model and the thread pool that runs it, unless the model is faster than a change of threads."""

    name: str
    session: Session
    image: tuple[str, str]
    pool: ThreadPoolExecutor
    place: Place
    """Where it notes that it runs."""
    batcher: Batcher | None = None
    """Runs requests together; None if batching is off."""
    observer: Observer | None = None
    """Counts the inputs and outputs, if they are to be and the model has a reference."""
    _seconds: float = float("inf")
    """The thread's time of the last run: on a busy machine, the clock says more of the others than of the model."""

    @property
    def signature(self) -> Signature:
        """The model's inputs and outputs."""
        return self.session.signature

    @property
    def device(self) -> Device:
        """Return where the model runs."""
        return self.session.device

    async def call(self, method: Method, messages: Sequence[Message], context: Context) -> Message:  # noqa: ARG002
        """Run the model, for every method."""
        (message,) = messages
        feeds = bind(self.signature.inputs, message, f"node {self.name}: input")
        run = self._run if self.batcher is None else self.batcher.run
        answer = self._answer(message, await run(feeds, context.deadline))
        if self.observer is not None and context.counted:
            self.observer.observe(feeds, answer.tensors)
        return answer

    async def send_feedback(self, feedback: Feedback, context: Context) -> None:
        """Do nothing: a model does not learn while it serves."""

    async def check(self) -> None:
        """Do nothing: a loaded model is always available."""

    async def close(self) -> None:
        """Do nothing: the session needs no closing."""

    async def _run(self, feeds: dict[str, Array], deadline: float) -> list[Array]:
        loop, options = asyncio.get_running_loop(), ort.RunOptions()
        with self.place:
            if self._seconds < _FAST_SECONDS:
                return self._measure(feeds, options)
            # ONNX Runtime looks at this between two operators; a longer one is ended with the process.
            timer = loop.call_at(deadline, setattr, options, "terminate", True)
            try:
                return await loop.run_in_executor(self.pool, self._measure, feeds, options)
            finally:
                timer.cancel()

    def _measure(self, feeds: dict[str, Array], options: ort.RunOptions) -> list[Array]:
        start = time.thread_time()
        outputs = self.session.run(feeds, options)
        self._seconds = time.thread_time() - start
        return outputs

    def _answer(self, message: Message, outputs: list[Array]) -> Message:
        tensors = {spec.name: output for spec, output in zip(self.signature.outputs, outputs, strict=True)}
        return Message(tensors, tags=message.tags, labels=self.session.labels)


def _load(spec: NodeSpec, at: str, resources: Resources) -> OnnxNode:
    """Check and open the model of a node."""
    model = resources.models[spec.name]
    source = Source(at, str(spec.model_uri))
    session = open_session(spec.name, model, source, resources.settings.intra_op_threads, resources.report)
    place = resources.places.add(at)
    node = OnnxNode(spec.name, session, (str(spec.model_uri), model.digest), resources.pool, place)
    if resources.batching:
        check_batchable(session.signature, at)
        node.batcher = Batcher(spec.name, resources.batching, node._run, resources.settings.worker_threads)
    if resources.monitors and spec.type == "MODEL":
        node.observer = resources.monitors.open(spec.name, model, session.signature)
    return node


KIND = NodeKind(_load)
