"""The path at which the operator reads what a server has counted, and the metrics of it.

The counts are in the model processes. They are asked by whoever reads them, once a second at most, and every few
seconds for the metrics, so that no request has to carry them.
"""

import asyncio
import logging
import math

from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import ServingError
from fairlead_serving.messages import RETRY_AFTER, Request, Response, json_response

from ..protocols.names import MONITOR
from .metrics import MonitorMetrics
from .sum import add_up

_log = logging.getLogger(__name__)
_FRESH_SECONDS, _METRICS_SECONDS, _TIMEOUT_SECONDS = 1.0, 5.0, 2.0


class Monitoring:
    """Reads the counts of the model processes."""

    def __init__(self, plane: DataPlane, metrics: MonitorMetrics) -> None:
        self._plane, self._metrics = plane, metrics
        self._content: bytes | None = None
        self._read_at = -math.inf
        self._reading = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Answer one request at the path."""
        if request.method not in ("GET", "HEAD"):
            problem = {"error": f"method {request.method[:20]}: expected GET or HEAD"}
            return json_response(problem, 405, [("Allow", "GET, HEAD")])
        try:
            return Response(await self._read())
        except ServingError as error:
            return json_response({"error": str(error)}, 503, [RETRY_AFTER])

    async def run(self) -> None:
        """Keep the metrics, until cancelled."""
        while True:
            await asyncio.sleep(_METRICS_SECONDS)
            try:
                await self._read()
            except ServingError as error:
                _log.debug("the counts cannot be read", extra={"reason": str(error)})

    async def _read(self) -> bytes:
        """Return the facts, which may be a second old; raise ServingError."""
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self._content is None or now - self._read_at >= _FRESH_SECONDS:
                replies = await self._plane.ask_each(MONITOR, _TIMEOUT_SECONDS)
                summaries, self._content = await add_up(replies)
                self._read_at = now
                for process, summary in enumerate(summaries):
                    self._metrics.observe(summary, process)
            return self._content
