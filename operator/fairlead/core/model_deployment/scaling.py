"""The autoscaler and the disruption budget of a ModelDeployment. Both count the pods that its status selects."""

from typing import Any

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.scaling import Autoscaling, DisruptionBudget
from fairlead.core import names
from fairlead.core.children import Object, build_owned, with_hash

IN_FLIGHT = "fairlead_graph_requests_in_flight"


def build_scaling(deployment: ModelDeployment) -> list[Object]:
    """Return the objects that the spec asks for, each annotated with its hash."""
    spec = deployment.spec
    autoscalers = [_build_autoscaler(deployment, spec.autoscaling)] if spec.autoscaling else []
    budgets = [_build_budget(deployment, spec.disruption_budget)] if spec.disruption_budget else []
    return [with_hash(child) for child in (*autoscalers, *budgets)]


def _build_autoscaler(deployment: ModelDeployment, scaling: Autoscaling) -> Object:
    metrics: list[dict[str, Any]] = []
    if (percentage := scaling.target_utilization_percentage) is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if (concurrency := scaling.target_concurrency) is not None:
        target = {"type": "AverageValue", "averageValue": str(concurrency)}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": IN_FLIGHT}, "target": target}})
    spec = {
        "scaleTargetRef": {
            "apiVersion": deployment.api_version, "kind": deployment.kind, "name": deployment.metadata.name,
        },
        "minReplicas": scaling.min_replicas,
        "maxReplicas": scaling.max_replicas,
        "metrics": metrics,
    }  # fmt: skip
    return _build(deployment, "autoscaling/v2", "HorizontalPodAutoscaler") | {"spec": spec}


def _build_budget(deployment: ModelDeployment, budget: DisruptionBudget) -> Object:
    spec: dict[str, Any] = {"selector": {"matchLabels": names.deployment_labels(deployment)}}
    if budget.min_available is not None:
        spec["minAvailable"] = budget.min_available
    if budget.max_unavailable is not None:
        spec["maxUnavailable"] = budget.max_unavailable
    return _build(deployment, "policy/v1", "PodDisruptionBudget") | {"spec": spec}


def _build(deployment: ModelDeployment, api_version: str, kind: str) -> Object:
    return build_owned(deployment, api_version, kind, deployment.metadata.name, names.deployment_labels(deployment))
