"""The planner of TrainingJobs: a case for each decision, compared with a golden file."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fairlead.api.base import ArtifactRef
from fairlead.api.training_job import Progress, TrainingJob
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import Gate, ObservedJob
from fairlead.core.training_job.plan import plan_training_job
from fairlead.core.views import PodView

from tests.support.golden import check_golden
from tests.support.resources import DIGEST, make_job
from tests.support.returns import recorded_lines, return_lines

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
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


@dataclass(frozen=True)
class Case:
    """One decision: its reason and the observed state."""

    reason: str
    job: TrainingJob
    observed: ObservedJob


def pod(name: str, **changes: Any) -> PodView:
    role, _, index = name.partition("-")
    facts = {"phase": "Running", "ip": "10.0.0.9"} | changes
    return PodView(name=f"digits-{name}", uid=f"uid-{name}", role=role, index=int(index or 0), **facts)


def all_pods(**changes: Any) -> tuple[PodView, ...]:
    return tuple(pod(name, **changes) for name in ("launcher", "worker-0", "worker-1"))


def started(phase: str = "Pending", start: str = STARTED, **more: Any) -> dict[str, Any]:
    running = "True" if phase == "Running" else "False"
    stamp = {"lastTransitionTime": start, "observedGeneration": 1}
    return {
        "observedGeneration": 1,
        "phase": phase,
        "startTime": start,
        "workers": {"ready": 2 if phase == "Running" else 0, "desired": 2, "restarts": 0},
        "conditions": [
            {"type": "Created", "status": "True", "reason": "ChildrenCreated", "message": "…"} | stamp,
            {"type": "Running", "status": running, "reason": "PodsPending", "message": "…"} | stamp,
        ],
    } | more


def said(**report: Any) -> str:
    return json.dumps(report)


FAILURE = said(
    failure={"worker": 1, "rank": 1, "exitCode": 3, "signal": None, "reason": "Exited", "logTail": "ValueError: no"}
)
SUCCESS = said(
    model={"uri": "s3://models/digits/digits-0a1b2c3d", "digest": DIGEST, "version": "digits-0a1b2c3d"},
    progress={"step": 360, "totalSteps": 360, "metrics": {"loss": 0.01}},
)
CHILDREN = {"has_service": True}

CASES = {
    "new": Case("everything is created", make_job(), ObservedJob(gate=Gate())),
    "new-with-dataset-and-model": Case(
        "the pods get the URIs of data and model; the gate's artifacts are recorded",
        make_job(spec__dataset=DATASET, spec__model={"uri": "s3://models/digits"}),
        ObservedJob(gate=OPEN),
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
    "unsupported-elastic": Case(
        "an unsupported field fails the job immediately",
        make_job(spec__elastic={"minReplicas": 1, "maxReplicas": 4}),
        ObservedJob(gate=Gate()),
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
    "running": Case("all pods run", make_job(started()), ObservedJob(all_pods(), **CHILDREN)),
    "running-progress": Case(
        "the launcher's progress is copied to the status",
        make_job(started("Running")),
        ObservedJob(all_pods(), progress=Progress(step=40, total_steps=360, metrics={"loss": 0.5}), **CHILDREN),
    ),
    "running-progress-too-soon": Case(
        "progress is written at a bounded rate",
        make_job(started("Running", progress={"step": 39, "updatedAt": "2026-03-01T11:59:59Z"})),
        ObservedJob(all_pods(), progress=Progress(step=40), **CHILDREN),
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
        make_job(started(start=LONG_AGO)),
        ObservedJob((*all_pods()[:2], pod("worker-1", phase="Pending", waiting="ErrImagePull: x:9")), **CHILDREN),
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
    "finished-keeps-all": Case(
        "cleanPodPolicy None keeps all pods",
        make_job(started("Failed", completionTime=STARTED), spec__runPolicy={"cleanPodPolicy": "None"}),
        ObservedJob(all_pods(), **CHILDREN),
    ),
}


def plan(case: Case) -> Plan:
    return plan_training_job(case.job, case.observed, Settings(), NOW, key="0123456789abcdef" * 4)


@pytest.mark.parametrize("name", CASES)
def test_plan_matches_the_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    file = Path(__file__).parent / "training_job" / f"{name}.yaml"
    check_golden(plan(CASES[name]), file, request.config.getoption("--update-golden"))


def test_every_decision_has_a_case() -> None:
    with recorded_lines(plan_training_job) as lines:
        for case in CASES.values():
            plan(case)
    assert return_lines(plan_training_job) <= lines


def test_every_golden_file_has_a_case() -> None:
    files = {file.stem for file in (Path(__file__).parent / "training_job").glob("*.yaml")}
    assert files == CASES.keys()
