"""The status of a ModelDeployment with `engine: Seldon`, read back from its SeldonDeployment."""

import re
from datetime import datetime

from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Predictor, PredictorStatus
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.checks import check_pods
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.seldon_build import find_content
from fairlead.core.model_deployment.shares import find_entry
from fairlead.core.model_deployment.status import count_desired, derive
from fairlead.core.views import SeldonView

_URL = r"(http://[a-z0-9-]{{1,63}}\.{namespace}\.svc)(?:\.[a-z0-9.-]{{1,253}})?(:[0-9]{{1,5}}(?:/[A-Za-z0-9._/-]{{0,128}})?)"
"""A Service of the deployment's own namespace: anyone who may write the SeldonDeployment's status may name a URL. What
follows `.svc` is left out: it should be the cluster's domain, and could be any other."""


def derive_seldon(
    deployment: ModelDeployment, observed: ObservedDeployment, phase: phases.Phase, finding: Finding, now: datetime
) -> ModelDeploymentStatus:
    """Return the status of a phase, with the pods and the address that the SeldonDeployment reports."""
    view, entry = observed.seldon.find(deployment.metadata.name), find_entry(deployment.spec.predictors)
    labels = names.predictor_labels(deployment, entry.name)
    changes = {
        "url": _read_url(deployment, view),
        "replicas": _count_pods(deployment, view, entry)[0],
        "selector": names.selector(labels),
        "predictors": tuple(_derive_predictor(deployment, view, each) for each in deployment.spec.predictors),
    }
    return derive(deployment, observed, phase, finding, now).model_copy(update=changes)


def explain_seldon(
    deployment: ModelDeployment, observed: ObservedDeployment, view: SeldonView, resource: Object
) -> tuple[phases.Phase, Finding]:
    """Return whether Seldon Core serves the SeldonDeployment, which is applied, and if not, why."""
    if view.state == "Failed":
        reported = view.description or "no reason"
        return phases.FAULTY, Finding("SeldonFailed", f"Seldon Core reports that the deployment failed: {reported}")
    if not any(count_desired(deployment, predictor) for predictor in deployment.spec.predictors):
        return phases.READY, Finding("ScaledToZero", "spec.replicas is 0: no pod answers requests.")
    finding = (
        _check_seen(deployment, observed, view, resource)
        or _check_state(view)
        or _check_replicas(deployment, view)
    )  # fmt: skip
    if finding is None:
        return phases.READY, Finding("SeldonAvailable", "Seldon Core reports the deployment as available.")
    if failing := check_pods(observed.pods):
        return phases.FAULTY, failing
    return phases.PROGRESSING, finding


def _check_seen(
    deployment: ModelDeployment, observed: ObservedDeployment, view: SeldonView, resource: Object
) -> Finding | None:
    """Find that what Seldon Core reports is about an earlier spec.

    Its status need not say which spec it is about. But its Deployments, where they are seen, say what their pods are.
    """
    pods = {child.name: child for child in observed.seldon.deployments}
    for predictor in deployment.spec.predictors:
        child = pods.get(names.seldon_pods_name(deployment, predictor.name))
        outdated = child is not None and child.content != find_content(resource, predictor.name)
        if outdated or 0 < view.observed < view.generation:
            return Finding("SeldonReconciling", "Seldon Core has not acted on the current version yet.")
        if child is not None and not child.settled:
            return Finding("PodsNotReady", f"Predictor {predictor.name}: its pods are being replaced.")
    return None


def _check_state(view: SeldonView) -> Finding | None:
    if view.state == "Available":
        return None
    if not view.state:
        return Finding("SeldonSilent", "Seldon Core has not reported anything about the deployment yet.")
    return Finding("SeldonCreating", f"Seldon Core reports the state {view.state}.")


def _check_replicas(deployment: ModelDeployment, view: SeldonView) -> Finding | None:
    for predictor in deployment.spec.predictors:
        ready, desired = _count_pods(deployment, view, predictor)[1], count_desired(deployment, predictor)
        if ready < desired:
            return Finding("PodsNotReady", f"Predictor {predictor.name}: {ready} of {desired} pods are ready.")
    return None


def _derive_predictor(deployment: ModelDeployment, view: SeldonView | None, predictor: Predictor) -> PredictorStatus:
    replicas, ready = _count_pods(deployment, view, predictor)
    shadow = predictor.shadow
    return PredictorStatus(
        name=predictor.name,
        replicas=replicas,
        ready=ready,
        traffic=0 if shadow else 100 if predictor.traffic is None else predictor.traffic,
        shadow=shadow.percent if shadow else None,
    )


def _count_pods(deployment: ModelDeployment, view: SeldonView | None, predictor: Predictor) -> tuple[int, int]:
    """Return the number of a predictor's pods, and of ready ones."""
    return view.count_pods(names.seldon_pods_name(deployment, predictor.name)) if view else (0, 0)


def _read_url(deployment: ModelDeployment, view: SeldonView | None) -> str | None:
    pattern = _URL.format(namespace=re.escape(deployment.metadata.namespace))
    found = re.fullmatch(pattern, view.url) if view else None
    return "".join(found.groups()) if found else None
