"""Each metric of the graph server is documented."""

import re
from pathlib import Path

from fairlead_contracts.graph import GraphDocument
from fairlead_graph.auth.metrics import AuthMetrics
from fairlead_graph.devices import LABELS, NAME, DeviceCollector
from fairlead_graph.metrics import Metrics
from fairlead_graph.monitor.metrics import MonitorMetrics
from fairlead_graph.traffic.metrics import RouteMetrics
from fairlead_serving.data_plane import DataPlane

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
GRAPH = b'{"deployment": "d", "predictor": "p", "namespace": "n", "graph": %b}'
LEAF = b'{"name": "m", "type": "MODEL", "implementation": "SIMPLE_MODEL"}'


def test_every_metric_has_a_row_in_the_documentation() -> None:
    metrics = Metrics(GraphDocument.parse_json(GRAPH % LEAF, "graph.json"))
    routes = RouteMetrics(metrics.registry)
    monitors = MonitorMetrics(metrics.registry)
    auth = AuthMetrics(metrics.registry, lambda: 1)
    metrics.registry.register(DeviceCollector(DataPlane("d", "1", 1)))
    found = [value for part in (metrics, routes, monitors, auth) for value in vars(part).values()]
    labels = {metric._name: metric._labelnames for metric in found
              if hasattr(metric, "_labelnames")} | {NAME: LABELS}  # fmt: skip
    known = {}
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("fairlead_"):
            known[name] = (family.type, labels[family.name])
    _, _, section = PAGE.read_text().partition("\n## Graph servers\n")
    rows = re.findall(r"^\| `(fairlead_\w+)` \| (\w+) \| ([^|]*) \| [^|]+ \|$", section, re.MULTILINE)
    documented = {name: (type_, tuple(re.findall(r"`(\w+)`", names))) for name, type_, names in rows}
    assert documented == known
    assert all(f"`{name}`" in section for name in labels if name.startswith("seldon") and "summary" not in name)
