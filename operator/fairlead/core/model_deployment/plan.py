"""The decisions about a ModelDeployment, in order."""

from datetime import datetime
from typing import Any

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus, PredictorStatus
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding, Wanted, is_true, merge_conditions
from fairlead.core.model_deployment.artifacts import check_artifacts
from fairlead.core.model_deployment.build import build_children
from fairlead.core.model_deployment.checks import check_answer, check_graphs, check_pods
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.plan import Deletion, Event, Plan
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView

_LOOK_AGAIN_SECONDS = 2.0
"""How soon to ask again whether a deployment answers."""


def plan_model_deployment(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime
) -> Plan:
    """Decide what a ModelDeployment needs next. What serves goes on serving while the new spec is at fault."""
    if finding := check_graphs(deployment):
        return _refuse(deployment, observed, finding, now, None)
    if finding := check_artifacts(observed.artifacts):
        return _refuse(deployment, observed, finding, now, settings.gate_seconds)
    wanted = build_children(deployment, observed.artifacts.digests, settings)
    if changed := tuple(child for child in wanted if not _is_applied(child, observed)):
        finding = Finding("Applying", "The deployment's pods are being made.")
        return Plan(_derive(deployment, observed, finding, now), apply=changed, requeue_after=_LOOK_AGAIN_SECONDS)
    if finding := _check_replicas(deployment, observed):
        failing = check_pods(observed.pods)
        status = _derive(deployment, observed, failing or finding, now, degraded=failing)
        return Plan(status, events=_warn(deployment, failing), requeue_after=_LOOK_AGAIN_SECONDS)
    if finding := check_answer(observed.answer):
        return Plan(_derive(deployment, observed, finding, now), requeue_after=_LOOK_AGAIN_SECONDS)
    return Plan(_derive(deployment, observed, None, now), delete=_unused(wanted, observed))


def _refuse(
    deployment: ModelDeployment, observed: ObservedDeployment, finding: Finding, now: datetime, again: float | None
) -> Plan:
    status = _derive(deployment, observed, finding, now, degraded=finding)
    return Plan(status, events=_warn(deployment, finding), requeue_after=again)


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


def _unused(wanted: list[Object], observed: ObservedDeployment) -> tuple[Deletion, ...]:
    """Return the children that an earlier spec left: nothing of the current one needs them any more."""
    kept = {(child["kind"], child["metadata"]["name"]) for child in wanted}
    there = (("Deployment", observed.deployments), ("ConfigMap", observed.config_maps))
    return tuple(
        Deletion(kind, view.name, view.uid) for kind, views in there for view in views if (kind, view.name) not in kept
    )


def _derive(
    deployment: ModelDeployment, observed: ObservedDeployment, finding: Finding | None, now: datetime,
    degraded: Finding | None = None,
) -> ModelDeploymentStatus:  # fmt: skip
    """Derive the status; `finding` says why it is not ready, `degraded` what will not mend by waiting."""
    ready = Wanted("Ready", True, "Answering", "The Service answers.")
    progressing = Wanted("Progressing", False, "Done", "The spec is served.")
    if finding:
        ready = Wanted("Ready", False, finding.reason, finding.message)
        progressing = Wanted("Progressing", degraded is None, finding.reason, finding.message)
    fault = degraded or Finding("AsExpected", "Nothing is wrong.")
    wanted = [ready, progressing, Wanted("Degraded", degraded is not None, fault.reason, fault.message)]
    generation = deployment.metadata.generation
    predictors = _derive_predictors(deployment, observed.deployments)
    changes: dict[str, Any] = {
        "observed_generation": generation,
        "conditions": merge_conditions(deployment.status.conditions, wanted, generation, now),
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
    """Return the event for a fault that the conditions do not tell yet."""
    conditions = deployment.status.conditions
    told = {condition.reason for condition in conditions if condition.type == "Degraded"}
    if finding is None or (is_true(conditions, "Degraded") and finding.reason in told):
        return ()
    return (Event("Warning", finding.reason, finding.message, "Serve"),)
