"""What is on its way to a route: bounded in number and in bytes, so that a slow route costs nothing but its share."""

from fairlead_serving.errors import Code, ServingError


class RouteFailed(ServingError):
    """A route did not answer as it should; the message names it."""

    reason = "ROUTE_FAILED"

    def __init__(self, route: str, problem: str, code: Code) -> None:
        super().__init__(f"route {route}: {problem}")
        self.route, self.code = route, code


class NotSent(RouteFailed):
    """There was no connection to a route, so that nothing was sent: this server can answer instead."""

    def __init__(self, route: str, problem: object) -> None:
        super().__init__(route, f"no connection: {problem}", Code.UNAVAILABLE)


class NotAdmitted(NotSent):
    """A route has asked for another pass than this server's, before it did anything else: the key was just renewed."""

    def __init__(self, route: str) -> None:
        RouteFailed.__init__(self, route, "asked for another key than this server has", Code.UNAVAILABLE)


class Flight:
    """The requests on their way to one route, with the bytes that they and their answers have so far."""

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self.max_count, self.max_bytes = max_count, max_bytes
        self.count = self.bytes = 0

    def has_space(self, size: int) -> bool:
        """Return True if another request may begin; one that is alone may have any size."""
        return self.count < self.max_count and (not self.count or self.bytes + size <= self.max_bytes)


class Passage:
    """The place of one request in a flight, which grows with the answer."""

    def __init__(self, route: str, flight: Flight, size: int, max_answer: int) -> None:
        self._route, self._flight, self._size = route, flight, size
        self._answer, self._max_answer = 0, max_answer
        flight.count += 1
        flight.bytes += size

    def reserve(self, count: int) -> None:
        """Make space for a part of the answer; raise RouteFailed if it is too long, or all answers are."""
        self._answer += count
        self._size += count
        self._flight.bytes += count
        if self._answer > self._max_answer:
            problem = f"answered with more than {self._max_answer} bytes"
            raise RouteFailed(self._route, problem, Code.BAD_NODE)
        if self._flight.bytes > self._flight.max_bytes and self._flight.count > 1:
            problem = "the requests in flight, with their answers, use all memory for it; retry later"
            raise RouteFailed(self._route, problem, Code.UNAVAILABLE)

    def leave(self) -> None:
        """Release the place."""
        self._flight.count -= 1
        self._flight.bytes -= self._size
