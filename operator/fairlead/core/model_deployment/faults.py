"""Faults of a ModelDeployment's spec and models, for which nothing new is served."""

from dataclasses import dataclass

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.artifacts import check_allowed_uris, check_artifacts
from fairlead.core.model_deployment.checks import check_graphs
from fairlead.core.model_deployment.model_cards import check_model_cards
from fairlead.core.model_deployment.observed import Artifacts
from fairlead.core.model_deployment.provenance import check_provenance, check_signatures
from fairlead.core.settings import Settings
from fairlead.core.tenants import check_service_accounts


@dataclass(frozen=True)
class Fault:
    """Why nothing new is served."""

    phase: phases.Phase
    finding: Finding
    requeue_after: float | None = None
    """When to look again; None if only a new spec helps."""


def find_fault(deployment: ModelDeployment, artifacts: Artifacts, settings: Settings) -> Fault | None:
    """Find what is wrong with the spec, or else with the models; nothing is while these are still being read."""
    if finding := check_graphs(deployment) or check_allowed(deployment, settings):
        return Fault(phases.INVALID, finding)
    finding = check_artifacts(artifacts) or check_signatures(artifacts) or check_provenance(deployment, artifacts)
    # a candidate may take its steps without a card, and waits for it before it is promoted
    if deployment.spec.rollout is None or deployment.status.stable_revision is None:
        finding = finding or check_model_cards(deployment, artifacts)
    if finding:
        phase = phases.PROGRESSING if finding.reason == "StoreUnavailable" else phases.FAULTY
        return Fault(phase, finding, settings.gate_seconds)
    return None


def check_allowed(deployment: ModelDeployment, settings: Settings) -> Finding | None:
    """Find a service account or model that the administrator does not allow the deployment's namespace."""
    predictors = [(f"spec.predictors[{index}]", each) for index, each in enumerate(deployment.spec.predictors)]
    components = (
        (f"{path}.componentSpecs[{number}].spec", component.spec)
        for path, predictor in predictors
        for number, component in enumerate(predictor.component_specs)
    )
    servers = ((f"{path}.server.template.spec", predictor.server_spec) for path, predictor in predictors)
    namespace = deployment.metadata.namespace
    return check_service_accounts(settings, namespace, [*components, *servers]) or check_allowed_uris(
        deployment, settings
    )
