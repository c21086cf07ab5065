"""The planner of ModelDeployments."""

from datetime import datetime

from pydantic import ValidationError

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.accelerated import with_devices
from fairlead.core.model_deployment.artifacts import check_artifacts, with_known_digests
from fairlead.core.model_deployment.build import build_children
from fairlead.core.model_deployment.checks import check_answer, check_pods, describe_problem
from fairlead.core.model_deployment.drift_plan import with_drift
from fairlead.core.model_deployment.exposure_plan import with_exposure
from fairlead.core.model_deployment.faults import find_fault
from fairlead.core.model_deployment.judged import with_judged_provenance
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.predictor_plan import plan_predictors
from fairlead.core.model_deployment.retrain_plan import with_retraining
from fairlead.core.model_deployment.retrained import with_retrained_model
from fairlead.core.model_deployment.revision_plan import plan_revisions
from fairlead.core.model_deployment.scaling import build_scaling
from fairlead.core.model_deployment.seldon_plan import plan_seldon
from fairlead.core.model_deployment.status import count_desired, derive, warn
from fairlead.core.model_deployment.unused import find_unused, is_applied
from fairlead.core.plan import Deletion, Plan
from fairlead.core.settings import Settings

_POLL_SECONDS = 2.0
"""How often to check a deployment that is not ready."""


def plan_model_deployment(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime, key: str
) -> Plan:
    """Plan the next step of a ModelDeployment. The current pods keep serving while a new spec is invalid.

    `key` is a new random key, as hexadecimal digits, for a deployment that splits requests and has none yet.
    """
    if deployment.spec.engine == "Seldon":
        return with_judged_provenance(plan_seldon(deployment, observed, settings, now), deployment, observed, settings)
    served = with_retrained_model(deployment)
    plan = with_judged_provenance(_plan(served, observed, settings, now, key), served, observed, settings)
    plan = with_drift(plan, served, observed.drift, now)
    plan = with_exposure(plan, deployment, observed, settings, now)
    plan = with_devices(plan, deployment, observed.devices, now)
    return with_retraining(plan, deployment, observed, settings, now)


def _plan(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime, key: str
) -> Plan:
    several = len(deployment.spec.predictors) > 1
    if deployment.status.traffic or (several and not deployment.status.stable_revision):
        return plan_predictors(deployment, observed, settings, now, key)
    if deployment.spec.rollout or deployment.status.stable_revision:
        return plan_revisions(deployment, observed, settings, now, key)
    artifacts = with_known_digests(deployment, observed.artifacts)
    if fault := find_fault(deployment, artifacts, settings):
        return _report(deployment, observed, fault.phase, fault.finding, now, fault.requeue_after)
    if artifacts.pending:
        return Plan(deployment.status)
    try:
        children = [*build_children(deployment, artifacts.digests, settings), *build_scaling(deployment)]
    except ValidationError as error:
        return _report(deployment, observed, phases.INVALID, describe_problem(error), now, None)
    if changed := tuple(child for child in children if not is_applied(child, observed)):
        if observed.rejection:
            return _report(deployment, observed, phases.FAULTY, observed.rejection, now, None)
        finding = Finding("Applying", "Creating or updating the deployment's pods.")
        status = derive(deployment, observed, phases.PROGRESSING, finding, now)
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
    if not any(count_desired(deployment, predictor) for predictor in deployment.spec.predictors):
        serving = Finding("ScaledToZero", "spec.replicas is 0: no pod answers requests.")
    elif observed.answer and observed.answer.pending:
        return Plan(deployment.status)
    elif finding := check_answer(observed.answer):
        return _report(deployment, observed, phases.PROGRESSING, finding, now, _POLL_SECONDS)
    outage = check_artifacts(observed.artifacts)
    if outage:
        serving = Finding(serving.reason, f"{serving.message} Serving what was read before: {outage.message}")
    status = derive(deployment, observed, phases.READY, serving, now)
    requeue = settings.gate_seconds if outage else None
    records = tuple(Deletion("ControllerRevision", view.name, view.uid) for view in observed.revisions)
    return Plan(status, delete=(*find_unused(children, observed), *records), requeue_after=requeue)


def _report(
    deployment: ModelDeployment,
    observed: ObservedDeployment,
    phase: phases.Phase,
    finding: Finding,
    now: datetime,
    requeue_after: float | None,
) -> Plan:
    """Report why a deployment is not ready, with an event for a new fault."""
    events = warn(deployment, phase, finding)
    return Plan(derive(deployment, observed, phase, finding, now), events=events, requeue_after=requeue_after)


def _check_replicas(deployment: ModelDeployment, observed: ObservedDeployment) -> Finding | None:
    views = {view.name: view for view in observed.deployments}
    for predictor in deployment.spec.predictors:
        view = views[names.predictor_name(deployment, predictor.name)]
        desired = count_desired(deployment, predictor)
        if not view.settled or view.ready < desired:
            return Finding("PodsNotReady", f"Predictor {predictor.name}: {view.ready} of {desired} pods are ready.")
    return None
