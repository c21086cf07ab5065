"""The life of a retraining run: what becomes of it next. Pure; knows neither Kubernetes nor the artifact store.

`advance` makes one transition, or none. As with rollouts, the caller stores it and acts only on what is stored, so that
an operator that is killed anywhere goes on from there.

    Training    the run's TrainingJob exists, or is to be created
    Converting  it has published a model, which a pod converts and compares with its conversion
    Succeeded   the conversion is the node's model: the candidate of a rollout, and perhaps the stable revision's later
    Failed      the job or the conversion has failed, or what the run was for is gone

A drift has one run for each template: neither a failed run nor a candidate that was rolled back is tried again before
the drift has ended, or the template has changed. Before any other run begins, coolDownSeconds pass.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fairlead.api.base import ARTIFACT_URI, DIGEST, ArtifactRef
from fairlead.api.retrain import Retrain, RetrainedModel, RetrainRun, RetrainStatus, RetrainTarget
from fairlead.core.conditions import Finding, shorten
from fairlead.core.views import JobView

_MAX_WORDS = 1024
"""Bytes of the words of a job or converter in the status."""
_MAX_TRAINED = 1000
"""Characters of a trained model's URI, to which the conversion's adds some; a modelUri may have 1,024."""


@dataclass(frozen=True)
class ConversionOutcome:
    """What has become of the pod that converts the model."""

    published: ArtifactRef | None = None
    """What it has published."""
    failure: Finding | None = None
    """Why it has published nothing."""


@dataclass(frozen=True)
class RetrainFacts:
    """What is known when a run is advanced."""

    target: RetrainTarget | None
    """The model that a run would replace; None if that is not clear."""
    wanted: bool = True
    """Whether the spec still asks for the retrained model, by the model that it replaces."""
    drifted_since: datetime | None = None
    """The beginning of the drift; None if there is none, or nobody knows."""
    template: str = ""
    """A hash of the template."""
    job_name: str = ""
    """The name that the job of a new run would have."""
    restore_from: str | None = None
    """The checkpoints with which it would start."""
    job: JobView | None = None
    """The current run's job."""
    conversion: ConversionOutcome = ConversionOutcome()
    rolling_out: bool = False
    """Whether there is a candidate, or no stable revision yet."""
    stable: bool = False
    """Whether the stable revision has the retrained model."""
    rolled_back: str = ""
    """Why the revision with the retrained model was rolled back; empty if it was not."""
    held: Finding | None = None
    """The gate that does not let the retrained model become a candidate; None if there is none."""


def advance(policy: Retrain, before: RetrainStatus, facts: RetrainFacts, now: datetime) -> RetrainStatus:
    """Return the next state."""
    before = _settle(policy, before, facts, now)
    run = before.run
    if policy.suspend and run and run.ended_at is None:
        # it is as if it had not begun, so that another one may once the policy is no longer suspended
        return _change(before, run=None)
    if run and run.ended_at is None:
        return _go_on(policy, before, run, facts, now)
    if run and run.ended_at and run.ended_at > now:
        # the clock went back: the rest of the cool-down must not last for years
        return _change(before, run=run.model_copy(update={"ended_at": now}))
    return _begin(before, facts, now) if _may_begin(policy, run, facts, now) else before


def next_start(policy: Retrain, run: RetrainRun) -> datetime | None:
    """Return when the cool-down after a run ends; None if the run has not ended."""
    return run.ended_at + timedelta(seconds=policy.cool_down_seconds) if run.ended_at else None


def _settle(policy: Retrain, before: RetrainStatus, facts: RetrainFacts, now: datetime) -> RetrainStatus:
    """Return the state with what the gates and the rollout have made of the retrained model."""
    model = before.model
    if model is None:
        return before
    if not facts.wanted:
        # the user's model wins, and the earlier retrained one was for the same that is gone
        return _change(before, model=None, previous=None)
    if facts.stable and not model.stable:
        return _change(before, model=model.model_copy(update={"stable": True}), previous=None)
    if model.stable:
        return before
    if facts.rolled_back:
        return _withdraw(before, model, Finding("RetrainedModelRolledBack", facts.rolled_back))
    ended = before.run.ended_at if before.run and before.run.job == model.job else None
    if facts.held and ended and (now - ended).total_seconds() > policy.deadline_seconds:
        # what the spec says meanwhile waits with the model, and must not do so for ever
        text = f"The model was not admitted within {policy.deadline_seconds} s: {facts.held.message}"
        return _withdraw(before, model, Finding("RetrainedModelNotAdmitted", text))
    return before


def _withdraw(before: RetrainStatus, model: RetrainedModel, finding: Finding) -> RetrainStatus:
    """Return the state with the model before the retrained one."""
    after, run = _change(before, model=before.previous, previous=None), before.run
    if run is None or run.job != model.job:
        return after
    words = {"reason": finding.reason, "message": shorten(finding.message, _MAX_WORDS)}
    return _change(after, run=run.model_copy(update={"phase": "Failed", **words}))


