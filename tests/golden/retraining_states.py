"""Deployments with `monitor.retrain` in each of the states of a run, as a simulated cluster gets there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.conditions import Rejection
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.settings import Settings
from fairlead.core.views import JobView

from tests.support.resources import DIGEST, DRIFT, RETRAIN, change
from tests.support.retraining import COOL_DOWN, TRAINED, DriftingCluster, Fates, run_for, start_drifting

GRAPH = "spec__predictors__0__graph"
OTHER = {"name": "model", "modelUri": "s3://models/digits/v9"}
TWO = {"name": "a", "modelUri": "s3://models/a/1", "children": [{"name": "b", "modelUri": "s3://models/b/1"}]}
HELD = Fates(trains=lambda: False)
_TRAINERS = (JobView("digits", "0000aaaa-0000", phase="Succeeded", model=TRAINED, checkpoints="s3://checkpoints/old"),)
"""The job that trained the model of the spec."""
REJECTION = Rejection("Rejected", "trainingjobs.fairlead.dev is forbidden: exceeded quota", "TrainingJob")


@dataclass(frozen=True)
class Retraining:
    """What the planner is asked, and why the answer matters."""

    reason: str
    deployment: ModelDeployment
    observed: ObservedDeployment
    now: datetime


def _snap(cluster: DriftingCluster, reason: str, hours: float = 0.0, **seen: Any) -> Retraining:
    """Return the state of a cluster; `seen` replaces what is seen of the runs, `hours` is how far the clock jumps."""
    observed = cluster.observe()
    observed = replace(observed, retraining=replace(observed.retraining, **seen))
    return Retraining(reason, cluster.deployment, observed, cluster.now + timedelta(hours=hours))


def _go(cluster: DriftingCluster, until: Callable[[], Any]) -> DriftingCluster:
    """Reconcile until something holds, and stop before time passes."""
    for _ in range(600):
        cluster.reconcile()
        if until():
            return cluster
        cluster.step(1)
    raise AssertionError(f"not reached: {cluster.status}")


def _drifted(fates: Fates | None = None, **options: Any) -> DriftingCluster:
    cluster = start_drifting(1, rate=30.0, fates=fates or Fates(), **options)
    run_for(cluster, 20)
    cluster.shift()
    conditions = lambda: {(each.type, each.status) for each in cluster.status.conditions}  # noqa: E731
    return _go(cluster, lambda: ("Drifted", "True") in conditions())


def _tried_again(cluster: DriftingCluster) -> Retraining:
    """Return the state after a job was rejected: the plan that tries it again must not say anything else meanwhile."""
    rejected = _snap(cluster, "", rejection=REJECTION)
    plan = plan_model_deployment(rejected.deployment, rejected.observed, Settings(), rejected.now, "00")
    known = rejected.deployment.model_copy(update={"status": plan.status})
    return Retraining(
        "while it is tried again, what the API server has said stands", known, cluster.observe(), cluster.now
    )


def _drifted_again() -> DriftingCluster:
    """Return a cluster whose retrained model serves requests that have drifted since it was trained."""
    cluster = _promoted()
    run_for(cluster, 2 * COOL_DOWN)
    cluster.shift()
    since = cluster.run.drifted_since
    cluster.fates = HELD
    drifted = lambda: cluster.status.drift and cluster.status.drift.since  # noqa: E731
    return _go(cluster, lambda: drifted() not in (None, since))


def _training(fates: Fates | None = None) -> DriftingCluster:
    cluster = _drifted(fates)
    return _go(cluster, lambda: cluster.retrain.run and cluster.run.uid)


def _ended_job(fates: Fates | None = None) -> DriftingCluster:
    """Return a cluster whose job has just ended."""
    cluster = _training(fates)
    while not any(job.finished for job in cluster.jobs.values()):
        cluster.step(1)
    return cluster


def _converting(fates: Fates | None = None) -> DriftingCluster:
    cluster = _ended_job(fates)
    return _go(cluster, lambda: cluster.run.phase == "Converting")


def _ended_converter(fates: Fates | None = None) -> DriftingCluster:
    cluster = _converting(fates)
    cluster.reconcile()
    while not any(pod.finished for pod in cluster.converters.values()):
        cluster.step(1)
    return cluster


def _retrained(**options: Any) -> DriftingCluster:
    cluster = _drifted(**options)
    return _go(cluster, lambda: cluster.retrain.model)


def _promoted() -> DriftingCluster:
    """Return a cluster on which the retrained model has just become the stable revision's."""
    cluster = _retrained()
    first = cluster.status.stable_revision
    return _go(cluster, lambda: cluster.status.stable_revision != first)


