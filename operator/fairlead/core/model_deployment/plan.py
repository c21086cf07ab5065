"""The planner of ModelDeployments."""

from datetime import datetime
from typing import Any

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus, PredictorStatus
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import DesiredCondition, Finding, is_true, merge_conditions
from fairlead.core.model_deployment.artifacts import check_artifacts
from fairlead.core.model_deployment.build import build_children
from fairlead.core.model_deployment.checks import check_answer, check_graphs, check_pods
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.plan import Deletion, Event, Plan
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView

_POLL_SECONDS = 2.0
"""How often to check a deployment that is not ready."""


def plan_model_deployment(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime
) -> Plan:
    """Plan the next step of a ModelDeployment. The current pods keep serving while a new spec is invalid."""
    if finding := check_graphs(deployment):
        return _degrade(deployment, observed, finding, now, None)
    if finding := check_artifacts(observed.artifacts):
        return _degrade(deployment, observed, finding, now, settings.gate_seconds)
    children = build_children(deployment, observed.artifacts.digests, settings)
    if changed := tuple(child for child in children if not _is_applied(child, observed)):
        finding = Finding("Applying", "Creating or updating the deployment's pods.")
        return Plan(_derive(deployment, observed, finding, now), apply=changed, requeue_after=_POLL_SECONDS)
    if finding := _check_replicas(deployment, observed):
        failing = check_pods(observed.pods)
        status = _derive(deployment, observed, failing or finding, now, degraded=failing)
        return Plan(status, events=_warn(deployment, failing), requeue_after=_POLL_SECONDS)
    if finding := check_answer(observed.answer):
        return Plan(_derive(deployment, observed, finding, now), requeue_after=_POLL_SECONDS)
    return Plan(_derive(deployment, observed, None, now), delete=_unused(children, observed))


def _degrade(
    deployment: ModelDeployment,
    observed: ObservedDeployment,
    finding: Finding,
    now: datetime,
    requeue_after: float | None,
) -> Plan:
    status = _derive(deployment, observed, finding, now, degraded=finding)
    return Plan(status, events=_warn(deployment, finding), requeue_after=requeue_after)


def _is_applied(child: Object, observed: ObservedDeployment) -> bool:
    views = {
        "Deployment": observed.deployments, "Service": observed.services, "ConfigMap": observed.config_maps,
    }[child["kind"]]  # fmt: skip
    meta = child["metadata"]
    digest = meta["annotations"][names.APPLIED_HASH]
    return any(view.name == meta["name"] and view.applied_hash == digest for view in views)


def _check_replicas(deployment: ModelDeployment, observed: ObservedDeployment) -> Finding | None:
    views = {view.name: view for view in observed.deployments}
    for predictor in deployment.spec.predictors:
        view = views[names.predictor_name(deployment, predictor)]
        desired = deployment.spec.replicas if predictor.replicas is None else predictor.replicas
        if not view.settled or view.ready < desired:
            return Finding("PodsNotReady", f"Predictor {predictor.name}: {view.ready} of {desired} pods are ready.")
    return None


def _unused(children: list[Object], observed: ObservedDeployment) -> tuple[Deletion, ...]:
    """Return the children of an earlier spec that are no longer needed."""
    kept = {(child["kind"], child["metadata"]["name"]) for child in children}
    existing = (("Deployment", observed.deployments), ("ConfigMap", observed.config_maps))
    return tuple(
        Deletion(kind, view.name, view.uid)
        for kind, views in existing
        for view in views
        if (kind, view.name) not in kept
    )


def _derive(
    deployment: ModelDeployment, observed: ObservedDeployment, finding: Finding | None, now: datetime,
    degraded: Finding | None = None,
) -> ModelDeploymentStatus:  # fmt: skip
    """Derive the status; `finding` is why it is not ready, `degraded` a fault that waiting does not fix."""
    ready = DesiredCondition("Ready", True, "Answering", "The Service is ready.")
    progressing = DesiredCondition("Progressing", False, "Done", "The rollout is complete.")
    if finding:
        ready = DesiredCondition("Ready", False, finding.reason, finding.message)
        progressing = DesiredCondition("Progressing", degraded is None, finding.reason, finding.message)
    fault = degraded or Finding("AsExpected", "Nothing is wrong.")
    desired = [ready, progressing, DesiredCondition("Degraded", degraded is not None, fault.reason, fault.message)]
    generation = deployment.metadata.generation
    predictors = _derive_predictors(deployment, observed.deployments)
    changes: dict[str, Any] = {
        "observed_generation": generation,
        "conditions": merge_conditions(deployment.status.conditions, desired, generation, now),
        "url": names.serving_url(deployment),
        "replicas": sum(predictor.ready for predictor in predictors),
        "selector": names.selector(names.deployment_labels(deployment)),
        "predictors": predictors,
    }
    if observed.artifacts.chain:
        changes["provenance"] = observed.artifacts.chain
    return deployment.status.model_copy(update=changes)


def _derive_predictors(deployment: ModelDeployment, views: tuple[ChildView, ...]) -> tuple[PredictorStatus, ...]:
    by_name = {view.name: view for view in views}
    result = []
    for predictor in deployment.spec.predictors:
        view = by_name.get(names.predictor_name(deployment, predictor))
        result.append(
            PredictorStatus(
                name=predictor.name,
                replicas=view.replicas if view else 0,
                ready=view.ready if view else 0,
                traffic=predictor.traffic,
            )
        )
    return tuple(result)


def _warn(deployment: ModelDeployment, finding: Finding | None) -> tuple[Event, ...]:
    """Return a warning event, unless the conditions already report the fault."""
    conditions = deployment.status.conditions
    reported = {condition.reason for condition in conditions if condition.type == "Degraded"}
    if finding is None or (is_true(conditions, "Degraded") and finding.reason in reported):
        return ()
    return (Event("Warning", finding.reason, finding.message, "Serve"),)
