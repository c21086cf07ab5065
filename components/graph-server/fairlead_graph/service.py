"""The transport-independent core: loads a graph, tracks its readiness, and answers messages."""

import asyncio
import logging
import secrets
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fairlead_contracts.graph import GraphDocument
from fairlead_contracts.tensors import DTYPES, TensorSpec

from .errors import NodeFailed, NotReady, Overloaded, RequestFailed
from .execute import Run, execute
from .graph import Graph, build_graph
from .metrics import Metrics
from .models import ModelCache
from .nodes import Resources
from .settings import Settings
from .tensors import Message

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 0.5
_RECHECK_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """The answer to a request, and its run."""

    message: Message
    run: Run


class Service:
    """The service of one graph, from loading to draining."""

    def __init__(self, spec: GraphDocument, settings: Settings) -> None:
        self.spec = spec
        self.settings = settings
        self.metrics = Metrics(spec)
        self.graph: Graph | None = None
        self.unready: str | None = "the graph is loading"
        """Why the service is not ready; None if it is ready."""
        self.draining = False
        self._in_flight = 0
        self._pool = ThreadPoolExecutor(settings.worker_threads, thread_name_prefix="onnx")

    async def load(self) -> None:
        """Load the graph; raise InvalidGraph if it cannot be served."""
        # The files can be deleted as soon as ONNX Runtime has loaded the models into memory.
        with tempfile.TemporaryDirectory(prefix="fairlead-models-") as folder:
            resources = Resources(self.settings, self._pool, ModelCache(Path(folder)))
            self.graph = await asyncio.to_thread(build_graph, self.spec.graph, resources)
        _log.info("graph loaded", extra={"nodes": [node.name for node in self.graph.root.walk()]})

    async def watch_readiness(self) -> None:
        """Become ready once every node answers and a warm-up request succeeds; then keep checking remote nodes."""
        assert self.graph is not None
        warm = False
        while True:
            try:
                await self._check_nodes(self.graph)
                if not warm:
                    await self._warm_up(self.graph)
                    warm = True
                self._report(None)
            except RequestFailed as error:
                self._report(str(error))
            await asyncio.sleep(_RETRY_SECONDS if self.unready else _RECHECK_SECONDS)

    async def infer(self, message: Message, puid: str = "") -> Answer:
        """Run a message through the graph; raise RequestFailed."""
        graph = self.require_graph()
        run = Run(puid or secrets.token_hex(16), self.metrics)
        return Answer(await execute(graph.root, message, run), run)

    def require_graph(self) -> Graph:
        """Return the graph; raise NotReady until it is loaded."""
        if self.graph is None:
            raise NotReady(f"not ready: {self.unready}")
        return self.graph

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a request as in flight; raise Overloaded if the limit is reached."""
        if self._in_flight >= self.settings.max_in_flight:
            raise Overloaded(f"{self._in_flight} requests are in flight, the maximum; retry later")
        self._in_flight += 1
        self.metrics.in_flight.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self.metrics.in_flight.set(self._in_flight)

    async def close(self) -> None:
        """Close connections and threads."""
        for node in self.graph.root.walk() if self.graph else ():
            await node.node.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _check_nodes(self, graph: Graph) -> None:
        await asyncio.gather(*(node.node.check() for node in graph.root.walk()))

    async def _warm_up(self, graph: Graph) -> None:
        """Send a request of zeros through the graph.

        If only remote nodes know the graph's inputs, the request's shape is a guess: a node that rejects the request
        is known to answer.
        """
        guessed = graph.inputs is None or any(-1 in spec.shape[1:] for spec in graph.inputs)
        specs = graph.inputs or self._guess_inputs(graph)
        message = Message({spec.name: _zeros(spec) for spec in specs}, typed=graph.inputs is not None)
        try:
            await self.infer(message, "warm-up")
        except NodeFailed as error:
            if not guessed or error.status in (503, 504):
                raise
            _log.warning("the guessed warm-up request was rejected", extra={"reason": str(error)})
        except RequestFailed as error:
            if not guessed:
                raise
            _log.warning("the guessed warm-up request was rejected", extra={"reason": str(error)})

    def _guess_inputs(self, graph: Graph) -> tuple[TensorSpec, ...]:
        """Return the inputs of the first node that knows its own: the nodes above it often keep the shape."""
        known = (node.node.signature.inputs for node in graph.root.walk() if node.node.signature)
        return next(known, (TensorSpec("data", "FP64", (None, 1)),))

    def _report(self, unready: str | None) -> None:
        if unready != self.unready:
            _log.info("ready" if unready is None else "not ready", extra={"reason": unready} if unready else {})
        self.unready = unready


def _zeros(spec: TensorSpec) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    shape = [1 if size < 0 else size for size in spec.shape]
    return np.full(shape, "" if spec.datatype == "BYTES" else 0, dtype=DTYPES[spec.datatype])