def _rolled_back() -> DriftingCluster:
    cluster = _retrained(bad_models=True)
    return _go(cluster, lambda: cluster.status.rollout and cluster.status.rollout.failed_revision)


def _unsigned() -> DriftingCluster:
    """Return a cluster whose retrained model lacks a signature."""
    cluster = _retrained(unsigned=True)
    cluster.reconcile()
    return cluster


def _failed_warm() -> DriftingCluster:
    """Return a cluster on which a job has failed that started with checkpoints; its template has changed since."""
    cluster = _drifted_again()
    cluster.fates = Fates(job_fails=lambda: True)
    _go(cluster, lambda: cluster.run.reason == "JobFailed")
    run_for(cluster, 2 * COOL_DOWN)
    return _edited(cluster, **_with(conversion__minAccuracy=0.5))


def _in_another_run(cluster: DriftingCluster) -> DriftingCluster:
    """Return a cluster whose retrained model, which nobody had signed, became the candidate during a later run."""
    run = cluster.run.model_copy(update={"job": "digits-1a7e12ab", "phase": "Training", "ended_at": None, "uid": None})
    status = cluster.status.model_copy(update={"retrain": cluster.retrain.model_copy(update={"run": run})})
    cluster.deployment = cluster.deployment.model_copy(update={"status": status})
    return cluster


def _edited(cluster: DriftingCluster, **changes: Any) -> DriftingCluster:
    cluster.edit(**changes)
    return cluster


def _with(**retrain: Any) -> dict[str, Any]:
    return {"spec__monitor": {"drift": DRIFT, "retrain": change(RETRAIN, **retrain)}}


