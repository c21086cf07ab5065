"""The traffic document in force, and what is done with requests because of it; it knows neither HTTP nor gRPC."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable

from fairlead_contracts.traffic import Route, Sticky, TrafficDocument, TrafficFacts
from fairlead_serving.data_plane import has_passed
from fairlead_serving.errors import Code, ServingError, ShuttingDown
from fairlead_serving.limits import Limits

from .counting import CLIENTS_FAULT, Counting
from .doubts import Doubts
from .flight import Passage, RouteFailed
from .metrics import RouteMetrics
from .mirror import Copy, Mirror
from .table import Rotation, Table
from .targets import AnswerT, Clock, Send, Target, build_target

_log = logging.getLogger(__name__)


class Conflict(Exception):
    """A document is for another revision, or not newer than the one in force."""


class Traffic:
    """What a server does with its requests besides answering them, and what it has measured."""

    def __init__(self, revision: str, limits: Limits, metrics: RouteMetrics) -> None:
        self.revision = revision
        self.document: TrafficDocument | None = None
        """The document in force."""
        self.active = self.mirrors = False
        """Whether there are routes, and whether one gets copies; attributes, because each request reads them."""
        self.sticky: Sticky | None = None
        """What keeps a client at a route."""
        self.own = Counting()
        """The predictions that this server answered."""
        self._provisional = False
        self._limits, self._metrics = limits, metrics
        self._server = secrets.token_hex(8)
        self._targets: dict[str, Target] = {}
        self._table = Table(())
        self._rotation = Rotation(random.random())
        self._clock = Clock(limits.run_timeout_seconds)
        self._mirror, self._doubts = Mirror(self._clock, metrics), Doubts()

    # The document

    @property
    def generation(self) -> int:
        """Return the generation of the document in force; 0 if there is none."""
        return self.document.generation if self.document else 0

    @property
    def _window(self) -> int:
        return self.document.window if self.document else 0

    def replace(self, document: TrafficDocument, provisional: bool = False) -> None:
        """Put a document in force; raise Conflict. A provisional one gives way to another of its generation, too."""
        if document.revision != self.revision:
            raise Conflict(f"revision: got {document.revision!r}, expected {self.revision!r}")
        if document.generation < self.generation:
            raise Conflict(f"generation: got {document.generation}, expected at least {self.generation}")
        if document.generation == self.generation and not self._provisional:
            if document != self.document:
                raise Conflict(f"generation: got {document.generation} and other content than in force, expected more")
            return
        self._provisional = provisional
        fresh, before, count = document.window != self._window, self._targets, len(document.routes)
        self.own = Counting() if fresh else self.own
        self._targets = {
            route.name: build_target(route, count, self._limits, before.get(route.name), fresh)
            for route in document.routes
        }
        self.document, self._table, self.sticky = document, Table(document.routes), document.sticky
        self.active, self.mirrors = bool(count), bool(self._table.mirrors)
        self._metrics.set_document(document, before.keys() - self._targets.keys())
        shares = {route.name: [route.percent, route.mirror_percent] for route in document.routes}
        _log.info("traffic", extra={"generation": document.generation, "window": document.window, "routes": shares})

    def facts(self) -> TrafficFacts:
        """Return what was measured in the window."""
        return TrafficFacts(
            server=self._server,
            revision=self.revision,
            generation=self.generation,
            window=self._window,
            own=self.own.to_contract(),
            routes=tuple(target.counting.to_contract(name) for name, target in self._targets.items()),
        )

    # Requests

    def choose(self, client: bytes) -> Route | None:
        """Return the route that answers a client or, if it is empty, the next request; None for this server."""
        return self._table.choose_for(client) if client else self._table.choose(self._rotation.take())

    def find(self, name: str) -> Route | None:
        """Return the route of this name."""
        target = self._targets.get(name)
        return target.route if target else None

    def find_answerer(self, name: str, client: bytes) -> Route | None:
        """Return the route whose answer feedback is about, by the name in the feedback or by its sticky client.

        None for this server, also if nothing is known.
        """
        if name:
            return self.find(name)
        return self.choose(client) if client else None

    async def forward(
        self, route: Route, send: Send[AnswerT], size: int, own: Callable[[], Awaitable[object]] | None,
        seconds: float | None = None,
    ) -> AnswerT:  # fmt: skip
        """Return a route's answer to a request of so many bytes; raise ServingError.

        `own` answers a prediction here; None for feedback, which is not counted. `seconds` is for how long the client
        waits, if it says so.
        """
        target, start, code = self._targets[route.name], time.perf_counter(), None
        try:
            answer = await self._forward(target, send, size)
            code = answer.code
            return answer
        except ServingError as error:
            code = None if isinstance(error, ShuttingDown) else error.code
            raise
        except asyncio.CancelledError:
            code = Code.TOO_LATE if has_passed(seconds, start) else None
            raise
        finally:
            if own is not None and code is not None:  # else its client, or this server, has ended it
                elapsed = time.perf_counter() - start
                target.counting.live.observe(code, elapsed)
                self._metrics.observe_request(route.name, code, elapsed)
                if code in CLIENTS_FAULT:
                    self._doubts.add(target.counting.live, own, elapsed)

    def mirror(self, copy: Copy[AnswerT]) -> None:
        """Send a request that this server has answered to the routes whose turn it is."""
        for route in self._table.mirrors:
            self._mirror.offer(self._targets[route.name], copy)

    def give_up(self) -> None:
        """End what is on its way to routes: the server exits."""
        self._clock.give_up()

    async def close(self) -> None:
        """End the copies that are on their way."""
        await self._mirror.close()
        await self._doubts.close()

    async def _forward(self, target: Target, send: Send[AnswerT], size: int) -> AnswerT:
        flight, name = target.live, target.route.name
        if not flight.has_space(size):
            problem = f"{flight.count} requests are in flight, or use all memory for them; retry later"
            raise RouteFailed(name, problem, Code.UNAVAILABLE)
        passage = Passage(name, flight, size, self._limits.max_response_bytes)
        self._metrics.observe_in_flight(name, flight.count)
        try:
            return await self._clock.send(target.route, passage, send)
        finally:
            passage.leave()
            self._metrics.observe_in_flight(name, flight.count)
