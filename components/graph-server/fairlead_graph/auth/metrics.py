"""The metrics of API keys."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

Reason = Literal["missing", "unknown"]


class AuthMetrics:
    """How many keys there are, and how many requests came without one of them."""

    def __init__(self, registry: CollectorRegistry, count_keys: Callable[[], int]) -> None:
        """Ask for the number of keys whenever the metrics are read."""
        self._keys = Gauge("fairlead_graph_api_keys", "API keys in force", registry=registry)
        self._keys.set_function(count_keys)
        self._rejected = Counter(
            "fairlead_graph_unauthenticated_requests", "Requests that were rejected for want of an API key", ["reason"],
            registry=registry,
        )  # fmt: skip
        for reason in ("missing", "unknown"):  # so that the first one is a rise, too
            self._rejected.labels(reason)

    def observe_rejection(self, reason: Reason) -> None:
        """Record a request without a key, or with one that is not known."""
        self._rejected.labels(reason).inc()
