"""Metrics with the names and labels of Seldon Core v1's executor, compatible with its dashboards and alerts."""

from typing import Any

from fairlead_contracts.graph import GraphDocument
from fairlead_serving.errors import Code
from fairlead_serving.messages import HTTP_STATUS
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, Summary, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_SERVER = ("deployment_name", "predictor_name", "predictor_version", "service", "method", "code")
_CLIENT = (*_SERVER, "model_name", "model_image", "model_version")


_SERVICES = {"seldon": "predictions", "seldon-feedback": "feedback", "tensorflow": "predictions"}


class Metrics:
    """Latencies of requests (server) and of calls to nodes (client)."""

    def __init__(self, spec: GraphDocument) -> None:
        self.registry = CollectorRegistry()
        """What is rendered."""
        ProcessCollector(registry=self.registry)
        self._names = (spec.deployment, spec.predictor, "")
        name, text = "seldon_api_executor_server_requests_seconds", "Latency of requests to the graph server"
        self._server = Histogram(name, text, _SERVER, registry=self.registry, buckets=_BUCKETS)
        self._server_summary = Summary(f"{name}_summary", text, _SERVER, registry=self.registry)
        name, text = "seldon_api_executor_client_requests_seconds", "Latency of the graph server's calls to nodes"
        self._client = Histogram(name, text, _CLIENT, registry=self.registry, buckets=_BUCKETS)
        self._client_summary = Summary(f"{name}_summary", text, _CLIENT, registry=self.registry)
        self._in_flight = Gauge("fairlead_graph_requests_in_flight", "Requests in flight", registry=self.registry)
        self._restarts = Counter(
            "fairlead_graph_model_process_restarts", "Replacements of a model process that died, by cause", ["cause"],
            registry=self.registry,
        )  # fmt: skip
        self._cache: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def observe_request(self, protocol: str, code: Code, seconds: float) -> None:
        """Record a request to this server."""
        service = _SERVICES.get(protocol, "infer")
        labels = (*self._names, service, "post", str(HTTP_STATUS[code]))
        self._observe(self._server, self._server_summary, labels, seconds)

    def observe_in_flight(self, count: int) -> None:
        """Record how many requests are in flight."""
        self._in_flight.set(count)

    def observe_reply(self, facts: dict[str, Any], head: dict[str, Any]) -> None:
        """Record the calls to nodes that the model process reports."""
        for node, method, code, seconds in head["calls"]:
            image, version = facts["images"][node]
            labels = (*self._names, f"/{method}", "post", str(HTTP_STATUS[code]), node, image, version)
            self._observe(self._client, self._client_summary, labels, seconds)

    def observe_restart(self, cause: str) -> None:
        """Record that the model process was replaced."""
        self._restarts.labels(cause).inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _observe(self, histogram: Histogram, summary: Summary, labels: tuple[str, ...], seconds: float) -> None:
        key = (histogram, labels)
        if key not in self._cache:
            self._cache[key] = (histogram.labels(*labels), summary.labels(*labels))
        for child in self._cache[key]:
            child.observe(seconds)
