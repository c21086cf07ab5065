"""The sum of what several servers report about drift."""

from collections.abc import Iterable

from fairlead.core.model_deployment.drift_facts import DriftSum, MergedDrift, Models
from fairlead_contracts.monitor import MonitorFacts


def merge_facts(servers: Iterable[MonitorFacts], models: Models) -> MergedDrift:
    """Return the sum, as kube/monitoring.py adds it up."""
    total = DriftSum(models)
    for facts in servers:
        total.add(facts)
    return total.merge()
