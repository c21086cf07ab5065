"""A node that runs inside the graph server: an ONNX model on ONNX Runtime."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import onnxruntime as ort  # type: ignore[import-untyped]
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_contracts.tensors import Array

from ..monitor.observer import Observer
from ..roles import Method
from ..tensors import Message, Signature, bind
from .base import Context, Feedback, NodeKind, Resources
from .batching import Batcher, check_batchable
from .cuda import Device
from .onnx_session import Session, Source, open_session

FAST_SECONDS = 0.0005
"""A model that ran for less is run in the event loop: a change of threads takes a good part of it."""
_MAX_LATE = 3
_SMALL_BYTES = 256 << 10
"""Inputs that are larger run in a thread, whatever time smaller ones have taken."""


@dataclass
class OnnxNode:
    """A loaded ONNX model and the thread pool that runs it, unless the model is faster than a change of threads."""

    name: str
    session: Session
    image: tuple[str, str]
    pool: ThreadPoolExecutor
    batcher: Batcher | None = None
    """Runs requests together; None if batching is off."""
    observer: Observer | None = None
    """Counts the inputs and outputs, if they are to be and the model has a reference."""
    _seconds: float = float("inf")
    """The thread's time of the last small run in a thread."""
    _late: int = 0
    """How many runs in a row have held the event loop for too long."""
    _options: ort.RunOptions = field(default_factory=ort.RunOptions)
    """Those of all runs in the event loop, which nothing can end."""

    @property
    def signature(self) -> Signature:
        """The model's inputs and outputs."""
        return self.session.signature

    @property
    def fast(self) -> bool:
        """Return True if the model may run in the event loop; the thread's time says nothing of one on a GPU."""
        return self._seconds < FAST_SECONDS and self.device.provider == "CPU"

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
        size = 0
        for array in feeds.values():
            size += array.nbytes
        small = size <= _SMALL_BYTES
        if small and self.fast:
            return self._run_here(feeds)
        options = ort.RunOptions()
        loop = asyncio.get_running_loop()
        # ONNX Runtime looks at this between two operators; a longer one is ended with the process.
        timer = loop.call_at(deadline, setattr, options, "terminate", True)
        try:
            outputs, seconds = await loop.run_in_executor(self.pool, self._measure, feeds, options)
        except asyncio.CancelledError:
            options.terminate = True  # nobody waits for it
            raise
        finally:
            timer.cancel()
        if small:
            self._seconds, self._late = seconds, 0
        return outputs

    def _run_here(self, feeds: dict[str, Array]) -> list[Array]:
        """Run the model in the event loop; one that was too slow several times in a row is run in a thread next.

        The clock says how long the loop was held. On a busy machine it says more of the others than of the model, whose
        own time is measured in the thread.
        """
        start = time.perf_counter()
        outputs = self.session.run(feeds, self._options)
        if time.perf_counter() - start < FAST_SECONDS:
            self._late = 0
        else:
            self._late += 1
            if self._late == _MAX_LATE:
                self._seconds = float("inf")
        return outputs

    def _measure(self, feeds: dict[str, Array], options: ort.RunOptions) -> tuple[list[Array], float]:
        start = time.thread_time()
        outputs = self.session.run(feeds, options)
        return outputs, time.thread_time() - start

    def _answer(self, message: Message, outputs: list[Array]) -> Message:
        tensors = {spec.name: output for spec, output in zip(self.signature.outputs, outputs, strict=True)}
        return Message(tensors, tags=message.tags, labels=self.session.labels)


def _load(spec: NodeSpec, at: str, resources: Resources) -> OnnxNode:
    """Check and open the model of a node."""
    model = resources.models[spec.name]
    source = Source(at, str(spec.model_uri))
    session = open_session(spec.name, model, source, resources.settings.intra_op_threads, resources.report)
    node = OnnxNode(spec.name, session, (str(spec.model_uri), model.digest), resources.pool)
    if resources.batching:
        check_batchable(session.signature, at)
        node.batcher = Batcher(spec.name, resources.batching, node._run, resources.settings.worker_threads)
    if resources.monitors and spec.type == "MODEL":
        node.observer = resources.monitors.open(spec.name, model, session.signature)
    return node


KIND = NodeKind(_load)
