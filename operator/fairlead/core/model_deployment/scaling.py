"""The autoscaler and the disruption budgets of a ModelDeployment.

The autoscaler counts the pods that the status selects. A budget does so, too, or with several predictors counts those
of one predictor: pods of another one could not answer for them.
"""

from collections.abc import Iterator
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
    budgets = list(_build_budgets(deployment, spec.disruption_budget)) if spec.disruption_budget else []
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
    labels = names.deployment_labels(deployment)
    head = build_owned(deployment, "autoscaling/v2", "HorizontalPodAutoscaler", deployment.metadata.name, labels)
    return head | {"spec": spec}


def _build_budgets(deployment: ModelDeployment, budget: DisruptionBudget) -> Iterator[Object]:
    if len(deployment.spec.predictors) == 1:
        yield _build_budget(deployment, budget, deployment.metadata.name, names.deployment_labels(deployment))
        return
    for predictor in deployment.spec.predictors:
        labels = names.predictor_labels(deployment, predictor.name)
        yield _build_budget(deployment, budget, names.predictor_service_name(deployment, predictor.name), labels)


def _build_budget(deployment: ModelDeployment, budget: DisruptionBudget, name: str, labels: dict[str, str]) -> Object:
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}}
    if budget.min_available is not None:
        spec["minAvailable"] = budget.min_available
    if budget.max_unavailable is not None:
        spec["maxUnavailable"] = budget.max_unavailable
    return build_owned(deployment, "policy/v1", "PodDisruptionBudget", name, labels) | {"spec": spec}