def _may_begin(policy: Retrain, run: RetrainRun | None, facts: RetrainFacts, now: datetime) -> bool:
    if policy.suspend or facts.drifted_since is None or facts.target is None or facts.rolling_out:
        return False
    if run is None:
        return True
    start = next_start(policy, run)
    new = (facts.drifted_since, facts.template) != (run.drifted_since, run.template)
    return new and (start is None or now >= start)


def _begin(before: RetrainStatus, facts: RetrainFacts, now: datetime) -> RetrainStatus:
    assert facts.drifted_since
    assert facts.target
    run = RetrainRun(
        phase="Training",
        drifted_since=facts.drifted_since,
        template=facts.template,
        job=facts.job_name,
        target=facts.target,
        restore_from=None if _failed_warm(before.run, facts.restore_from) else facts.restore_from,
        started_at=now,
    )
    return _change(before, run=run)


def _failed_warm(run: RetrainRun | None, restore_from: str | None) -> bool:
    """Return whether the last run's job has failed after it started with these checkpoints, which may be gone."""
    return run is not None and run.reason == "JobFailed" and run.restore_from == restore_from


def _go_on(
    policy: Retrain, before: RetrainStatus, run: RetrainRun, facts: RetrainFacts, now: datetime
) -> RetrainStatus:
    """Return the state after a run has ended, or has come to its next phase."""
    if facts.target != run.target:
        return _fail(before, run, Finding("Superseded", "The spec names another model than the one to replace."), now)
    if run.started_at > now:
        # the clock went back: the deadline must not be years away
        return _change(before, run=run.model_copy(update={"started_at": now}))
    if run.phase == "Training" and (after := _follow_job(before, run, facts.job, now)) != before:
        return after
    if run.phase == "Converting" and (after := _follow_conversion(before, run, facts, now)) != before:
        return after
    if (now - run.started_at).total_seconds() > policy.deadline_seconds:
        text = f"The run has taken more than {policy.deadline_seconds} s."
        return _fail(before, run, Finding("DeadlineExceeded", text), now)
    return before


def _follow_job(before: RetrainStatus, run: RetrainRun, job: JobView | None, now: datetime) -> RetrainStatus:
    if run.uid and (job is None or job.deleting or job.uid != run.uid):
        return _fail(before, run, Finding("JobDeleted", f"TrainingJob {run.job} was deleted."), now)
    if job is None or (job.deleting and run.uid is None):
        return before  # it is to be created, perhaps once an earlier one of its name is gone
    if run.uid is None:
        return _change(before, run=run.model_copy(update={"uid": job.uid}))
    if job.phase == "Failed":
        return _fail(before, run, Finding("JobFailed", f"TrainingJob {run.job} has failed: {job.message}"), now)
    if job.phase != "Succeeded":
        return before
    if job.model is None or job.dataset is None or not _may_be_served(*job.model):
        text = f"TrainingJob {run.job} has published no model that can be served, expected its script to write one."
        return _fail(before, run, Finding("NoModel", text), now)
    found = (("trained", "model", job.model), ("dataset", "dataset", job.dataset))
    known = {field: ArtifactRef(name=name, uri=uri, digest=digest) for field, name, (uri, digest) in found}
    return _change(before, run=run.model_copy(update={"phase": "Converting", **known}))


def _may_be_served(uri: str, digest: str) -> bool:
    """Return whether a conversion of a model, which anyone who may write a job's status may have named, fits a node."""
    return bool(re.fullmatch(ARTIFACT_URI, uri) and re.fullmatch(DIGEST, digest)) and len(uri) <= _MAX_TRAINED


def _follow_conversion(before: RetrainStatus, run: RetrainRun, facts: RetrainFacts, now: datetime) -> RetrainStatus:
    if facts.conversion.failure:
        return _fail(before, run, facts.conversion.failure, now)
    if (published := facts.conversion.published) is None:
        return before
    model = RetrainedModel(
        target=run.target,
        uri=published.uri,
        digest=published.digest,
        job=run.job,
        checkpoints=facts.job.checkpoints if facts.job else None,
    )
    # one that was never the stable revision's is not what a rollback returns to
    previous = before.model if before.model and before.model.stable else before.previous
    message = f"TrainingJob {run.job} has trained {published.uri} ({published.digest})."
    ended: dict[str, Any] = {"phase": "Succeeded", "ended_at": now, "reason": "Retrained", "message": message}
    return _change(before, run=run.model_copy(update=ended), model=model, previous=previous)


def _fail(before: RetrainStatus, run: RetrainRun, finding: Finding, now: datetime) -> RetrainStatus:
    words = {"reason": finding.reason, "message": shorten(finding.message, _MAX_WORDS)}
    return _change(before, run=run.model_copy(update={"phase": "Failed", "ended_at": now, **words}))


def _change(status: RetrainStatus, **changes: Any) -> RetrainStatus:
    return status.model_copy(update=changes)
