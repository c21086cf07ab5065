"""The planner of ModelDeployments with `engine: Seldon`: apply a SeldonDeployment, and report what becomes of it."""

from datetime import datetime

from pydantic import ValidationError

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.children import Object
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.artifacts import check_artifacts, with_known_digests
from fairlead.core.model_deployment.checks import describe_problem
from fairlead.core.model_deployment.faults import Fault, find_fault
from fairlead.core.model_deployment.observed import Artifacts, ObservedDeployment
from fairlead.core.model_deployment.scaling import build_scaling
from fairlead.core.model_deployment.seldon_build import KIND, build_seldon_children
from fairlead.core.model_deployment.seldon_checks import check_access, check_seldon
from fairlead.core.model_deployment.seldon_status import derive_seldon, explain_seldon
from fairlead.core.model_deployment.status import warn
from fairlead.core.model_deployment.unused import find_unused, is_applied
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings

_PENDING_SECONDS, _POLL_SECONDS, _MISSING_SECONDS = 0.2, 2.0, 5.0
"""How often to look while SeldonDeployments are being listed, pods are not ready, and there is no Seldon Core."""


def plan_seldon(deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime) -> Plan:
    """Plan the next step. What Seldon Core serves goes on while a new spec is invalid, and without our operator."""
    artifacts = with_known_digests(deployment, observed.artifacts)
    if fault := _find_fault(deployment, observed, artifacts, settings):
        return _report(deployment, observed, fault.phase, fault.finding, now, fault.requeue_after)
    if artifacts.pending or observed.seldon.pending:
        return Plan(deployment.status, requeue_after=_PENDING_SECONDS if observed.seldon.pending else None)
    try:
        children = build_seldon_children(deployment, artifacts.digests, settings)
    except ValidationError as error:
        return _report(deployment, observed, phases.INVALID, describe_problem(error), now, None)
    resource = next(child for child in children if child["kind"] == KIND)
    children += build_scaling(deployment)
    if changed := tuple(child for child in children if not is_applied(child, observed)):
        if observed.rejection:
            return _report(deployment, observed, phases.FAULTY, observed.rejection, now, None)
        finding = Finding("Applying", "Creating or updating the SeldonDeployment.")
        status = derive_seldon(deployment, observed, phases.PROGRESSING, finding, now)
        return Plan(status, apply=changed, requeue_after=_POLL_SECONDS)
    return _plan_serving(deployment, observed, children, resource, settings, now)


def _find_fault(
    deployment: ModelDeployment, observed: ObservedDeployment, artifacts: Artifacts, settings: Settings
) -> Fault | None:
    """Find what is wrong with the spec, the models or the cluster, in this order."""
    if finding := check_seldon(deployment):
        return Fault(phases.INVALID, finding)
    if fault := find_fault(deployment, artifacts, settings):
        return fault
    if finding := check_access(observed.seldon):
        return Fault(phases.FAULTY, finding, _MISSING_SECONDS)
    return None


def _plan_serving(
    deployment: ModelDeployment, observed: ObservedDeployment, children: list[Object], resource: Object,
    settings: Settings, now: datetime,
) -> Plan:  # fmt: skip
    """Report what Seldon Core makes of the applied children; when it serves them, delete those of an earlier spec."""
    view = observed.seldon.find(deployment.metadata.name)
    assert view is not None, "a child that is applied is seen"
    phase, finding = explain_seldon(deployment, observed, view, resource)
    if phase is not phases.READY:
        return _report(deployment, observed, phase, finding, now, _POLL_SECONDS)
    outage = check_artifacts(observed.artifacts)
    if outage:
        finding = Finding(finding.reason, f"{finding.message} Serving what was read before: {outage.message}")
    status = derive_seldon(deployment, observed, phase, finding, now)
    requeue = settings.gate_seconds if outage else None
    return Plan(status, delete=find_unused(children, observed), requeue_after=requeue)


def _report(
    deployment: ModelDeployment, observed: ObservedDeployment, phase: phases.Phase, finding: Finding, now: datetime,
    requeue_after: float | None,
) -> Plan:  # fmt: skip
    events = warn(deployment, phase, finding)
    status = derive_seldon(deployment, observed, phase, finding, now)
    return Plan(status, events=events, requeue_after=requeue_after)
