"""The core in the model process: loads a graph, checks its nodes, and runs messages through it."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from fairlead_contracts.devices import DeviceFacts, NodeDevice
from fairlead_contracts.graph import GraphDocument
from fairlead_contracts.tensors import DTYPES, TensorSpec
from fairlead_serving.board import Places
from fairlead_serving.child import NotYet
from fairlead_serving.errors import Code, ServingError

from .errors import NodeFailed, NodeTooLate
from .execute import Run, execute, send_feedback
from .graph import Graph, build_graph, check_graph
from .models import ModelFile
from .monitor.monitors import Monitors
from .nodes import Context, Feedback, Resources
from .nodes.builtin import BuiltIn
from .nodes.cuda import has_cuda
from .nodes.onnx import OnnxNode
from .settings import NodeSettings
from .tensors import Message, Signature

_log = logging.getLogger(__name__)
_WARM_UP_SECONDS = 30.0
State = dict[str, list[list[float]]]


class Service:
    """The service of one loaded graph."""

    def __init__(
        self, spec: GraphDocument, version: str, settings: NodeSettings, models: Mapping[str, ModelFile],
        report: Callable[[str, str], None], state: State | None = None, places: Places | None = None,
    ) -> None:  # fmt: skip
        """Load the graph, with the state of an earlier process; raise InvalidGraph. This call blocks.

        Nodes note what they run at their `places`.
        """
        self.spec, self.version = spec, version
        self.settings = settings
        self._pool = ThreadPoolExecutor(settings.worker_threads, thread_name_prefix="onnx")
        self.monitors = Monitors(spec.monitor, spec.predictor) if spec.monitor else None
        self.places = places or Places()
        resources = Resources(settings, self._pool, models, report, spec.batching, self.monitors, self.places)
        self.graph: Graph = build_graph(spec.graph, resources)
        self._known = self._signatures()
        self.restore(state or {})
        nodes = ((node.name, node.node) for node in self.graph.root.walk())
        self.devices = DeviceFacts(
            nodes=tuple(
                NodeDevice(node=name, provider=node.device.provider, problem=node.device.problem)
                for name, node in nodes
                if isinstance(node, OnnxNode)
            )
        )
        _log.info("graph loaded", extra={"nodes": [node.name for node in self.graph.root.walk()]})
        if has_cuda():
            _log_devices(self.devices)

    async def check(self) -> None:
        """Raise NodeFailed unless every node responds, and InvalidGraph if what remote ones say does not fit."""
        await asyncio.gather(*(node.node.check() for node in self.graph.root.walk()))
        if (signatures := self._signatures()) != self._known:
            self.graph = check_graph(self.graph.root)
            self._known = signatures

    async def infer(self, message: Message, run: Run) -> Message:
        """Run a message through the graph, and return its output; raise ServingError."""
        return await execute(self.graph.root, message, run)

    async def send_feedback(self, feedback: Feedback, run: Run) -> None:
        """Send the nodes feedback about an earlier response; raise ServingError."""
        await send_feedback(self.graph.root, feedback, run)

    def state(self) -> State:
        """Return what the nodes have learned, by node, for other processes."""
        nodes = ((node.name, node.node) for node in self.graph.root.walk())
        return {name: state for name, node in nodes if isinstance(node, BuiltIn) and (state := node.state())}

    def restore(self, state: State) -> None:
        """Let the nodes go on from what they had learned in another process."""
        for node in self.graph.root.walk():
            if isinstance(node.node, BuiltIn) and node.name in state:
                node.node.restore(state[node.name])

    async def warm_up(self, attempt: int) -> tuple[str | None, Run]:
        """Send made-up input through the graph; return what is wrong with it, or None. Raise NotYet.

        The first attempt is ones, because zeros divide; if it ended the process, the second is zeros. The input may
        still be invalid for the model, so a failure proves nothing.
        """
        specs = self.graph.inputs or self._guess_inputs()
        value = 0 if attempt else 1
        tensors = {spec.name: _fill(spec, value) for spec in specs if not spec.optional}
        message = Message(tensors, typed=self.graph.inputs is not None)
        run = start_run(_WARM_UP_SECONDS, "warm-up", counted=False)
        try:
            await self.infer(message, run)
        except NodeFailed as error:
            if error.code in (Code.UNAVAILABLE, Code.TOO_LATE) and not isinstance(error, NodeTooLate):
                raise NotYet(str(error)) from None
            return str(error), run
        except ServingError as error:
            return str(error), run
        return None, run

    async def close(self) -> None:
        """Close connections and threads."""
        for node in self.graph.root.walk():
            await node.node.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self.monitors:
            self.monitors.close()

    def _signatures(self) -> list[Signature | None]:
        """Return what the nodes accept and return; remote ones are known only when they respond, and may change."""
        return [node.node.signature for node in self.graph.root.walk()]

    def _guess_inputs(self) -> tuple[TensorSpec, ...]:
        """Return the inputs of the first node that knows its own: the nodes above it often keep the shape."""
        known = (node.node.signature.inputs for node in self.graph.root.walk() if node.node.signature)
        return next(known, (TensorSpec("data", "FP64", (None, 1)),))


def start_run(seconds: float, puid: str = "", counted: bool = True) -> Run:
    """Return the run of a request that has to be answered within `seconds`; `counted` if it is a client's."""
    return Run(Context(puid or secrets.token_hex(16), asyncio.get_running_loop().time() + seconds, counted))


def _log_devices(devices: DeviceFacts) -> None:
    """Log which models run on the GPU, and why others do not."""
    by_problem: dict[str | None, list[str]] = {}
    for each in devices.nodes:
        by_problem.setdefault(each.problem, []).append(each.node)
    for problem, nodes in by_problem.items():
        if problem is None:
            _log.info("models run on the GPU", extra={"nodes": nodes})
        else:
            _log.warning("models run on the CPU", extra={"nodes": nodes, "reason": problem})


def _fill(spec: TensorSpec, value: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    shape = [1 if size < 0 else size for size in spec.shape]
    return np.full(shape, "" if spec.datatype == "BYTES" else value, dtype=DTYPES[spec.datatype])
