"""The planner of TrainingJobs: a case for each decision, compared with a golden file."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fairlead.api.base import ArtifactRef
from fairlead.api.tracking import MlflowRun
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import ElasticStatus, Progress
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding, merge_conditions
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job import phases
from fairlead.core.training_job.creation import RELEASED
from fairlead.core.training_job.observed import Gate, Launcher, LauncherReport, ObservedJob, WorkerDelay
from fairlead.core.training_job.plan import _plan_attempt, plan_training_job
from fairlead.core.training_job.registration import UNKNOWN
from fairlead.core.views import PodView

from tests.support.golden import check_golden
from tests.support.resources import DIGEST, make_job
from tests.support.returns import recorded_lines, return_lines

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DEFAULTS = Settings()
STARTED = "2026-03-01T11:59:55Z"
LONG_AGO = "2026-03-01T11:00:00Z"
DATASET = {"uri": "s3://datasets/digits/v1", "digest": DIGEST, "requireValidation": True}
DATA = ArtifactFacts(DATASET["uri"], DIGEST, "dataset")
RESULT_URI = f"{DATASET['uri']}.validation/{'ab' * 32}"
PASSED = ArtifactFacts(
    RESULT_URI, "sha256:" + "cd" * 32, "validation",
    (ArtifactRef(name="dataset", uri=DATASET["uri"], digest=DIGEST),), {"success": True},
)  # fmt: skip
OPEN = Gate(DATA, PASSED)
ELASTIC = {"minReplicas": 1, "maxReplicas": 4}
TRACKING = {"mlflow": {"uri": "http://mlflow.tools:5000", "experiment": "digits"}}
LAGS = "the server does not answer (NewConnectionError)"


_REGISTRATION = "FAIRLEAD_REGISTRATION_SECONDS"


@dataclass(frozen=True)
class Case:
    """One decision: its reason and the observed state."""

    reason: str
    job: TrainingJob
    observed: ObservedJob
    settings: Settings = DEFAULTS


def pod(name: str, **changes: Any) -> PodView:
    role, _, index = name.partition("-")
    facts = {"phase": "Running", "ip": "10.0.0.9"} | changes
    return PodView(name=f"digits-{name}", uid=f"uid-{name}", role=role, index=int(index or 0), **facts)


def all_pods(**changes: Any) -> tuple[PodView, ...]:
    return tuple(pod(name, **changes) for name in ("launcher", "worker-0", "worker-1"))


def reported(registered: int = 2, *missing: int, **more: Any) -> Launcher:
    return Launcher(LauncherReport(registered, 2, missing, **more))


def silent(seconds: float) -> Launcher:
    return Launcher(silent_since=NOW - timedelta(seconds=seconds))


PHASES = {
    "Pending": (phases.PENDING, Finding("PodsPending", "Waiting for the launcher and worker pods to run.")),
    "Running": (phases.RUNNING, Finding("WorkersRunning", "2 workers are running.")),
    "Delayed": (phases.RUNNING, Finding("WorkersDelayed", "2 workers are running. Worker 0: publishing the model.")),
    "Rejected": (phases.RUNNING, Finding("WorkersRejected", "1 of 2 workers are running. exceeded quota: gpus")),
    "Assumed": (phases.RUNNING, Finding(UNKNOWN, "2 worker pods run.")),
    "Restarting": (phases.RESTARTING, Finding("WorkerExited", "Restart 1 of at most 3: Worker 1 failed.")),
    "Succeeded": (phases.SUCCEEDED, Finding("TrainingFinished", "2 workers finished.")),
    "Failed": (phases.FAILED, Finding("WorkerExited", "Worker 1 failed.")),
    "Released": (phases.WAITING, Finding(RELEASED, "3 pods were deleted.")),
}


def conditions_in(phase: str, since: str, generation: int = 1) -> list[dict[str, Any]]:
    desired = phases.build_conditions(*PHASES[phase])
    conditions = merge_conditions((), desired, generation, datetime.fromisoformat(since))
    return [condition.model_dump(by_alias=True) for condition in conditions]


def started(phase: str = "Pending", start: str = STARTED, **more: Any) -> dict[str, Any]:
    return {
        "observedGeneration": 1,
        "phase": PHASES[phase][0].name,
        "startTime": start,
        "workers": {"ready": 2 if phase in ("Running", "Delayed", "Assumed") else 0, "desired": 2, "restarts": 0},
        "conditions": conditions_in(phase, start),
    } | more


def said(**report: Any) -> str:
    return json.dumps(report)


FAILURE = said(
    failure={"worker": 1, "rank": 1, "exitCode": 3, "signal": None, "reason": "Exited", "logTail": "ValueError: no"}
)
NO_STORE = said(
    failure={"worker": 1, "exitCode": 1, "reason": "StoreUnavailable", "logTail": "s3://d/v1: connection refused"}
)
FETCHING = "fetching the dataset s3://d/v1 since 11:59:50Z: the transfer failed: 10.0.0.7:9000: connection refused"
WAS_LOST = "was lost and does not train yet (Killed by SIGKILL): out of memory"
PUBLISHING = "publishing the model s3://models/digits since 11:59:50Z"
SUCCESS = said(
    model={"uri": "s3://models/digits/digits-0a1b2c3d", "digest": DIGEST, "version": "digits-0a1b2c3d"},
    progress={"step": 360, "totalSteps": 360, "metrics": {"loss": 0.01}},
)
CHILDREN: dict[str, Any] = {"service_uid": "uid-pods"}
QUOTA = Finding("Rejected", 'pods "digits-worker-1" is forbidden: exceeded quota: gpus')

CASES = {
    "new": Case("everything is created", make_job(), ObservedJob(gate=Gate())),
    "new-with-dataset-and-model": Case(
        "the pods get the URIs of data and model; the gate's artifacts are recorded",
        make_job(spec__dataset=DATASET, spec__model={"uri": "s3://models/digits"}),
        ObservedJob(gate=OPEN),
    ),
    "new-with-tracking": Case(
        "the launcher records the job in MLflow, with credentials of its template; the workers know nothing of it",
        make_job(
            spec__dataset=DATASET,
            spec__tracking=TRACKING,
            spec__launcherTemplate={
                "spec": {
                    "containers": [
                        {
                            "name": "launcher",
                            "env": [
                                {"name": "FAIRLEAD_MLFLOW_URI", "value": "http://elsewhere"},
                                {
                                    "name": "MLFLOW_TRACKING_TOKEN",
                                    "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "token"}},
                                },
                            ],
                        }
                    ]
                }
            },
        ),
        ObservedJob(gate=OPEN),
    ),
    "new-with-checkpoints": Case(
        "the processes of every attempt save their state below one URI, and a new job starts from another's",
        make_job(
            spec__launcher="Torchrun",
            spec__checkpoint={
                "uri": "s3://checkpoints/digits",
                "everySeconds": 300,
                "restoreFrom": "s3://checkpoints/other/digits-1a2b",
            },
        ),
        ObservedJob(gate=Gate()),
    ),
    "new-with-everything-set": Case(
        "the user's template is kept and extended",
        make_job(
            spec__workers__template={
                "metadata": {"labels": {"team": "vision", "fairlead.dev/job": "other"}, "annotations": {"a": "b"}},
                "spec": {
                    "nodeSelector": {"gpu": "yes"},
                    "securityContext": {"runAsUser": 2000},
                    "volumes": [{"name": "code", "configMap": {"name": "code"}}],
                    "containers": [
                        {
                            "name": "trainer",
                            "image": "x:1",
                            "command": ["python3"],
                            "args": ["/code/t.py"],
                            "env": [{"name": "A", "value": "1"}, {"name": "FAIRLEAD_WORKERS", "value": "9"}],
                            "volumeMounts": [{"name": "code", "mountPath": "/code"}],
                        },
                        {"name": "sidecar", "image": "y:1"},
                    ],
                },
            }
        ),
        ObservedJob(gate=Gate()),
    ),
    "new-with-a-deadline": Case(
        "the launcher waits for its workers as long as the job may, not half an hour; what users set is kept",
        make_job(
            spec__runPolicy={"preRunningDeadlineSeconds": 7200},
            spec__launcherTemplate={
                "spec": {"containers": [{"name": "launcher", "env": [{"name": _REGISTRATION, "value": "60"}]}]}
            },
        ),
        ObservedJob(gate=Gate()),
    ),
    "blocked": Case(
        "a blocked job creates no pods",
        make_job(spec__dataset=DATASET),
        ObservedJob(gate=Gate(DATA, ArtifactFacts(RESULT_URI, error="not found", missing=True))),
    ),
    "unblocked": Case(
        "after the gate has passed, Blocked becomes False",
        make_job(
            {
                "conditions": [
                    {
                        "type": "Blocked",
                        "status": "True",
                        "reason": "ValidationMissing",
                        "message": "…",
                        "lastTransitionTime": LONG_AGO,
                    }
                ]
            },
            spec__dataset=DATASET,
        ),
        ObservedJob(gate=OPEN),
    ),
    "elastic-new": Case(
        "launcher and agents learn the bounds",
        make_job(spec__elastic=ELASTIC),
        ObservedJob(gate=Gate()),
    ),
    "elastic-torchrun-new": Case(
        "one for torchrun has the same bounds",
        make_job(spec__elastic=ELASTIC, spec__launcher="Torchrun"),
        ObservedJob(gate=Gate()),
    ),
    "elastic-begun-with-fewer": Case(
        "the job runs once its launcher says so, though a pod is still pending",
        make_job(started(), spec__elastic=ELASTIC),
        ObservedJob((*all_pods()[:2], pod("worker-1", phase="Pending")), launcher=reported(), **CHILDREN),
    ),
    "elastic-worker-lost": Case(
        "the condition says why a worker does not train; one that is not to come back is no delay",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            all_pods(), launcher=reported(delays=(WorkerDelay(1, WAS_LOST), WorkerDelay(2, WAS_LOST))), **CHILDREN
        ),
    ),
    "elastic-worker-failed": Case(
        "a failed worker is kept until its cool-down has passed; the job goes on",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, ended=NOW - timedelta(seconds=12))),
            launcher=reported(),
            **CHILDREN,
        ),
    ),
    "elastic-worker-due": Case(
        "then it is deleted",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, ended=NOW - timedelta(seconds=30))),
            launcher=reported(),
            **CHILDREN,
        ),
    ),
    "elastic-worker-failed-again": Case(
        "it waits for twice the time if it was replaced before",
        make_job(started("Running", elastic={"replaced": [{"worker": 1, "times": 1}]}), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, ended=NOW - timedelta(seconds=31))),
            launcher=reported(),
            **CHILDREN,
        ),
    ),
    "elastic-worker-evicted": Case(
        "a worker that has left no time of its end is replaced at once",
        make_job(started("Running", elastic={"replaced": [{"worker": 1, "times": 1}]}), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", waiting="Evicted: low on memory")),
            launcher=reported(),
            **CHILDREN,
        ),
    ),
    "elastic-worker-stopped": Case(
        "so is one that its launcher has stopped because it hung",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=143, ended=NOW)),
            launcher=reported(),
            **CHILDREN,
        ),
    ),
    "elastic-worker-failed-at-start": Case(
        "a worker that fails before the job runs is replaced, too",
        make_job(started(), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, ended=NOW - timedelta(seconds=31))),
            launcher=reported(1, 1),
            **CHILDREN,
        ),
    ),
    "elastic-worker-failed-just-now-at-start": Case(
        "until then the job waits",
        make_job(started(), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, ended=NOW - timedelta(seconds=1))),
            launcher=reported(1, 1),
            **CHILDREN,
        ),
    ),
    "elastic-scaled-up-at-start": Case(
        "the launcher waits for the workers that the job asked for when it started",
        make_job(started(), spec__elastic=ELASTIC, spec__workers__replicas=3),
        ObservedJob((*all_pods(), pod("worker-2", phase="Pending")), launcher=reported(), **CHILDREN),
    ),
    "elastic-rejected-at-start": Case(
        "a job that a quota denies some workers begins with the others",
        make_job(started(), spec__elastic=ELASTIC),
        ObservedJob(
            all_pods(created=NOW - timedelta(seconds=900))[:2], launcher=reported(1, 1), rejection=QUOTA, **CHILDREN
        ),
    ),
    "elastic-resized": Case(
        "the status shows what the losses cost",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            all_pods(),
            launcher=reported(
                elastic=ElasticStatus(epoch=3, workers=2, lost_workers=1, lost_steps=7, reason="WorkersLost")
            ),
            **CHILDREN,
        ),
    ),
    "elastic-launcher-silent": Case(
        "no worker is replaced whose launcher may be lost",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            (pod("launcher"), *all_pods(phase="Failed", exit_code=143, ended=NOW - timedelta(seconds=20))[1:]),
            launcher=replace(reported(), silent_since=NOW - timedelta(seconds=40)),
            **CHILDREN,
        ),
    ),
    "elastic-launcher-silent-with-workers": Case(
        "one that cannot be read is not lost while its workers train: the others are replaced",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, ended=NOW - timedelta(seconds=90))),
            launcher=silent(900),
            **CHILDREN,
        ),
    ),
    "elastic-launcher-lost": Case(
        "a launcher that does not answer and whose workers all wait for it is lost: the job restarts",
        make_job(
            started("Running", elastic={"epoch": 1, "workers": 2, "replaced": [{"worker": 1, "times": 1}]}),
            spec__elastic=ELASTIC,
        ),
        ObservedJob(
            (pod("launcher"), *all_pods(created=NOW - timedelta(seconds=50))[1:]),
            launcher=replace(reported(), silent_since=NOW - timedelta(seconds=60)),
            **CHILDREN,
        ),
    ),
    "elastic-worker-missing": Case(
        "and created again, like one that was evicted",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(all_pods()[:2], launcher=reported(), **CHILDREN),
    ),
    "elastic-worker-rejected": Case(
        "a worker that a quota denies is tried again later; the job goes on",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(all_pods()[:2], launcher=reported(), rejection=QUOTA, **CHILDREN),
    ),
    "elastic-worker-rejected-before": Case(
        "while it is tried again, the condition says what the API server has said",
        make_job(started("Rejected"), spec__elastic=ELASTIC),
        ObservedJob(all_pods()[:2], launcher=reported(), **CHILDREN),
    ),
    "elastic-worker-admitted-at-last": Case(
        "a worker that exists is rejected no more",
        make_job(started("Rejected"), spec__elastic=ELASTIC),
        ObservedJob(all_pods(), launcher=reported(), **CHILDREN),
    ),
    "elastic-scaled-down": Case(
        "the workers with the highest numbers are deleted",
        make_job(started("Running"), spec__elastic=ELASTIC, spec__workers__replicas=1),
        ObservedJob(all_pods(), launcher=reported(), **CHILDREN),
    ),
    "elastic-ending": Case(
        "a worker that has succeeded ends the job: no other one is replaced",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob((*all_pods()[:1], pod("worker-0", phase="Succeeded")), launcher=reported(), **CHILDREN),
    ),
    "elastic-launcher-failed": Case(
        "the launcher decides when too many workers are lost: the attempt has failed",
        make_job(started("Running"), spec__elastic=ELASTIC),
        ObservedJob(
            (pod("launcher", phase="Failed", exit_code=1, termination_message=FAILURE), *all_pods()[1:]), **CHILDREN
        ),
    ),
    "suspended": Case(
        "the pods are deleted and the job is suspended",
        make_job(started("Running"), spec__runPolicy={"suspend": True}),
        ObservedJob(all_pods(), **CHILDREN),
    ),
    "one-worker-missing-at-start": Case(
        "a crash between two writes is repaired",
        make_job(started()),
        ObservedJob(all_pods()[:2], **CHILDREN),
    ),
    "pods-made-just-now": Case(
        "a quick start saves a write: the first status reports that all pods are running",
        make_job(),
        ObservedJob(all_pods(phase="Pending", created=NOW - timedelta(seconds=0.5)), **CHILDREN),
    ),
    "pods-made-a-while-ago": Case(
        "the start time is that of the first pod",
        make_job(),
        ObservedJob(all_pods(phase="Pending", created=NOW - timedelta(seconds=5)), **CHILDREN),
    ),
    "pods-pending": Case(
        "a reported start is not written again",
        make_job(started()),
        ObservedJob(all_pods(phase="Pending"), **CHILDREN),
    ),
    "pods-pending-for-long": Case(
        "a slow start without a known cause is not written again",
        make_job(started(start="2026-03-01T11:59:30Z")),
        ObservedJob((pod("launcher"), pod("worker-0"), pod("worker-1", phase="Pending")), **CHILDREN),
    ),
    "pod-waiting": Case(
        "the pod that cannot start is named, and why",
        make_job(started()),
        ObservedJob((*all_pods()[:2], pod("worker-1", phase="Pending", waiting="ErrImagePull: x:9")), **CHILDREN),
    ),
    "pod-deleted-before-running": Case(
        "its replacement waits until it is deleted",
        make_job(started()),
        ObservedJob((*all_pods()[:2], pod("worker-1", deleting=True)), **CHILDREN),
    ),
    "resumed-while-pods-end": Case(
        "pods that end because the suspension deleted them are no failure",
        make_job(started(), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (pod("launcher", phase="Failed", exit_code=143, deleting=True), *all_pods(deleting=True)[1:]), **CHILDREN
        ),
    ),
    "deleted-while-registering": Case(
        "the launcher that then fails is a consequence of the deletion",
        make_job(started(), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (pod("launcher", phase="Failed", exit_code=1), pod("worker-0"), pod("worker-1", deleting=True)), **CHILDREN
        ),
    ),
    "started-by-a-faster-clock": Case(
        "the pods of an attempt stay, although its time has not come by the clock of another operator",
        make_job(started("Restarting", workers={"restarts": 1, "desired": 2}, nextAttemptTime="2026-03-01T12:00:05Z")),
        ObservedJob(all_pods(attempt=1, phase="Pending"), **CHILDREN),
    ),
    "deadline-while-blocked": Case(
        "a job that was restarted and then blocked is still active",
        make_job(
            started("Restarting", LONG_AGO, workers={"restarts": 1, "desired": 2}),
            spec__runPolicy={"activeDeadlineSeconds": 600, "schedulingPolicy": {"kueue": {}}},
        ),
        ObservedJob(**CHILDREN),
    ),
    "running": Case(
        "all workers have registered",
        make_job(started()),
        ObservedJob(all_pods(), launcher=reported(), **CHILDREN),
    ),
    "registering": Case(
        "until all workers have registered the job is Pending; the missing ones are named, and until when",
        make_job(started()),
        ObservedJob(all_pods(), launcher=reported(1, 1, until=NOW + timedelta(seconds=60)), **CHILDREN),
    ),
    "registering-and-delayed": Case(
        "what keeps a worker from registering is named with it",
        make_job(started()),
        ObservedJob(all_pods(), launcher=reported(1, 1, delays=(WorkerDelay(1, FETCHING),)), **CHILDREN),
    ),
    "registering-just-now": Case(
        "a quick start saves a write",
        make_job(),
        ObservedJob(all_pods(created=NOW - timedelta(seconds=4)), launcher=reported(0, 0, 1), **CHILDREN),
    ),
    "registering-after-a-restart": Case(
        "the cause of the restart stays while the workers register",
        make_job(started("Restarting", workers={"restarts": 1, "desired": 2})),
        ObservedJob(all_pods(attempt=1), launcher=reported(0, 0, 1), **CHILDREN),
    ),
    "registering-past-the-deadline": Case(
        "the deadline bounds the wait for a worker that does not register, and names it",
        make_job(started(start=LONG_AGO), spec__runPolicy={"preRunningDeadlineSeconds": 600}),
        ObservedJob(all_pods(), launcher=reported(1, 0), **CHILDREN),
    ),
    "registered-past-the-deadline": Case(
        "a job whose workers have registered is not failed, however late the operator notices",
        make_job(started(start=LONG_AGO), spec__runPolicy={"preRunningDeadlineSeconds": 600}),
        ObservedJob(all_pods(), launcher=reported(), **CHILDREN),
    ),
    "launcher-not-read-yet": Case(
        "pods that run do not tell that their workers have registered",
        make_job(started(start=LONG_AGO), spec__runPolicy={"preRunningDeadlineSeconds": 600}),
        ObservedJob(all_pods(), **CHILDREN),
    ),
    "launcher-silent": Case(
        "a launcher may take a while to start; no deadline applies to what cannot be read",
        make_job(started(start=LONG_AGO), spec__runPolicy={"preRunningDeadlineSeconds": 600}),
        ObservedJob(all_pods(), launcher=silent(29), **CHILDREN),
    ),
    "launcher-silent-for-long": Case(
        "a launcher that cannot be read does not keep its job Pending: the pods tell whether it runs",
        make_job(started()),
        ObservedJob(all_pods(), launcher=silent(30), **CHILDREN),
    ),
    "launcher-silent-and-a-pod-pending": Case(
        "a launcher that cannot be read does not suspend the deadline of a pod that cannot start",
        make_job(started(start=LONG_AGO), spec__runPolicy={"preRunningDeadlineSeconds": 600}),
        ObservedJob((*all_pods()[:2], pod("worker-1", phase="Pending")), launcher=silent(60), **CHILDREN),
    ),
    "running-and-operator-restarted": Case(
        "an operator that has read no report yet does not take Running back",
        make_job(started("Running")),
        ObservedJob(all_pods(), **CHILDREN),
    ),
    "running-and-reported-otherwise": Case(
        "within an attempt no report takes Running back",
        make_job(started("Running")),
        ObservedJob(all_pods(), launcher=reported(1, 1), **CHILDREN),
    ),
    "assumed-and-operator-restarted": Case(
        "nor one that was assumed",
        make_job(started("Assumed")),
        ObservedJob(all_pods(), **CHILDREN),
    ),
    "assumed-and-confirmed": Case(
        "a report confirms what was assumed",
        make_job(started("Assumed")),
        ObservedJob(all_pods(), launcher=reported(), **CHILDREN),
    ),
    "assumed-wrongly": Case(
        "or corrects it",
        make_job(started("Assumed")),
        ObservedJob(all_pods(), launcher=reported(1, 1), **CHILDREN),
    ),
    "ended-before-registration": Case(
        "a worker that exits, even with 0, before its launcher knows it fails the attempt",
        make_job(started()),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Succeeded", exit_code=0, ended=NOW - timedelta(seconds=16))),
            launcher=reported(1, 1, read=NOW),
            **CHILDREN,
        ),
    ),
    "ended-before-registration-just-now": Case(
        "its launcher may know it when it is read next",
        make_job(started()),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Succeeded", exit_code=0, ended=NOW - timedelta(seconds=16))),
            launcher=reported(1, 1, read=NOW - timedelta(seconds=10)),
            **CHILDREN,
        ),
    ),
    "one-worker-ended": Case(
        "workers may end at different times once all have registered",
        make_job(started("Running")),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Succeeded", exit_code=0, ended=NOW - timedelta(seconds=900))),
            launcher=reported(read=NOW),
            **CHILDREN,
        ),
    ),
    "all-workers-ended": Case(
        "the launcher ends with its last worker, and may take a moment",
        make_job(started("Running")),
        ObservedJob(
            (pod("launcher"), *all_pods(phase="Succeeded", exit_code=0, ended=NOW - timedelta(seconds=20))[1:]),
            launcher=reported(read=NOW),
            **CHILDREN,
        ),
    ),
    "all-workers-ended-long-ago": Case(
        "a launcher that nobody can read does not run on when its workers have ended",
        make_job(started("Assumed"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (pod("launcher"), *all_pods(phase="Succeeded", exit_code=0, ended=NOW - timedelta(seconds=60))[1:]),
            launcher=silent(600),
            **CHILDREN,
        ),
    ),
    "running-progress": Case(
        "the launcher's progress is copied to the status",
        make_job(started("Running")),
        ObservedJob(
            all_pods(),
            launcher=reported(progress=Progress(step=40, total_steps=360, metrics={"loss": 0.5})),
            **CHILDREN,
        ),
    ),
    "running-tracked": Case(
        "the status names the run that records the job",
        make_job(started("Running"), spec__tracking=TRACKING),
        ObservedJob(all_pods(), launcher=reported(tracking=MlflowRun(run_id="ab" * 16)), **CHILDREN),
    ),
    "running-tracking-unavailable": Case(
        "the record lacks something, which an event says; the run that an earlier attempt began is kept",
        make_job(started("Running", tracking={"mlflow": {"runId": "ab" * 16}}), spec__tracking=TRACKING),
        ObservedJob(all_pods(), launcher=reported(tracking=MlflowRun(problem=LAGS)), **CHILDREN),
    ),
    "running-tracking-still-unavailable": Case(
        "there is one event each time that it begins",
        make_job(started("Running", tracking={"mlflow": {"problem": "status 500"}}), spec__tracking=TRACKING),
        ObservedJob(all_pods(), launcher=reported(tracking=MlflowRun(problem=LAGS)), **CHILDREN),
    ),
    "running-tracked-unasked": Case(
        "what a launcher says of a record that the job does not ask for is ignored",
        make_job(started("Running")),
        ObservedJob(all_pods(), launcher=reported(tracking=MlflowRun(run_id="ab" * 16)), **CHILDREN),
    ),
    "running-resumed": Case(
        "the status says from which checkpoint the training continued",
        make_job(started("Running")),
        ObservedJob(
            all_pods(),
            launcher=reported(progress=Progress(step=40, checkpoint_step=30, resumed_from_step=30)),
            **CHILDREN,
        ),
    ),
    "running-resumed-from-an-older-checkpoint": Case(
        "an event names the later ones, which are damaged",
        make_job(started("Running", progress={"step": 80, "updatedAt": STARTED})),
        ObservedJob(
            all_pods(),
            launcher=reported(progress=Progress(step=41, resumed_from_step=40, damaged_steps=(60, 80))),
            **CHILDREN,
        ),
    ),
    "running-resumed-from-an-older-checkpoint-before": Case(
        "it is sent once",
        make_job(started("Running", progress={"step": 41, "damagedSteps": [60, 80], "updatedAt": STARTED})),
        ObservedJob(
            all_pods(),
            launcher=reported(progress=Progress(step=42, resumed_from_step=40, damaged_steps=(60, 80))),
            **CHILDREN,
        ),
    ),
    "running-delayed": Case(
        "what a worker cannot do beside its training is in the condition, with the reason",
        make_job(started("Running")),
        ObservedJob(all_pods(), launcher=reported(delays=(WorkerDelay(0, PUBLISHING),)), **CHILDREN),
    ),
    "running-and-launcher-silent": Case(
        "a launcher that stands still is named before its workers give it up",
        make_job(started("Running")),
        ObservedJob(all_pods(), launcher=replace(reported(), silent_since=NOW - timedelta(seconds=5)), **CHILDREN),
    ),
    "running-and-launcher-silent-just-now": Case(
        "not for a moment's silence",
        make_job(started("Running")),
        ObservedJob(all_pods(), launcher=replace(reported(), silent_since=NOW - timedelta(seconds=4)), **CHILDREN),
    ),
    "running-delayed-no-more": Case(
        "and goes with it",
        make_job(started("Running", conditions=conditions_in("Delayed", STARTED))),
        ObservedJob(all_pods(), launcher=reported(), **CHILDREN),
    ),
    "running-progress-too-soon": Case(
        "progress is written at a bounded rate",
        make_job(started("Running", progress={"step": 39, "updatedAt": "2026-03-01T11:59:59Z"})),
        ObservedJob(all_pods(), launcher=reported(progress=Progress(step=40)), **CHILDREN),
    ),
    "worker-failed-retry": Case(
        "the failure is counted before anything is deleted",
        make_job(started("Running")),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, termination_message=FAILURE)), **CHILDREN
        ),
    ),
    "restarting": Case(
        "pods of the earlier attempt are deleted first",
        make_job(started("Restarting", workers={"restarts": 1, "desired": 2})),
        ObservedJob(all_pods(attempt=0), **CHILDREN),
    ),
    "restarted": Case(
        "the next attempt's pods have its number",
        make_job(started("Restarting", workers={"restarts": 1, "desired": 2})),
        ObservedJob((), **CHILDREN),
    ),
    "worker-failed-for-good": Case(
        "the worker, its exit code and its last lines are reported",
        make_job(started("Running"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, termination_message=FAILURE)), **CHILDREN
        ),
    ),
    "launcher-lost": Case(
        "a launcher that was paused blames no worker",
        make_job(started("Running"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (
                pod(
                    "launcher",
                    phase="Failed",
                    exit_code=1,
                    termination_message=said(failure={"worker": None, "reason": "LostLauncher", "logTail": "paused"}),
                ),
                *all_pods()[1:],
            ),
            **CHILDREN,
        ),
    ),
    "worker-killed-silently": Case(
        "for a killed pod the last lines of its log are reported",
        make_job(started("Running"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=137, termination_message="step 40")), **CHILDREN
        ),
    ),
    "worker-lost": Case(
        "a pod that is deleted while the others run ends the attempt",
        make_job(started("Running"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(all_pods()[:2], **CHILDREN),
    ),
    "never-started": Case(
        "a deadline ends the wait for a pod that cannot start",
        make_job(started(start=LONG_AGO), spec__runPolicy={"preRunningDeadlineSeconds": 600}),
        ObservedJob((*all_pods()[:2], pod("worker-1", phase="Pending", waiting="ErrImagePull: x:9")), **CHILDREN),
    ),
    "waits-for-long": Case(
        "without a deadline a job waits as long as it takes, for a GPU for example",
        make_job(started(start=LONG_AGO)),
        ObservedJob((*all_pods()[:2], pod("worker-1", phase="Pending", waiting="Unschedulable: 0/2")), **CHILDREN),
    ),
    "gate-being-read": Case(
        "nothing is decided until the artifact store has answered",
        make_job(spec__dataset=DATASET),
        ObservedJob(gate=Gate(pending=True)),
    ),
    "service-account-not-allowed": Case(
        "a service account outside of the administrator's list blocks the job",
        make_job(spec__workers__template__spec__serviceAccountName="admin"),
        ObservedJob(gate=Gate()),
    ),
    "uri-not-allowed": Case(
        "so does a dataset outside of the namespace's prefixes, whatever is known of it",
        make_job(spec__dataset=DATASET),
        ObservedJob(gate=OPEN),
        Settings(artifact_prefixes="default=s3://datasets/letters,team-b=s3://datasets"),
    ),
    "half-created": Case(
        "a rejected pod is reported, and the deadlines count from the first pod",
        make_job(),
        ObservedJob(all_pods(phase="Pending", created=NOW - timedelta(seconds=9))[:2], rejection=QUOTA, **CHILDREN),
    ),
    "none-created": Case(
        "a job whose first pod is rejected holds nothing", make_job(), ObservedJob(rejection=QUOTA, **CHILDREN)
    ),
    "half-created-for-long": Case(
        "pods that cannot be completed release their resources, so that two jobs cannot block each other",
        make_job(started(start=LONG_AGO)),
        ObservedJob(all_pods(created=NOW - timedelta(seconds=61))[:2], rejection=QUOTA, **CHILDREN),
    ),
    "half-created-past-its-deadline": Case(
        "the deadline applies to a job whose pods were never all created",
        make_job(started(start=LONG_AGO), spec__runPolicy={"preRunningDeadlineSeconds": 10}),
        ObservedJob(all_pods(created=NOW - timedelta(seconds=61))[:2], **CHILDREN),
    ),
    "released": Case(
        "a job that released its pods waits before it creates them again",
        make_job(started("Released", start="2026-03-01T11:59:59Z")),
        ObservedJob(**CHILDREN),
    ),
    "released-a-while-ago": Case(
        "then it tries again", make_job(started("Released", start=LONG_AGO)), ObservedJob(**CHILDREN)
    ),
    "key-perhaps-deleted": Case(
        "it is created again after 30 s, whatever has changed in the last of them",
        make_job(),
        ObservedJob(all_pods(phase="Pending", scheduled=True, created=NOW - timedelta(seconds=29)), **CHILDREN),
    ),
    "key-deleted": Case(
        "pods that do not start on their nodes may lack the key, which is created again",
        make_job(started()),
        ObservedJob(all_pods(phase="Pending", scheduled=True, created=NOW - timedelta(seconds=31)), **CHILDREN),
    ),
    "pod-terminating": Case(
        "a pod that does not end is named, since when and until when it is waited for",
        make_job(started("Restarting", workers={"restarts": 1, "desired": 2})),
        ObservedJob((pod("worker-0", deleting=True, deletion_time=NOW - timedelta(seconds=60)),), **CHILDREN),
    ),
    "pod-never-terminates": Case(
        "a pod on a lost node blocks the decision for a bounded time only",
        make_job(started("Restarting", workers={"restarts": 1, "desired": 2})),
        ObservedJob((pod("worker-0", deleting=True, deletion_time=NOW - timedelta(seconds=301)),), **CHILDREN),
    ),
    "deadline-while-terminating": Case(
        "deadlines apply while an earlier attempt's pods end",
        make_job(
            started("Restarting", start=LONG_AGO, workers={"restarts": 1, "desired": 2}),
            spec__runPolicy={"activeDeadlineSeconds": 60},
        ),
        ObservedJob((pod("worker-0", deleting=True),), **CHILDREN),
    ),
    "second-attempt-failed-unseen": Case(
        "no condition of the restart is left, and no worker counts as ready",
        make_job(started("Restarting", workers={"restarts": 1, "desired": 2}), spec__runPolicy={"backoffLimit": 1}),
        ObservedJob(
            (
                *all_pods(attempt=1)[:2],
                pod("worker-1", attempt=1, phase="Failed", exit_code=3, termination_message=FAILURE),
            ),
            **CHILDREN,
        ),
    ),
    "finished-and-edited": Case(
        "the generation of a finished job is observed, so that nobody waits for it in vain",
        make_job(started("Succeeded", completionTime=STARTED), metadata__generation=2),
        ObservedJob((), **CHILDREN),
    ),
    "finished-with-sidecars": Case(
        "a sidecar that would run for ever is deleted with its pod",
        make_job(started("Succeeded", completionTime="2026-03-01T11:59:45Z")),
        ObservedJob(all_pods(phase="Succeeded", sidecars=True), **CHILDREN),
    ),
    "new-with-a-launcher-template": Case(
        "the launcher gets its own resources, labels and affinity; images and scheduling default to the workers'",
        make_job(
            spec__launcherTemplate={
                "metadata": {"labels": {"team": "vision"}, "annotations": {"sidecar.istio.io/inject": "false"}},
                "spec": {
                    "nodeSelector": {},
                    "affinity": {"nodeAffinity": {}},
                    "containers": [
                        {
                            "name": "launcher",
                            "resources": {"limits": {"memory": "2Gi"}},
                            "env": [{"name": "A", "value": "1"}, {"name": "FAIRLEAD_WORKERS", "value": "9"}],
                        },
                        {"name": "sidecar", "image": "y:1"},
                    ],
                },
            },
            spec__workers__template__spec__nodeSelector={"gpu": "yes"},
            spec__workers__template__spec__tolerations=[{"operator": "Exists"}],
        ),
        ObservedJob(gate=Gate()),
    ),
    "new-with-nulls": Case(
        "null means unset",
        make_job(
            spec__workers__template__metadata={"labels": None, "annotations": None},
            spec__workers__template__spec__volumes=None,
            spec__workers__template__spec__initContainers=None,
            spec__workers__template__spec__securityContext=None,
            spec__workers__template__spec__containers__0__env=None,
            spec__workers__template__spec__containers__0__args=None,
            spec__workers__template__spec__containers__0__volumeMounts=None,
            spec__workers__template__spec__containers__0__securityContext={"capabilities": None},
        ),
        ObservedJob(gate=Gate()),
    ),
    "deadline-exceeded": Case(
        "the active deadline fails the job",
        make_job(started("Running", start=LONG_AGO), spec__runPolicy={"activeDeadlineSeconds": 60}),
        ObservedJob(all_pods(), **CHILDREN),
    ),
    "succeeded": Case(
        "the launcher's termination report has the model",
        make_job(started("Running", provenance=[OPEN.artifacts[0].model_dump()])),
        ObservedJob(
            (pod("launcher", phase="Succeeded", exit_code=0, termination_message=SUCCESS), *all_pods()[1:]), **CHILDREN
        ),
    ),
    "succeeded-tracked": Case(
        "a job that ends before it is asked reports its run at its end",
        make_job(started("Running"), spec__tracking=TRACKING),
        ObservedJob(
            (
                pod(
                    "launcher",
                    phase="Succeeded",
                    exit_code=0,
                    termination_message=said(model=None, tracking={"runId": "ab" * 16}),
                ),
                *all_pods()[1:],
            ),
            **CHILDREN,
        ),
    ),
    "succeeded-with-its-model": Case(
        "the model is where spec.model asks for it",
        make_job(started("Running"), spec__model={"uri": "s3://models/digits"}),
        ObservedJob(
            (pod("launcher", phase="Succeeded", exit_code=0, termination_message=SUCCESS), *all_pods()[1:]), **CHILDREN
        ),
    ),
    "succeeded-without-its-model": Case(
        "a job that must publish a model fails if its launcher reports none",
        make_job(started("Running"), spec__model={"uri": "s3://models/digits"}),
        ObservedJob(
            (pod("launcher", phase="Succeeded", exit_code=0, termination_message=said()), *all_pods()[1:]), **CHILDREN
        ),
    ),
    "succeeded-with-another-model": Case(
        "what a pod reports is not trusted: the model of another job is none of this one",
        make_job(started("Running"), spec__model={"uri": "s3://models/letters"}),
        ObservedJob(
            (pod("launcher", phase="Succeeded", exit_code=0, termination_message=SUCCESS), *all_pods()[1:]), **CHILDREN
        ),
    ),
    "succeeded-with-a-malformed-report": Case(
        "the job succeeded; the missing provenance is reported",
        make_job(started("Running")),
        ObservedJob(
            (
                pod("launcher", phase="Succeeded", exit_code=0, termination_message=said(model={"uri": "s3://m"})),
                *all_pods()[1:],
            ),
            **CHILDREN,
        ),
    ),
    "succeeded-unseen": Case(
        "a job that finished before its first status has a start time",
        make_job(),
        ObservedJob(
            (
                pod("launcher", phase="Succeeded", termination_message=SUCCESS, created=NOW - timedelta(seconds=5)),
                *all_pods(phase="Succeeded", created=NOW - timedelta(seconds=5))[1:],
            ),
            **CHILDREN,
        ),
    ),
    "worker-failed-with-a-malformed-report": Case(
        "a worker's malformed report is shown as text",
        make_job(started("Running"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (
                *all_pods()[:2],
                pod("worker-1", phase="Failed", exit_code=3, termination_message=said(failure={"worker": "one"})),
            ),
            **CHILDREN,
        ),
    ),
    "new-with-pull-secrets": Case(
        "the administrator's pull secrets are added to those of the pods",
        make_job(spec__workers__template__spec__imagePullSecrets=[{"name": "mirror"}, {"name": "own"}]),
        ObservedJob(gate=Gate()),
        Settings(image_pull_secrets="registry, mirror"),
    ),
    "new-with-many-containers": Case(
        "the kubelet's limit is divided among a pod's containers, so reports are shorter",
        make_job(
            spec__workers__template__spec__containers=[
                {"name": "trainer", "image": "x:1", "command": ["python3"]},
                *({"name": f"sidecar-{index}", "image": "y:1"} for index in range(3)),
            ]
        ),
        ObservedJob(gate=Gate()),
    ),
    "finished-lets-workers-end": Case(
        "workers end a moment after their launcher, and a pod that is deleted takes its log along",
        make_job(started("Succeeded", completionTime=STARTED)),
        ObservedJob((pod("launcher", phase="Succeeded"), *all_pods()[1:]), **CHILDREN),
    ),
    "finished-stops-at-once": Case(
        "where no pod has ended, nothing tells the others to end",
        make_job(started("Failed", completionTime=STARTED)),
        ObservedJob(all_pods(), **CHILDREN),
    ),
    "finished-deletes-all": Case(
        "cleanPodPolicy All keeps no pod",
        make_job(started("Succeeded", completionTime=STARTED), spec__runPolicy={"cleanPodPolicy": "All"}),
        ObservedJob(all_pods(phase="Succeeded"), **CHILDREN),
    ),
    "finished-cleans-up": Case(
        "running pods are deleted in the end, finished ones are kept for their logs",
        make_job(started("Succeeded", completionTime="2026-03-01T11:59:45Z")),
        ObservedJob((pod("launcher", phase="Succeeded"), *all_pods()[1:]), **CHILDREN),
    ),
    "restarting-backs-off": Case(
        "between two attempts nothing exists, and nothing is created too soon",
        make_job(started("Restarting", workers={"restarts": 2, "desired": 2}, nextAttemptTime="2026-03-01T12:00:15Z")),
        ObservedJob(**CHILDREN),
    ),
    "restarting-past-its-deadline": Case(
        "the deadline of the job counts the backoff",
        make_job(
            started(
                "Restarting", LONG_AGO, workers={"restarts": 2, "desired": 2}, nextAttemptTime="2026-03-01T12:00:15Z"
            ),
            spec__runPolicy={"activeDeadlineSeconds": 60},
        ),
        ObservedJob(**CHILDREN),
    ),
    "restarted-within-its-deadline": Case(
        "the deadline for the start counts from the end of the backoff",
        make_job(
            started(
                "Restarting", LONG_AGO, workers={"restarts": 1, "desired": 2}, nextAttemptTime="2026-03-01T11:59:30Z"
            ),
            spec__runPolicy={"preRunningDeadlineSeconds": 60},
        ),
        ObservedJob(all_pods(attempt=1, phase="Pending", waiting="ErrImagePull: x:9"), **CHILDREN),
    ),
    "running-again": Case(
        "a job that runs again is no longer about to start",
        make_job(
            started(
                "Restarting", LONG_AGO, workers={"restarts": 1, "desired": 2}, nextAttemptTime="2026-03-01T11:59:30Z"
            ),
        ),
        ObservedJob(all_pods(attempt=1), launcher=reported(), **CHILDREN),
    ),
    "finished-and-kept-for-a-while": Case(
        "a job with a time to live is looked at again when it is over",
        make_job(
            started("Succeeded", completionTime=STARTED),
            spec__runPolicy={"ttlSecondsAfterFinished": 60, "cleanPodPolicy": "None"},
        ),
        ObservedJob(all_pods(phase="Succeeded"), **CHILDREN),
    ),
    "new-with-coscheduling": Case(
        "all pods are members of a PodGroup, which counts the launcher, too; templates keep their own priority",
        make_job(
            spec__launcherTemplate={"spec": {"priorityClassName": "urgent"}},
            spec__runPolicy={
                "schedulingPolicy": {
                    "coscheduling": {"schedulerName": "gang", "scheduleTimeoutSeconds": 120},
                    "priorityClassName": "training",
                }
            },
        ),
        ObservedJob(gate=Gate()),
    ),
    "new-with-kueue": Case(
        "all pods of an attempt are a group in the job's queue",
        make_job(
            metadata__labels={"kueue.x-k8s.io/queue-name": "team", "kueue.x-k8s.io/priority-class": "urgent"},
            spec__workers__template__metadata={
                "labels": {"kueue.x-k8s.io/queue-name": "other"},
                "annotations": {"a": "b"},
            },
            spec__runPolicy={"schedulingPolicy": {"kueue": {}}},
        ),
        ObservedJob(gate=Gate()),
    ),
    "restarted-with-kueue": Case(
        "the next attempt is another group",
        make_job(
            started("Restarting", LONG_AGO, workers={"restarts": 1, "desired": 2}),
            metadata__labels={"kueue.x-k8s.io/queue-name": "team"},
            spec__runPolicy={"schedulingPolicy": {"kueue": {}}},
        ),
        ObservedJob(**CHILDREN),
    ),
    "kueue-without-a-queue": Case(
        "Kueue would ignore pods without a queue, and they would start at once",
        make_job(spec__runPolicy={"schedulingPolicy": {"kueue": {}}}),
        ObservedJob(gate=Gate()),
    ),
    "pod-unschedulable": Case(
        "the scheduler's own words are in the condition, which has its reason",
        make_job(started()),
        ObservedJob(
            (
                *all_pods()[:2],
                pod("worker-1", phase="Pending", unscheduled="Unschedulable", waiting="Unschedulable: 0/2 nodes"),
            ),
            **CHILDREN,
        ),
    ),
    "worker-failed-permanently": Case(
        "an exit code after which a restart does not help fails the job at once",
        make_job(started("Running"), spec__runPolicy={"exitCodes": {"permanent": [3]}}),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=3, termination_message=FAILURE)), **CHILDREN
        ),
    ),
    "worker-evicted": Case(
        "an eviction is no failure, and is not followed by a longer backoff each time",
        make_job(
            started("Running", workers={"restarts": 4, "disruptions": 3, "desired": 2}),
            spec__runPolicy={"backoffLimit": 1},
        ),
        ObservedJob(
            (
                *all_pods(attempt=4)[:2],
                pod("worker-1", attempt=4, phase="Failed", disruption="TerminationByKubelet: low on memory"),
            ),
            **CHILDREN,
        ),
    ),
    "worker-preempted-and-another-failed": Case(
        "a worker that misses its preempted peer is not to blame",
        make_job(started("Running"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (
                pod("launcher"),
                pod("worker-0", disruption="PreemptionByScheduler: for a job of higher priority"),
                pod("worker-1", phase="Failed", exit_code=3, termination_message=FAILURE),
            ),
            **CHILDREN,
        ),
    ),
    "worker-without-store": Case(
        "an outage of the artifact store is no failure of the training",
        make_job(started("Running"), spec__runPolicy={"backoffLimit": 0}),
        ObservedJob(
            (*all_pods()[:2], pod("worker-1", phase="Failed", exit_code=1, termination_message=NO_STORE)), **CHILDREN
        ),
    ),
    "disruptions-used-up": Case(
        "disruptions end, too",
        make_job(
            started("Running", workers={"restarts": 2, "disruptions": 2, "desired": 2}),
            spec__runPolicy={"disruptionLimit": 2},
        ),
        ObservedJob(all_pods(attempt=2)[:2], **CHILDREN),
    ),
    "step-not-left": Case(
        "a job whose step does not move is restarted",
        make_job(
            started("Running", LONG_AGO, progress={"step": 40, "steppedAt": "2026-03-01T11:50:00Z"}),
            spec__runPolicy={"progressDeadlineSeconds": 500},
        ),
        ObservedJob(all_pods(), launcher=reported(step=40, progress=Progress(step=40), read=NOW), **CHILDREN),
    ),
    "step-not-left-for-good": Case(
        "and fails at backoffLimit",
        make_job(started("Running", LONG_AGO), spec__runPolicy={"progressDeadlineSeconds": 500, "backoffLimit": 0}),
        ObservedJob(all_pods(), launcher=reported(read=NOW), **CHILDREN),
    ),
    "finished-after-an-eviction": Case(
        "an evicted launcher ends the job like any other: what still runs is deleted",
        make_job(started("Failed", completionTime="2026-03-01T11:59:45Z")),
        ObservedJob((pod("launcher", phase="Failed", waiting="Evicted: low on memory"), *all_pods()[1:]), **CHILDREN),
    ),
    "finished-and-evicted": Case(
        "with cleanPodPolicy All, evicted pods are deleted, too",
        make_job(started("Failed", completionTime=STARTED), spec__runPolicy={"cleanPodPolicy": "All"}),
        ObservedJob(all_pods(phase="Failed", waiting="Evicted: low on memory"), **CHILDREN),
    ),
    "finished-and-pods-terminating": Case(
        "pods that end need their Service until they are gone",
        make_job(started("Failed", completionTime=STARTED), spec__runPolicy={"cleanPodPolicy": "All"}),
        ObservedJob(all_pods(deleting=True), **CHILDREN),
    ),
    "finished-and-cleaned-up": Case(
        "no pod is left that others look for: the Service goes, finished pods stay for their logs",
        make_job(started("Succeeded", completionTime=STARTED)),
        ObservedJob(all_pods(phase="Succeeded"), **CHILDREN),
    ),
    "finished-without-a-service": Case(
        "then nothing is left to do",
        make_job(started("Succeeded", completionTime=STARTED)),
        ObservedJob(all_pods(phase="Succeeded")),
    ),
    "finished-and-expired": Case(
        "then it is deleted as a whole",
        make_job(started("Succeeded", completionTime=STARTED), spec__runPolicy={"ttlSecondsAfterFinished": 5}),
        ObservedJob(all_pods(), **CHILDREN),
    ),
    "finished-keeps-all": Case(
        "cleanPodPolicy None keeps all pods",
        make_job(started("Failed", completionTime=STARTED), spec__runPolicy={"cleanPodPolicy": "None"}),
        ObservedJob(all_pods(), **CHILDREN),
    ),
}


def plan(case: Case) -> Plan:
    return plan_training_job(case.job, case.observed, case.settings, NOW, key="0123456789abcdef" * 4)


@pytest.mark.parametrize("name", CASES)
def test_plan_matches_the_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    file = Path(__file__).parent / "training_job" / f"{name}.yaml"
    check_golden(plan(CASES[name]), file, request.config.getoption("--update-golden"))


def test_every_decision_has_a_case() -> None:
    for decide in (plan_training_job, _plan_attempt):
        with recorded_lines(decide) as lines:
            for case in CASES.values():
                plan(case)
        assert return_lines(decide) <= lines


def test_every_golden_file_has_a_case() -> None:
    files = {file.stem for file in (Path(__file__).parent / "training_job").glob("*.yaml")}
    assert files == CASES.keys()
