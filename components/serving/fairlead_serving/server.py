"""The HTTP server: listens, bounds what all connections hold together, and drains on SIGTERM."""

import asyncio
import contextlib
import logging
import resource
import signal
from collections import Counter
from collections.abc import Callable

from .connection import Connection
from .limits import Limits
from .messages import App, Guard, Request, Response, json_response

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_LAST_RESPONSES_SECONDS = 1.0


class Server:
    """Serves an application until a signal, or until `stop` is called."""

    def __init__(self, app: App, limits: Limits, guard: Guard | None = None) -> None:
        """Serve an application; a guard decides which requests it gets."""
        self.limits, self.guard = limits, guard
        self.draining = False
        self._app = app
        self._connections: set[Connection] = set()
        self._clients: Counter[str] = Counter()
        self._buffered = self._unsent = 0
        self.stopping = asyncio.Event()
        """Set when no more requests are accepted."""
        self.others: list[asyncio.Event] = []
        """Set when the application's servers of other protocols have answered what they had accepted before."""
        self._signals = 0

    async def serve(self, host: str, port: int) -> None:
        """Listen and answer until SIGTERM or Ctrl-C, then drain; a second signal ends the drain."""
        loop = asyncio.get_running_loop()
        _raise_open_files()
        listener = await loop.create_server(lambda: Connection(self), host, port, backlog=1024)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle_signal, number)
        try:
            await self.stopping.wait()
        finally:
            listener.close()
            await self._finish()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Stop accepting requests, and finish those in flight."""
        self.draining = True
        self._app.drain()
        self.stopping.set()

    async def answer(self, request: Request) -> Response:
        """Return the application's response; raise nothing."""
        try:
            return await self._app.answer(request)
        except Exception:  # noqa: BLE001 - the outermost loop of a request, whose client waits for an answer
            _log.exception("request failed", extra={"path": request.path[:200]})
            return json_response({"error": "internal error; see the server's log"}, 500)

    # What connections report

    def register(self, connection: Connection) -> bool:
        """Count a connection; return False if there are too many, of its client or of all, and none is idle."""
        client = connection.client
        full = self._clients[client] >= self.limits.max_connections_per_client
        if full or len(self._connections) >= self.limits.max_connections:
            idle = [other for other in self._connections if other.idle and (not full or other.client == client)]
            if not idle:
                return False
            # A client at its limit loses a connection of its own: others, and probes from its address, are served.
            closed = min(idle, key=lambda other: other.active_at)
            closed.abort()
            # Its end is reported later; until then, each of many that arrive at once would count on it.
            self.unregister(closed)
        self._connections.add(connection)
        self._clients[client] += 1
        return True

    def unregister(self, connection: Connection) -> None:
        """Remove a closed connection; nothing happens if it was rejected or is removed already."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._clients[connection.client] -= 1
            if not self._clients[connection.client]:
                del self._clients[connection.client]

    def reserve_body(self, count: int) -> bool:
        """Reserve memory for a part of a body; return False if bodies use all of theirs."""
        if self._buffered + count > self.limits.buffered_bytes:
            return False
        self._buffered += count
        return True

    def reserve_response(self, count: int, force: bool = False) -> bool:
        """Reserve memory for a response; return False if unread responses use all of theirs."""
        if not force and self._unsent + count > self.limits.unsent_bytes:
            return False
        self._unsent += count
        return True

    def release(self, body: int, response: int) -> None:
        """Release memory of a body and of a response."""
        self._buffered -= body
        self._unsent -= response

    # The drain

    def _handle_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals > 1:
            self.stop()
            return
        self.draining = True
        self._app.drain()
        _log.info("draining", extra={"signal": number})
        asyncio.get_running_loop().call_later(self.limits.drain_seconds, self.stop)

    async def _finish(self) -> None:
        """Close idle connections, wait for requests in flight within the grace, and close the rest."""
        for connection in list(self._connections):
            connection.close_if_idle()
        if not await self._wait(self._is_idle, self.limits.grace_seconds):
            _log.warning("requests are not finished within the grace", extra={"connections": len(self._connections)})
        self._app.give_up()
        if not await self._wait(self._is_closed, _LAST_RESPONSES_SECONDS):
            for connection in list(self._connections):
                connection.abort()
            await self._wait(self._is_closed, _LAST_RESPONSES_SECONDS)

    async def _wait(self, holds: Callable[[], bool], seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds() and self._signals < 2:  # noqa: ASYNC110 - two conditions
                    await asyncio.sleep(_POLL_SECONDS)
        return holds()

    def _is_closed(self) -> bool:
        return not self._connections

    def _is_idle(self) -> bool:
        return not self._connections and all(other.is_set() for other in self.others)


def _raise_open_files() -> None:
    """Allow as many open files as the hard limit permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
