"""What is known of a deployment's retraining, gathered for the next step of a run."""

from dataclasses import dataclass

from fairlead_contracts.termination import SuccessReport, read_report

from fairlead.api.base import ArtifactRef
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.retrain import Retrain, RetrainRun, RetrainStatus, RetrainTarget
from fairlead.core import names
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.artifacts import with_known_digests
from fairlead.core.model_deployment.drift import find_drift
from fairlead.core.model_deployment.faults import find_fault
from fairlead.core.model_deployment.observed import ObservedDeployment, ObservedRetraining
from fairlead.core.model_deployment.retrain import ConversionOutcome, RetrainFacts
from fairlead.core.model_deployment.retrain_build import hash_template
from fairlead.core.model_deployment.retrained import (
    find_retrained_model,
    find_target,
    has_model,
    with_retrained_model,
)
from fairlead.core.model_deployment.revisions import read_revisions
from fairlead.core.settings import Settings
from fairlead.core.views import PodView

_REJECTED_CODE = 2
"""The exit code of a converter that has found the models to differ."""


@dataclass(frozen=True)
class _Outcome:
    """What a rollout has made of the retrained model."""

    stable: bool = False
    rolled_back: str = ""


def gather_facts(
    deployment: ModelDeployment, policy: Retrain, observed: ObservedDeployment, settings: Settings
) -> RetrainFacts:
    """Return what the next step of a run depends on."""
    state = deployment.status.retrain or RetrainStatus()
    target, drift = find_target(deployment, policy.node), find_drift(deployment.status)
    known = target if isinstance(target, RetrainTarget) else None
    template = hash_template(policy)
    since = drift.since if drift else None
    outcome = _judge_rollout(deployment, observed)
    return RetrainFacts(
        target=known,
        wanted=state.model is None or find_retrained_model(deployment) is not None,
        drifted_since=since,
        template=template,
        job_name=names.retraining_name(deployment, f"{since.isoformat() if since else ''}/{template}"),
        restore_from=_find_checkpoints(state, policy, known, observed),
        job=observed.retraining.find_job(state.run.job) if state.run else None,
        conversion=_read_conversion(state.run, observed.retraining),
        rolling_out=deployment.status.candidate_revision is not None or deployment.status.stable_revision is None,
        stable=outcome.stable,
        rolled_back=outcome.rolled_back,
        held=find_held(deployment, observed, settings),
    )


def find_held(deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings) -> Finding | None:
    """Find the gate that does not let a retrained model become a candidate; a store that is away is none."""
    model, candidate = find_retrained_model(deployment), deployment.status.candidate_revision
    if model is None or model.stable or has_model(read_revisions(observed.revisions).get(candidate or ""), model):
        return None
    served = with_retrained_model(deployment)
    fault = find_fault(served, with_known_digests(served, observed.artifacts), settings)
    return fault.finding if fault and fault.phase is phases.FAULTY else None


def _judge_rollout(deployment: ModelDeployment, observed: ObservedDeployment) -> _Outcome:
    """Return whether the model of the status is the stable revision's, or why its revision was rolled back."""
    status, model = deployment.status, find_retrained_model(deployment)
    if model is None or model.stable:
        return _Outcome()
    revisions, rollout = read_revisions(observed.revisions), status.rollout
    stable = has_model(revisions.get(status.stable_revision or ""), model)
    failed = rollout is not None and has_model(revisions.get(rollout.failed_revision or ""), model)
    message = rollout.message if rollout and failed and not stable else None
    return _Outcome(stable, message or "")


def _find_checkpoints(
    state: RetrainStatus, policy: Retrain, target: RetrainTarget | None, observed: ObservedDeployment
) -> str | None:
    """Return the checkpoints of the job that trained the model which serves, unless the template names others."""
    checkpoint = policy.template.spec.checkpoint
    if checkpoint is None or checkpoint.restore_uri or target is None:
        return None
    served = state.model if state.model and state.model.stable else state.previous
    if served:
        return served.checkpoints
    trained = {
        parent.uri: parent.digest
        for node in observed.artifacts.nodes
        if node.model_uri == target.model_uri
        for parent in node.artifact.parents
    }
    jobs = observed.retraining.trainers
    return next((job.checkpoints for job in jobs if job.model and trained.get(job.model[0]) == job.model[1]), None)


def _read_conversion(run: RetrainRun | None, retraining: ObservedRetraining) -> ConversionOutcome:
    """Return what the converter reports. Tenants' credentials are its own, so its report is parsed as any pod's."""
    pod = retraining.find_converter(run.job) if run and run.phase == "Converting" else None
    if run is None or run.trained is None or pod is None or not pod.finished or is_disrupted(pod):
        return ConversionOutcome()
    if pod.phase == "Failed":
        rejected = pod.exit_code == _REJECTED_CODE
        reason = "ModelRejected" if rejected else "ConversionFailed"
        words = pod.termination_message.strip() or pod.waiting or f"exit code {pod.exit_code}"
        return ConversionOutcome(
            failure=Finding(reason, f"The model of TrainingJob {run.job} was not converted: {words}")
        )
    report, expected = read_report(pod.termination_message), names.converted_uri(run.trained.uri)
    if not isinstance(report, SuccessReport) or report.model is None or report.model.uri != expected:
        text = f"Pod {pod.name} has ended without a report of a model at {expected}."
        return ConversionOutcome(failure=Finding("ConversionFailed", text))
    return ConversionOutcome(published=ArtifactRef(name="model", uri=expected, digest=report.model.digest))


def is_disrupted(pod: PodView) -> bool:
    """Return whether the cluster has ended a converter, which is started again."""
    return pod.phase == "Failed" and bool(pod.disruption)
