"""The data plane: what every protocol does with a request. It knows bytes and codes, and neither HTTP nor gRPC.

A protocol checks the request's path or method, passes the body on, and says the answer or the error in its own words.
The model process decodes and encodes bodies.
"""

import asyncio
import logging
import time
from typing import Any, Protocol

from .errors import Code, Crashed, Failed, NotReady, Overloaded, ServingError, check_served
from .supervisor import ModelProcess, Reply

_log = logging.getLogger(__name__)
_FETCHING = "the models are being fetched"
_DEADLINE_ERROR_SECONDS = 0.01
"""How much earlier than at its deadline a request may be ended."""


class Observer(Protocol):
    """What keeps the metrics of a data plane."""

    def observe_request(self, protocol: str, code: Code, seconds: float) -> None:
        """Record a request to a known model."""

    def observe_reply(self, facts: dict[str, Any], head: dict[str, Any]) -> None:
        """Record what the model process says about a request; `facts` are those of its load."""


class DataPlane:
    """The requests to one model; it answers from the start, also while the model loads or its process is replaced."""

    def __init__(self, model: str, version: str, max_in_flight: int, observer: Observer | None = None) -> None:
        self.model, self.version = model, version
        self.process: ModelProcess | None = None
        """The model process; None until the models are fetched."""
        self.in_flight = 0
        """How many requests are in flight."""
        self._max_in_flight = max_in_flight
        self._observer = observer
        self._draining = False

    @property
    def unready(self) -> str | None:
        """Return why the server should get no requests; None if it should."""
        if self._draining:
            return "draining"
        return _FETCHING if self.process is None else self.process.unready

    def describe(self) -> bytes:
        """Return the model's metadata, in V2's JSON; raise NotReady."""
        if self.process is None or self.process.facts is None:
            raise NotReady("not ready: the models are loading")
        return self.process.facts[1]

    def check_model(self, model: str, version: str = "") -> None:
        """Raise UnknownModel unless this model, and this version if one is named, is served."""
        check_served("model", model, self.model)
        check_served("version", version or self.version, self.version)

    async def infer(self, protocol: str, head: dict[str, Any], body: bytes, seconds: float | None = None) -> Reply:
        """Answer a request in the words of a protocol that the model process knows; raise ServingError.

        `head` is what the protocol says outside of the body, `seconds` for how long the client waits, if it says so.
        """
        start = time.perf_counter()
        try:
            reply = await self._admit({**head, "protocol": protocol}, body, seconds)
        except ServingError as error:
            self._observe(protocol, error.code, start)
            raise
        except asyncio.CancelledError:
            if has_passed(seconds, start):
                self._observe(protocol, Code.TOO_LATE, start)
            raise
        self._observe(protocol, Code.OK, start)
        return reply

    async def ask(self, protocol: str, seconds: float) -> Reply:
        """Ask the model process something for the server itself, which counts as no request; raise ServingError."""
        if self.process is None:
            raise NotReady(f"not ready: {_FETCHING}")
        reply, content = await self.process.call({"protocol": protocol}, b"", seconds)
        if reply["code"] != Code.OK:
            raise Failed(Code(reply["code"]), reply["reason"], reply["error"])
        return reply, content

    def observe_reply(self, head: dict[str, Any]) -> None:
        """Record what the model process says about a request, or its warm-up."""
        if self._observer is not None and self.process is not None and self.process.facts is not None:
            self._observer.observe_reply(self.process.facts[0], head)

    def drain(self) -> None:
        """Become unready."""
        self._draining = True

    def give_up(self) -> None:
        """Fail the requests in flight."""
        if self.process is not None:
            self.process.close()

    async def _admit(self, head: dict[str, Any], body: bytes, seconds: float | None) -> Reply:
        if self.in_flight >= self._max_in_flight:
            raise Overloaded(f"{self.in_flight} requests are in flight, the maximum; retry later")
        if self.process is None:
            raise NotReady(f"not ready: {_FETCHING}")
        self.in_flight += 1
        try:
            reply, content = await self.process.call(head, body, seconds)
        except Crashed as error:
            _log.error("a request ended the model process", extra={"protocol": head["protocol"], "reason": str(error)})
            raise
        finally:
            self.in_flight -= 1
        self.observe_reply(reply)
        if reply["code"] != Code.OK:
            raise Failed(Code(reply["code"]), reply["reason"], reply["error"])
        return reply, content

    def _observe(self, protocol: str, code: Code, start: float) -> None:
        if self._observer is not None:
            self._observer.observe_request(protocol, code, time.perf_counter() - start)


def has_passed(seconds: float | None, start: float) -> bool:
    """Return True if a request that began at `start` was ended because its client waited for no longer.

    gRPC ends calls at their deadline as if the client had: but one says that the server is slow, the other nothing.
    """
    return seconds is not None and time.perf_counter() - start >= seconds - _DEADLINE_ERROR_SECONDS
