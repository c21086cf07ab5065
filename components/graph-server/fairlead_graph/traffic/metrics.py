"""The metrics of routes. A route that is no longer in the document has no series."""

from collections.abc import Iterable
from typing import Literal

from fairlead_contracts.traffic import TrafficDocument
from fairlead_serving.errors import Code
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

Result = Literal["agreed", "different", "failed", "dropped"]


class RouteMetrics:
    """What a server does with its requests, by route."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._generation = Gauge(
            "fairlead_graph_traffic_generation", "Generation of the traffic document in force", registry=registry
        )
        self._percent = Gauge(
            "fairlead_graph_route_percent", "Percentage of requests that a route answers", ["route"], registry=registry
        )
        self._mirror_percent = Gauge(
            "fairlead_graph_route_mirror_percent", "Percentage of own requests of which a route gets a copy", ["route"],
            registry=registry,
        )  # fmt: skip
        self._in_flight = Gauge(
            "fairlead_graph_route_requests_in_flight", "Requests on their way to a route", ["route"], registry=registry
        )
        self._seconds = Histogram(
            "fairlead_graph_route_requests_seconds", "Latency of requests that a route answered", ["route", "code"],
            registry=registry, buckets=_BUCKETS,
        )  # fmt: skip
        self._routes: set[str] = set()
        self._copies = Counter(
            "fairlead_graph_mirrored_requests", "Copies of requests, by what became of them", ["route", "result"],
            registry=registry,
        )  # fmt: skip

    def set_document(self, document: TrafficDocument, removed: Iterable[str]) -> None:
        """Show the document in force, and nothing about routes that it no longer has."""
        self._generation.set(document.generation)
        self._routes = {route.name for route in document.routes}
        for route in document.routes:
            self._percent.labels(route.name).set(route.percent)
            self._mirror_percent.labels(route.name).set(route.mirror_percent)
        for name in removed:
            for metric in (self._percent, self._mirror_percent, self._in_flight, self._seconds, self._copies):
                metric.remove_by_labels({"route": name})

    def observe_in_flight(self, route: str, count: int) -> None:
        """Record how many requests are on their way to a route."""
        if route in self._routes:
            self._in_flight.labels(route).set(count)

    def observe_request(self, route: str, code: Code, seconds: float) -> None:
        """Record a request that a route answered, or failed to answer."""
        if route in self._routes:
            self._seconds.labels(route, code.value).observe(seconds)

    def observe_copy(self, route: str, result: Result) -> None:
        """Record what became of a copy."""
        if route in self._routes:
            self._copies.labels(route, result).inc()
