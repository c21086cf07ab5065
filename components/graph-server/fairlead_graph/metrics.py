"""Metrics with the names and labels of Seldon Core v1's executor, compatible with its dashboards and alerts."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

from fairlead_contracts.graph import GraphDocument
from fairlead_serving.errors import Code
from fairlead_serving.messages import HTTP_STATUS
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import HistogramMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from .protocols.names import FEEDBACK, SELDON, SELDON_GRPC, TENSORFLOW

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_BOUNDS = (*(str(float(bound)) for bound in _BUCKETS), "+Inf")
_SERVER = ("deployment_name", "predictor_name", "predictor_version", "service", "method", "code")
_CLIENT = (*_SERVER, "model_name", "model_image", "model_version")


_SERVICES = {
    **dict.fromkeys((SELDON, SELDON_GRPC, TENSORFLOW), "predictions"),
    **dict.fromkeys(FEEDBACK, "feedback"),
}


class _Series:
    """The latencies with the same labels."""

    __slots__ = ("counts", "labels", "seconds")

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.counts = [0] * len(_BOUNDS)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.seconds += seconds


class _Latencies(Collector):
    """A histogram and a summary of the same latencies, as Seldon's executor has them.

    prometheus_client's own take a lock and a walk over all buckets for each of both, which is a tenth of what a request
    costs. These are counted in one thread, and become metrics when they are read.
    """

    def __init__(
        self, name: str, text: str, labels: tuple[str, ...], label: Callable[..., tuple[str, ...]],
        registry: CollectorRegistry,
    ) -> None:  # fmt: skip
        """Keep latencies by keys; `label` gets the parts of a key, and returns the values of the labels."""
        self._name, self._text, self._labels, self._label = name, text, labels, label
        self._series: dict[tuple[str, ...], _Series] = {}
        registry.register(self)

    def observe(self, key: tuple[str, ...], seconds: float) -> None:
        """Record a latency."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(self._label(*key))
        series.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        histogram = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        summary = SummaryMetricFamily(f"{self._name}_summary", self._text, labels=self._labels)
        for series in self._series.values():
            total, buckets = 0, []
            for bound, count in zip(_BOUNDS, series.counts, strict=True):
                total += count
                buckets.append((bound, total))
            histogram.add_metric(series.labels, buckets, series.seconds)
            summary.add_metric(series.labels, total, series.seconds)
        yield histogram
        yield summary


class Metrics:
    """Latencies of requests (server) and of calls to nodes (client)."""

    def __init__(self, spec: GraphDocument) -> None:
        self.registry = CollectorRegistry()
        """What is rendered."""
        ProcessCollector(registry=self.registry)
        self._names = (spec.deployment, spec.predictor, "")
        name, text = "seldon_api_executor_server_requests_seconds", "Latency of requests to the graph server"
        self._server = _Latencies(name, text, _SERVER, self._label_request, self.registry)
        name, text = "seldon_api_executor_client_requests_seconds", "Latency of the graph server's calls to nodes"
        self._client = _Latencies(name, text, _CLIENT, self._label_call, self.registry)
        self._in_flight = Gauge("fairlead_graph_requests_in_flight", "Requests in flight", registry=self.registry)
        self._restarts = Counter(
            "fairlead_graph_model_process_restarts", "Replacements of a model process that died, by cause", ["cause"],
            registry=self.registry,
        )  # fmt: skip

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Ask for the number of requests in flight whenever the metrics are read."""
        self._in_flight.set_function(count)

    def observe_request(self, protocol: str, code: Code, seconds: float) -> None:
        """Record a request to this server."""
        self._server.observe((_SERVICES.get(protocol, "infer"), code), seconds)

    def observe_reply(self, facts: dict[str, Any], head: dict[str, Any]) -> None:
        """Record the calls to nodes that the model process reports."""
        for node, method, code, seconds in head["calls"]:
            image, version = facts["images"][node]
            self._client.observe((node, method, code, image, version), seconds)

    def observe_restart(self, cause: str) -> None:
        """Record that the model process was replaced."""
        self._restarts.labels(cause).inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _label_request(self, service: str, code: str) -> tuple[str, ...]:
        return (*self._names, service, "post", str(HTTP_STATUS[Code(code)]))

    def _label_call(self, node: str, method: str, code: str, image: str, version: str) -> tuple[str, ...]:
        return (*self._names, f"/{method}", "post", str(HTTP_STATUS[Code(code)]), node, image, version)
