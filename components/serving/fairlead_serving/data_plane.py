"""The data plane: what every protocol does with a request. It knows bytes and codes, and neither HTTP nor gRPC.

A protocol checks the request's path or method, passes the body on, and says the answer or the error in its own words.
The model process decodes and encodes bodies.
"""

import asyncio
import logging
import time
from typing import Any, Protocol

from .calls import Reply
from .errors import Code, Crashed, Failed, NotReady, Overloaded, ServingError, check_served
from .processes import ModelProcesses

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
        self.processes: ModelProcesses | None = None
        """The model processes; None until the models are fetched."""
        self.in_flight = 0
        """How many requests are in flight."""
        self._max_in_flight = max_in_flight
        self._observer = observer
        self._draining = False

    @property
    def draining(self) -> bool:
        """Return True once the server has been asked to end."""
        return self._draining

    @property
    def unready(self) -> str | None:
        """Return why the server should get no requests; None if it should."""
        if self._draining:
            return "draining"
        return _FETCHING if self.processes is None else self.processes.unready

    def replace(self, model: str, version: str, processes: ModelProcesses) -> None:
        """Answer requests by another model from now on; those in flight are answered by the one before."""
        self.model, self.version, self.processes = model, version, processes

    def describe(self) -> bytes:
        """Return the model's metadata, in V2's JSON; raise NotReady."""
        return self.read_facts()[0][1]

    def read_facts(self) -> list[Reply]:
        """Return what each model process has said when it loaded the models; raise NotReady if none has."""
        facts = self.processes.all_facts if self.processes is not None else []
        if not facts:
            raise NotReady("not ready: the models are loading")
        return facts

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

    async def ask_each(self, protocol: str, seconds: float) -> list[Reply]:
        """Ask all model processes something for the server itself, which counts as no request; raise ServingError."""
        if self.processes is None:
            raise NotReady(f"not ready: {_FETCHING}")
        replies = await self.processes.call_each({"protocol": protocol}, seconds)
        for reply, _ in replies:
            _check(reply)
        return replies

    def observe_reply(self, head: dict[str, Any]) -> None:
        """Record what the model process says about a request, or its warm-up."""
        if self._observer is not None and self.processes is not None and self.processes.facts is not None:
            self._observer.observe_reply(self.processes.facts[0], head)

    def drain(self) -> None:
        """Become unready."""
        self._draining = True

    def give_up(self) -> None:
        """Fail the requests in flight."""
        if self.processes is not None:
            self.processes.close()

    async def _admit(self, head: dict[str, Any], body: bytes, seconds: float | None) -> Reply:
        if self.in_flight >= self._max_in_flight:
            raise Overloaded(f"{self.in_flight} requests are in flight, the maximum; retry later")
        if self.processes is None:
            raise NotReady(f"not ready: {_FETCHING}")
        self.in_flight += 1
        try:
            reply, content = await self.processes.call(head, body, seconds)
        except Crashed as error:
            _log.error("a request ended the model process", extra={"protocol": head["protocol"], "reason": str(error)})
            raise
        finally:
            self.in_flight -= 1
        self.observe_reply(reply)
        _check(reply)
        return reply, content

    def _observe(self, protocol: str, code: Code, start: float) -> None:
        if self._observer is not None:
            self._observer.observe_request(protocol, code, time.perf_counter() - start)


def _check(reply: dict[str, Any]) -> None:
    """Raise Failed if a model process reports a failure."""
    if reply["code"] != Code.OK:
        raise Failed(Code(reply["code"]), reply["reason"], reply["error"])


def has_passed(seconds: float | None, start: float) -> bool:
    """Return True if a request that began at `start` was ended because its client waited for no longer.

    gRPC ends calls at their deadline as if the client had: but one says that the server is slow, the other nothing.
    """
    return seconds is not None and time.perf_counter() - start >= seconds - _DEADLINE_ERROR_SECONDS
