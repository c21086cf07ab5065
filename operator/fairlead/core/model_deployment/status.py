"""The status of a ModelDeployment, and the events for new faults."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Predictor, PredictorStatus
from fairlead.core import names
from fairlead.core.conditions import Finding, is_true, merge_conditions, transition_time
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.plan import Event
from fairlead.core.views import ChildView


def derive(
    deployment: ModelDeployment,
    observed: ObservedDeployment,
    phase: phases.Phase,
    finding: Finding,
    now: datetime,
    stable: str | None = None,
) -> ModelDeploymentStatus:
    """Return the status of a phase; `finding` explains it. With a stable revision, its pods count."""
    generation = deployment.metadata.generation
    predictors = _derive_predictors(deployment, observed.deployments, stable)
    desired = phases.build_conditions(phase, finding)
    labels = names.revision_labels(deployment, stable) if stable else names.deployment_labels(deployment)
    changes: dict[str, Any] = {
        "observed_generation": generation,
        "conditions": merge_conditions(deployment.status.conditions, desired, generation, now),
        "url": names.serving_url(deployment),
        # autoscalers compute the desired number from the pods that exist, ready or not
        "replicas": sum(predictor.replicas for predictor in predictors),
        "selector": names.selector(labels),
        "predictors": predictors,
    }
    # an outage leaves the known provenance, from which the digests are read
    if observed.artifacts.chain and not any(node.artifact.unavailable for node in observed.artifacts.nodes):
        changes["provenance"] = observed.artifacts.chain
    return deployment.status.model_copy(update=changes)


def count_desired(deployment: ModelDeployment, predictor: Predictor) -> int:
    """Return how many pods a predictor should have."""
    return deployment.spec.replicas if predictor.replicas is None else predictor.replicas


def warn(deployment: ModelDeployment, phase: phases.Phase, finding: Finding) -> tuple[Event, ...]:
    """Return a warning event for a fault, unless the conditions already report it."""
    if "Degraded" not in phase.true:
        return ()
    conditions = deployment.status.conditions
    reported = {condition.reason for condition in conditions if condition.type == "Degraded"}
    if is_true(conditions, "Degraded") and finding.reason in reported:
        return ()
    since = transition_time(conditions, "Degraded")
    return (Event("Warning", finding.reason, finding.message, "Serve", since.isoformat() if since else ""),)


def _derive_predictors(
    deployment: ModelDeployment, views: Iterable[ChildView], stable: str | None
) -> tuple[PredictorStatus, ...]:
    by_name = {view.name: view for view in views}
    result = []
    for predictor in deployment.spec.predictors:
        name = names.revision_name(deployment, stable) if stable else names.predictor_name(deployment, predictor.name)
        view = by_name.get(name)
        result.append(
            PredictorStatus(
                name=predictor.name,
                replicas=view.replicas if view else 0,
                ready=view.ready if view else 0,
                traffic=100 if predictor.traffic is None else predictor.traffic,
            )
        )
    return tuple(result)