def _build_states() -> dict[str, Retraining]:
    # Longer than 40 lines: a table.
    idle, drifted = start_drifting(1, rate=30.0), _drifted()
    run_for(idle, 20)
    begun = _drifted()
    begun.reconcile()
    seen, training, ended, converting = _drifted(), _training(HELD), _ended_job(), _converting()
    _go(seen, lambda: seen.jobs)
    converter = _converting()
    _go(converter, lambda: converter.converters)
    pods, job = tuple(converter.converters.values()), next(iter(ended.jobs.values()))
    failed = _ended_job(Fates(job_fails=lambda: True))
    over = _ended_job(Fates(job_fails=lambda: True))
    _go(over, lambda: over.run.ended_at)
    done = _ended_converter()
    silent = tuple(replace(pod, termination_message="Killed") for pod in done.converters.values())
    return {
        "retraining-waits": _snap(idle, "a run begins when the requests have drifted"),
        "retraining-begins": _snap(drifted, "only the status is written: the job is created when it is stored"),
        "retraining-creates": _snap(begun, "the job is created after the status, whose run has its name"),
        "retraining-begins-warm": _snap(drifted, "it starts with the checkpoints of the job that trained the model",
                                        trainers=_TRAINERS),
        "retraining-again": _snap(_drifted_again(), "or of the last run"),
        "retraining-begins-cold": _snap(_failed_warm(), "unless the last run failed with them: they may be gone"),
        "retraining-rejected": _snap(begun, "what the API server rejects is said, and takes nothing from what serves",
                                     rejection=REJECTION),
        "retraining-tried-again": _tried_again(begun),
        "retraining-other-job-ends": _snap(begun, "a job that is being deleted still trains",
                                           jobs=(replace(job, name="digits-0ther", phase="Running", deleting=True),)),
        "retraining-sees-job": _snap(seen, "the job's uid is kept, by which a deleted one is known"),
        "retraining-trains": _snap(training, "the job's own words are shown"),
        "retraining-job-deleted": _snap(training, "a job that was deleted is not created anew", jobs=()),
        "retraining-job-failed": _snap(failed, "the job's words say why"),
        "retraining-failed": _snap(over, "the job is kept, and no other begins in the same drift", hours=1),
        "retraining-failed-and-edited": _snap(_edited(over, **_with(conversion__minAccuracy=0.5)),
                                              "another template has a run of its own after the cool-down", hours=1),
        "retraining-cools-down": _snap(over, "but not before"),
        "retraining-clock-back": _snap(over, "a clock that went back must not make the cool-down last for years",
                                       hours=-50_000),
        "retraining-clock-back-in-a-run": _snap(training, "nor a deadline", hours=-50_000),
        "retraining-no-model": _snap(ended, "a job without a model has nothing to convert",
                                     jobs=(replace(job, model=None),)),
        "retraining-model-elsewhere": _snap(ended, "nor has one whose model no node can name",
                                            jobs=(replace(job, model=("https://example.com/model", DIGEST)),)),
        "retraining-job-succeeded": _snap(ended, "its model and dataset are kept, each by its digest"),
        "retraining-converts": _snap(converting, "the converter has no API token and only the Secret that it is given"),
        "retraining-converter-waits": _snap(converter, "what it waits for is shown", converters=tuple(
            replace(pod, waiting="container converter: ErrImagePull: no such image") for pod in pods)),
        "retraining-converter-evicted": _snap(converter, "one that the cluster has ended is replaced", converters=tuple(
            replace(pod, phase="Failed", disruption="PreemptionByScheduler: …") for pod in pods)),
        "retraining-converter-failed": _snap(converter, "the end of its log says why", converters=tuple(
            replace(pod, phase="Failed", exit_code=1, termination_message="the store is down") for pod in pods)),
        "retraining-model-rejected": _snap(_ended_converter(Fates(conversion_fails=lambda: True)),
                                           "a model that differs from its conversion is not served"),
        "retraining-without-report": _snap(done, "a report that is none counts as failed", converters=silent),
        "retraining-converted": _snap(done, "from the next reconcile on, the node has the new model"),
        "retrained": _snap(_retrained(), "the rollout starts with it, as with any changed spec"),
        "retrained-and-promoted": _snap(_promoted(), "a rollback of a later one returns to it"),
        "retrained-and-rolled-back": _snap(_rolled_back(), "the earlier model stays, and serves"),
        "retrained-and-held": _snap(_unsigned(), "a model that a gate holds says so"),
        "retrained-and-not-admitted": _snap(_unsigned(), "what it keeps back must not wait for ever", hours=1),
        "retrained-rolled-back-in-a-later-run": _snap(
            _in_another_run(_rolled_back()), "what becomes of an earlier run's model says nothing about this one"
        ),
        "retraining-deadline": _snap(_training(HELD), "a run ends in time, and what it was for goes on", hours=1),
        "retraining-superseded": _snap(_edited(_training(HELD), **{GRAPH: OTHER}), "the user's model wins over a run"),
        "retrained-and-edited": _snap(_edited(_promoted(), **{GRAPH: OTHER}), "and over a retrained one"),
        "retraining-suspended": _snap(_edited(_training(HELD), **_with(suspend=True)), "what runs ends"),
        "retraining-stays-suspended": _snap(_edited(_drifted(), **_with(suspend=True)), "and nothing begins"),
        "retraining-of-no-node": _snap(_edited(_drifted(), **_with(node="other")), "the node has to exist"),
        "retraining-of-two-nodes": _snap(_edited(_drifted(), **{GRAPH: TWO}), "or to be the only one"),
        "retraining-removed": _snap(_edited(_ended_converter(), spec__monitor={"drift": DRIFT}),
                                    "without it, nothing is left"),
    }  # fmt: skip


RETRAINING_STATES = _build_states()
"""By name."""
