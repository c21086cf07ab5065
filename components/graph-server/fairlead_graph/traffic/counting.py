"""Counts of requests in the window of a document, as numbers that change; their contract is a value."""

import math
from bisect import bisect_left
from dataclasses import dataclass, field

from fairlead_contracts.traffic import BOUNDS, Agreement, Counts, RouteFacts
from fairlead_serving.errors import Code

_OK = Code.OK
CLIENTS_FAULT = frozenset((Code.INVALID, Code.NOT_FOUND))
"""What says nothing about the server that says so, unless another one says otherwise."""


class Counting:
    """Requests, errors and latencies."""

    __slots__ = ("_errors", "_latency")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin with zero."""
        self._errors = 0
        self._latency = [0] * (len(BOUNDS) + 1)

    def observe(self, code: Code, seconds: float) -> None:
        """Count a request that has ended, unless it was wrong."""
        if code is not _OK:
            if code in CLIENTS_FAULT:
                return
            self._errors += 1
        self._latency[bisect_left(BOUNDS, seconds)] += 1

    def to_contract(self) -> Counts:
        """Return the counts so far."""
        return Counts(requests=sum(self._latency), errors=self._errors, latency=tuple(self._latency))


@dataclass
class Comparisons:
    """How answers compare."""

    compared: int = 0
    agreed: int = 0
    dropped: int = 0
    max_distance: float = 0.0

    def observe(self, agreed: bool, distance: float = 0.0) -> None:
        """Count a comparison; the distance between a number and not-a-number, or infinity, is none."""
        self.compared += 1
        self.agreed += agreed
        if math.isfinite(distance):
            self.max_distance = max(self.max_distance, distance)

    def to_contract(self) -> Agreement:
        """Return the comparisons so far."""
        return Agreement(
            compared=self.compared, agreed=self.agreed, dropped=self.dropped, max_distance=self.max_distance
        )


@dataclass
class RouteCounting:
    """What is counted of a route."""

    live: Counting = field(default_factory=Counting)
    copies: Counting = field(default_factory=Counting)
    comparisons: Comparisons = field(default_factory=Comparisons)

    def reset(self) -> None:
        """Begin with zero. What is on its way counts when it ends: else hanging beyond a window is no error."""
        self.live.reset()
        self.copies.reset()
        self.comparisons = Comparisons()

    def to_contract(self, name: str) -> RouteFacts:
        """Return the facts of the route of this name."""
        return RouteFacts(
            name=name,
            counts=self.live.to_contract(),
            mirrored=self.copies.to_contract(),
            agreement=self.comparisons.to_contract(),
        )
