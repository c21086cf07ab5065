"""Which revision answers a request, and which get a copy: arithmetic on the percentages of a document."""

import math
from collections.abc import Sequence
from hashlib import blake2b

from fairlead_contracts.traffic import Route

_STEP = (math.sqrt(5) - 1) / 2
_PLACES = 1 << 52


class Rotation:
    """Numbers from 0 to 1 that fill the interval evenly, so that percentages hold for few requests, too.

    These are the multiples of the golden ratio modulo 1: of n numbers in a row, those below p are n·p, up to an error
    that grows with the logarithm of n (Kuipers and Niederreiter, Uniform Distribution of Sequences, chapter 2.3). The
    same holds for every second number, every third and so on: clients that alternate between two kinds of requests
    get the percentages for each kind.
    """

    def __init__(self, start: float) -> None:
        self._place = start

    def take(self) -> float:
        """Return the next number."""
        self._place = (self._place + _STEP) % 1.0
        return self._place


class Table:
    """The percentages of routes. None stands for the server itself, which has what the routes leave."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._edges: list[tuple[float, Route]] = []
        edge = 0.0
        for route in routes:
            if route.percent:
                edge += route.percent / 100
                self._edges.append((edge, route))
        own = max(100 - sum(route.percent for route in routes), 0)
        shares = [(b"", own, None), *((route.name.encode(), route.percent, route) for route in routes)]
        self._shares = [(name, share, route) for name, share, route in shares if share]
        self.mirrors = tuple(route for route in routes if route.mirror_percent)
        """The routes that get copies."""

    def choose(self, place: float) -> Route | None:
        """Return the route at a place from 0 to 1."""
        for edge, route in self._edges:
            if place < edge:
                return route
        return None

    def choose_for(self, client: bytes) -> Route | None:
        """Return the route of a client, which is the same as long as the percentages are.

        When a percentage rises, clients only move to its route; when one falls, they only leave it. This is rendezvous
        hashing with weights: each route draws a number for the client from 0 to 1 and gets -weight / log(number); the
        highest one wins (Schindelhauer and Schomaker, Weighted Distributed Hash Tables, 2005: the logarithmic method).
        """
        if not self._edges:
            return None
        return max(self._shares, key=lambda item: item[1] / -math.log(_draw(client, item[0])))[2]


def _draw(client: bytes, name: bytes) -> float:
    """Return a number between 0 and 1, and neither of them."""
    digest = blake2b(client, digest_size=8, key=name).digest()
    return (int.from_bytes(digest) % _PLACES + 0.5) / _PLACES
