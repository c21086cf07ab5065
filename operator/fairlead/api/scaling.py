"""How many pods of a ModelDeployment there are, decided by others: an autoscaler, and those who drain nodes."""

from typing import ClassVar

from pydantic import Field

from fairlead.api.base import ApiModel, Rule

MAX_REPLICAS = 512


class Autoscaling(ApiModel):
    """A HorizontalPodAutoscaler, which sets spec.replicas; leave that out of what you apply."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "maxReplicas: expected at least minReplicas",
            lambda scaling: scaling.min_replicas <= scaling.max_replicas,
            field=".maxReplicas",
        ),
        Rule(
            "has(self.targetUtilizationPercentage) || has(self.targetConcurrency)",
            "autoscaling: expected targetUtilizationPercentage or targetConcurrency",
            lambda scaling: scaling.target_utilization_percentage is not None or scaling.target_concurrency is not None,
        ),
    )

    min_replicas: int = Field(ge=1, le=MAX_REPLICAS)
    """The least number of pods."""
    max_replicas: int = Field(ge=1, le=MAX_REPLICAS)
    """The largest number of pods."""
    target_utilization_percentage: int | None = Field(None, ge=1, le=1000)
    """The CPU time that pods use on average, as a percentage of what they request."""
    target_concurrency: int | None = Field(None, ge=1, le=100_000)
    """The number of requests in flight in a pod, on average. Needs an adapter that offers the metric
    fairlead_graph_requests_in_flight of pods to autoscalers, such as prometheus-adapter."""


class DisruptionBudget(ApiModel):
    """A PodDisruptionBudget: how many pods may be missing while nodes are drained."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minAvailable) != has(self.maxUnavailable)",
            "disruptionBudget: expected minAvailable or maxUnavailable",
            lambda budget: (budget.min_available is None) != (budget.max_unavailable is None),
        ),
    )

    min_available: int | None = Field(None, ge=0, le=MAX_REPLICAS)
    """The number of pods that stay."""
    max_unavailable: int | None = Field(None, ge=0, le=MAX_REPLICAS)
    """The number of pods that may be missing."""
