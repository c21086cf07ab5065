"""The metrics of monitored models."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge


class MonitorMetrics:
    """What was counted, by node; a model process counts from zero when it is replaced."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = Counter(
            "fairlead_graph_monitor_rows", "Rows of requests that were counted by the bins of the model's reference",
            ["node"], registry=registry,
        )  # fmt: skip
        self._skipped = Counter(
            "fairlead_graph_monitor_skipped_rows", "Rows that were not counted, because too many waited for it",
            ["node"], registry=registry,
        )  # fmt: skip
        self._psi = Gauge(
            "fairlead_graph_monitor_psi", "Population stability index of a tensor's worst column in the window",
            ["node", "side", "tensor"], registry=registry,
        )  # fmt: skip
        self._known: dict[tuple[int, str], tuple[int, int]] = {}

    def observe(self, summary: Mapping[str, Any], process: int = 0) -> None:
        """Record what a model process says."""
        for node, facts in summary.items():
            total = (facts["rows"], facts["skipped"])
            before = self._known.get((process, node), (0, 0))
            if total[0] < before[0]:
                before = (0, 0)
            self._known[process, node] = total
            self._rows.labels(node).inc(max(0, total[0] - before[0]))
            self._skipped.labels(node).inc(max(0, total[1] - before[1]))
            for side, tensor, index in facts["psi"]:
                self._psi.labels(node, side, tensor).set(index)
