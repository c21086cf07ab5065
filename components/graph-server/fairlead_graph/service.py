"""The core in the model process: loads a graph, checks its nodes, and runs messages through it."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from fairlead_contracts.graph import GraphDocument
from fairlead_contracts.tensors import DTYPES, TensorSpec
from fairlead_serving.child import NotYet
from fairlead_serving.errors import Code, ServingError

from .errors import NodeFailed, NodeTooLate
from .execute import Run, execute, send_feedback
from .graph import Graph, build_graph
from .models import ModelFile
from .nodes import Context, Feedback, Resources
from .settings import NodeSettings
from .tensors import Message

_log = logging.getLogger(__name__)
_WARM_UP_SECONDS = 30.0


class Service:
    """The service of one loaded graph."""

    def __init__(
        self, spec: GraphDocument, version: str, settings: NodeSettings, models: Mapping[str, ModelFile],
        report: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        """Load the graph; raise InvalidGraph if it cannot be served. This call blocks."""
        self.spec, self.version = spec, version
        self.settings = settings
        self._pool = ThreadPoolExecutor(settings.worker_threads, thread_name_prefix="onnx")
        self.graph: Graph = build_graph(spec.graph, Resources(settings, self._pool, models, report))
        _log.info("graph loaded", extra={"nodes": [node.name for node in self.graph.root.walk()]})

    async def check(self) -> None:
        """Raise NodeFailed unless every node responds."""
        await asyncio.gather(*(node.node.check() for node in self.graph.root.walk()))

    async def infer(self, message: Message, run: Run) -> Message:
        """Run a message through the graph, and return its output; raise ServingError."""
        return await execute(self.graph.root, message, run)

    async def send_feedback(self, feedback: Feedback, run: Run) -> None:
        """Tell the nodes about an earlier response; raise ServingError."""
        await send_feedback(self.graph.root, feedback, run)

    async def warm_up(self, attempt: int) -> tuple[str | None, Run]:
        """Send made-up input through the graph; return what is wrong with it, or None. Raise NotYet.

        The first attempt is ones, because zeros divide; if it ended the process, the second is zeros. The input may
        still be invalid for the model, so a failure proves nothing.
        """
        specs = self.graph.inputs or self._guess_inputs()
        value = 0 if attempt else 1
        message = Message({spec.name: _fill(spec, value) for spec in specs}, typed=self.graph.inputs is not None)
        run = start_run(_WARM_UP_SECONDS, "warm-up")
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

    def _guess_inputs(self) -> tuple[TensorSpec, ...]:
        """Return the inputs of the first node that knows its own: the nodes above it often keep the shape."""
        known = (node.node.signature.inputs for node in self.graph.root.walk() if node.node.signature)
        return next(known, (TensorSpec("data", "FP64", (None, 1)),))


def start_run(seconds: float, puid: str = "") -> Run:
    """Return the run of a request that has to be answered within `seconds`."""
    return Run(Context(puid or secrets.token_hex(16), asyncio.get_running_loop().time() + seconds))


def _fill(spec: TensorSpec, value: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    shape = [1 if size < 0 else size for size in spec.shape]
    return np.full(shape, "" if spec.datatype == "BYTES" else value, dtype=DTYPES[spec.datatype])
