"""Where models run, as the model process said it when it loaded them: for the operator, and for metrics."""

from collections.abc import Iterator
from typing import Any

from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import NotReady
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

NAME, LABELS = "fairlead_graph_execution_provider", ("node", "provider")


def read_devices(plane: DataPlane) -> dict[str, Any]:
    """Return the facts (`fairlead_contracts.devices`); raise NotReady while the models load.

    A model that one process of several runs on the CPU counts as one that runs there.
    """
    first, *others = (facts["devices"] for facts, _ in plane.read_facts())
    nodes = zip(first["nodes"], *(each["nodes"] for each in others), strict=True)
    return {**first, "nodes": [next((node for node in same if node.get("problem")), same[0]) for same in nodes]}


class DeviceCollector(Collector):
    """A series for each model, once it is loaded."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    def collect(self) -> Iterator[Metric]:
        """Return the metric."""
        family = GaugeMetricFamily(NAME, "Where a model runs; always 1", labels=LABELS)
        try:
            nodes = read_devices(self._plane)["nodes"]
        except NotReady:
            nodes = ()
        for each in nodes:
            family.add_metric((each["node"], each["provider"]), 1)
        yield family
