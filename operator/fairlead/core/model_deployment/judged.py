"""What a status records of the models: those that have passed every gate, and no others.

While the store does not answer, a recorded model counts as read and judged, so that what serves goes on. A model that
a gate has closed to must not get past it by an outage.
"""

from dataclasses import replace

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core.model_deployment.artifacts import with_known_digests
from fairlead.core.model_deployment.faults import find_fault
from fairlead.core.model_deployment.model_cards import check_model_cards
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings


def with_judged_provenance(
    plan: Plan, deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings
) -> Plan:
    """Return the plan with the recorded provenance as it was, unless all gates have let the models pass."""
    before = deployment.status.provenance
    if not isinstance(plan.status, ModelDeploymentStatus) or plan.status.provenance == before:
        return plan
    artifacts = with_known_digests(deployment, observed.artifacts)
    if not find_fault(deployment, artifacts, settings) and not check_model_cards(deployment, artifacts):
        return plan
    return replace(plan, status=plan.status.model_copy(update={"provenance": before}))
