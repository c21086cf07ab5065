"""The planner of ModelDeployments."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Predictor, PredictorStatus
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding, is_true, merge_conditions, transition_time
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.artifacts import check_allowed_uris, check_artifacts, with_known_digests
from fairlead.core.model_deployment.build import build_children
from fairlead.core.model_deployment.checks import check_answer, check_graphs, check_pods
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.plan import Deletion, Event, Plan
from fairlead.core.settings import Settings
from fairlead.core.tenants import check_service_accounts
from fairlead.core.views import ChildView

_POLL_SECONDS = 2.0
"""How often to check a deployment that is not ready."""


def plan_model_deployment(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime
) -> Plan:
    """Plan the next step of a ModelDeployment. The current pods keep serving while a new spec is invalid."""
    if finding := check_graphs(deployment) or _check_allowed(deployment, settings):
        return _report(deployment, observed, phases.INVALID, finding, now, None)
    if observed.artifacts.pending:
        return Plan(deployment.status)
    artifacts = with_known_digests(deployment, observed.artifacts)
    if finding := check_artifacts(artifacts):
        phase = phases.PROGRESSING if finding.reason == "StoreUnavailable" else phases.FAULTY
        return _report(deployment, observed, phase, finding, now, settings.gate_seconds)
    try:
        children = build_children(deployment, artifacts.digests, settings)
    except ValidationError as error:
        problem = error.errors()[0]
        finding = Finding("InvalidGraph", f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}.")
        return _report(deployment, observed, phases.INVALID, finding, now, None)
    if changed := tuple(child for child in children if not _is_applied(child, observed)):
        if observed.rejection:
            return _report(deployment, observed, phases.FAULTY, observed.rejection, now, None)
        finding = Finding("Applying", "Creating or updating the deployment's pods.")
        status = _derive(deployment, observed, phases.PROGRESSING, finding, now)
        return Plan(status, apply=changed, requeue_after=_POLL_SECONDS)
    return _plan_serving(deployment, observed, children, settings, now)


def _plan_serving(
    deployment: ModelDeployment, observed: ObservedDeployment, children: list[Object], settings: Settings, now: datetime
) -> Plan:
    """Report whether a deployment whose children are applied serves; then delete children of an earlier spec."""
    if finding := _check_replicas(deployment, observed):
        failing = check_pods(observed.pods)
        phase = phases.FAULTY if failing else phases.PROGRESSING
        return _report(deployment, observed, phase, failing or finding, now, _POLL_SECONDS)
    serving = Finding("Answering", "The Service is ready.")
    if not any(_desired(deployment, predictor) for predictor in deployment.spec.predictors):
        serving = Finding("ScaledToZero", "spec.replicas is 0: no pod answers requests.")
    elif observed.answer and observed.answer.pending:
        return Plan(deployment.status)
    elif finding := check_answer(observed.answer):
        return _report(deployment, observed, phases.PROGRESSING, finding, now, _POLL_SECONDS)
    outage = check_artifacts(observed.artifacts)
    if outage:
        serving = Finding(serving.reason, f"{serving.message} Serving what was read before: {outage.message}")
    status = _derive(deployment, observed, phases.READY, serving, now)
    requeue = settings.gate_seconds if outage else None
    return Plan(status, delete=_unused(children, observed), requeue_after=requeue)


def _check_allowed(deployment: ModelDeployment, settings: Settings) -> Finding | None:
    """Find a service account or model that the administrator does not allow the deployment's namespace."""
    pods = (
        (f"spec.predictors[{index}].componentSpecs[{number}].spec", component.spec)
        for index, predictor in enumerate(deployment.spec.predictors)
        for number, component in enumerate(predictor.component_specs)
    )
    namespace = deployment.metadata.namespace
    return check_service_accounts(settings, namespace, pods) or check_allowed_uris(deployment, settings)


def _report(
    deployment: ModelDeployment,
    observed: ObservedDeployment,
    phase: phases.Phase,
    finding: Finding,
    now: datetime,
    requeue_after: float | None,
) -> Plan:
    """Report why a deployment is not ready, with an event for a new fault."""
    events = _warn(deployment, finding) if "Degraded" in phase.true else ()
    return Plan(_derive(deployment, observed, phase, finding, now), events=events, requeue_after=requeue_after)


def _desired(deployment: ModelDeployment, predictor: Predictor) -> int:
    return deployment.spec.replicas if predictor.replicas is None else predictor.replicas


def _is_applied(child: Object, observed: ObservedDeployment) -> bool:
    views = {
        "Deployment": observed.deployments, "Service": observed.services, "ConfigMap": observed.config_maps,
    }[child["kind"]]  # fmt: skip
    meta = child["metadata"]
    digest = meta["annotations"][names.APPLIED_HASH]
    return any(view.name == meta["name"] and view.applied_hash == digest and not view.changed for view in views)


def _check_replicas(deployment: ModelDeployment, observed: ObservedDeployment) -> Finding | None:
    views = {view.name: view for view in observed.deployments}
    for predictor in deployment.spec.predictors:
        view = views[names.predictor_name(deployment, predictor)]
        desired = _desired(deployment, predictor)
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
    deployment: ModelDeployment, observed: ObservedDeployment, phase: phases.Phase, finding: Finding, now: datetime
) -> ModelDeploymentStatus:
    generation = deployment.metadata.generation
    predictors = _derive_predictors(deployment, observed.deployments)
    desired = phases.build_conditions(phase, finding)
    changes: dict[str, Any] = {
        "observed_generation": generation,
        "conditions": merge_conditions(deployment.status.conditions, desired, generation, now),
        "url": names.serving_url(deployment),
        # autoscalers compute the desired number from the pods that exist, ready or not
        "replicas": sum(predictor.replicas for predictor in predictors),
        "selector": names.selector(names.deployment_labels(deployment)),
        "predictors": predictors,
    }
    # an outage leaves the known provenance, from which the digests are read
    if observed.artifacts.chain and not any(node.artifact.unavailable for node in observed.artifacts.nodes):
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
                traffic=100 if predictor.traffic is None else predictor.traffic,
            )
        )
    return tuple(result)


def _warn(deployment: ModelDeployment, finding: Finding) -> tuple[Event, ...]:
    """Return a warning event, unless the conditions already report the fault."""
    conditions = deployment.status.conditions
    reported = {condition.reason for condition in conditions if condition.type == "Degraded"}
    if is_true(conditions, "Degraded") and finding.reason in reported:
        return ()
    since = transition_time(conditions, "Degraded")
    return (Event("Warning", finding.reason, finding.message, "Serve", since.isoformat() if since else ""),)
