"""The requests of a running operator, from its metrics."""

import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Requests:
    """The number of requests, except for leases and audits."""

    reads: float
    writes: float


def count_requests(port: int) -> Requests:
    """Read the operator's metric."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        families = text_string_to_metric_families(response.read().decode())
    counts = [
        (sample.labels["method"], sample.value) for family in families for sample in family.samples
        if sample.name == "fairlead_api_requests_total" and sample.labels["resource"] != "leases"
    ]  # fmt: skip
    return Requests(
        reads=sum(value for method, value in counts if method == "GET"),
        writes=sum(value for method, value in counts if method not in ("GET", "LIST")),
    )
