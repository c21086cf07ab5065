"""The real API server rejects invalid resources with helpful messages."""

import json

import pytest
import yaml
from fairlead_cluster.base.home import CHECKOUT

from tests.support.api_server import Kubectl
from tests.support.rejections import REJECTIONS, Rejection
from tests.support.resources import MODEL_DEPLOYMENT, SWEEP, TRAINING_JOB, Object, change


@pytest.mark.parametrize("rejection", REJECTIONS, ids=lambda rejection: rejection.reason)
def test_invalid_resource_is_rejected_at_admission(kubectl: Kubectl, rejection: Rejection) -> None:
    output = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(rejection.resource), check=False)
    for word in ("invalid", *rejection.words, *rejection.at_server):
        assert word in output


PREDICTORS = yaml.safe_load((CHECKOUT / "examples" / "predictors" / "model-deployment.yaml").read_text())
RETRAINED = yaml.safe_load((CHECKOUT / "examples" / "retraining" / "model-deployment.yaml").read_text())
BY_COOKIE = change(PREDICTORS, spec__stickiness={"cookie": "user"}, spec__predictors__0__traffic=0,
                   spec__predictors__1__traffic=100, spec__predictors__2=PREDICTORS["spec"]["predictors"][1]
                   | {"name": "other", "traffic": 0})  # fmt: skip
ALONE = change(MODEL_DEPLOYMENT, spec__predictors=[
    PREDICTORS["spec"]["predictors"][2], MODEL_DEPLOYMENT["spec"]["predictors"][0]])  # fmt: skip


@pytest.mark.parametrize(
    "resource",
    [TRAINING_JOB, MODEL_DEPLOYMENT, SWEEP, PREDICTORS, BY_COOKIE, ALONE, RETRAINED],
    ids=[
        "job",
        "deployment",
        "sweep",
        "predictors",
        "an entry without traffic",
        "a shadow of the only predictor",
        "retraining",
    ],
)
def test_valid_resource_is_admitted(kubectl: Kubectl, resource: dict[str, object]) -> None:
    output = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(resource))
    assert "created" in output


def test_unknown_field_is_rejected_by_name(kubectl: Kubectl) -> None:
    job = json.dumps(change(TRAINING_JOB, spec__worker=3))
    output = kubectl("create", "--dry-run=server", "-f", "-", stdin=job, check=False)
    assert 'unknown field "spec.worker"' in output


KEPT_FOR = {"spec__runPolicy__ttlSecondsAfterFinished": 60}
MODEL = {"uri": "s3://other/model"}
CONTAINER = "spec__workers__template__spec__containers__0__"
LAUNCHER = {"spec": {"containers": [{"name": "launcher", "resources": {"limits": {"memory": "2Gi"}}}]}}
ALWAYS_DENIED: tuple[tuple[Object, str], ...] = (
    ({"spec__workers__slots": 2}, "workers.slots: field is immutable"),
    ({"spec__dataset": {"uri": "s3://other/data"}}, "dataset: field is immutable"),
    ({"spec__model": {"uri": "s3://other/model"}}, "model: field is immutable"),
    ({"spec__elastic": {"maxReplicas": 4}}, "elastic: field is immutable"),
    ({"spec__runPolicy__managedBy": "kueue.x-k8s.io/multikueue"}, "runPolicy.managedBy: field is immutable"),
    ({f"{CONTAINER}image": "x:2"}, "spec.workers.template: field is immutable"),
    ({f"{CONTAINER}command": ["sh"]}, "spec.workers.template: field is immutable"),
    ({f"{CONTAINER}env": [{"name": "A", "value": "1"}]}, "spec.workers.template: field is immutable"),
    ({f"{CONTAINER}lifecycle": {"stopSignal": "SIGUSR1"}}, "spec.workers.template: field is immutable"),
    ({f"{CONTAINER}resources": {"requests": {"cpu": "2"}}}, "spec.workers.template: field is immutable"),
    ({"spec__workers__template__spec__initContainers": [{"name": "i", "image": "x"}]}, "spec.workers.template: field"),
    ({"spec__workers__template__spec__volumes": [{"name": "v", "emptyDir": {}}]}, "spec.workers.template: field"),
    ({"spec__launcherTemplate": LAUNCHER}, "spec.launcherTemplate: field is immutable"),
)  # fmt: skip
"""(changes, words of the message)"""
DENIED_UNLESS_HELD: tuple[tuple[Object, str], ...] = (
    ({"spec__workers__replicas": 3}, "spec.workers.replicas: can be changed only in an elastic job, or while"),
    ({"spec__workers__template__metadata": {"labels": {"queue": "a"}}}, "spec.workers.template: field is immutable"),
    ({"spec__workers__template__spec__nodeSelector": {"gpu": "yes"}}, "spec.workers.template: field is immutable"),
    ({"spec__workers__template__spec__tolerations": [{"operator": "Exists"}]}, "spec.workers.template: field"),
    ({"spec__launcherTemplate": {"spec": {"nodeSelector": {"gpu": "no"}}}}, "spec.launcherTemplate: field"),
    ({"spec__launcherTemplate": {"metadata": {"labels": {"queue": "a"}}}}, "spec.launcherTemplate: field"),
)  # fmt: skip
ALWAYS_ALLOWED: tuple[Object, ...] = (
    {"spec__runPolicy__suspend": True},
    {"spec__runPolicy__backoffLimit": 7},
    {"spec__runPolicy__activeDeadlineSeconds": 60},
    {"spec__runPolicy__preRunningDeadlineSeconds": 60},
    {"spec__runPolicy__progressDeadlineSeconds": 60},
    {"spec__runPolicy__cleanPodPolicy": "All"},
    KEPT_FOR,
)


def edit(kubectl: Kubectl, job: Object, changes: Object) -> str:
    """Return the API server's answer to a change of a job, which is not stored."""
    edited = json.dumps(change(job, **changes))
    return kubectl("apply", "--dry-run=server", "-f", "-", stdin=edited, check=False)


def create_job(kubectl: Kubectl, name: str, *, suspend: bool = False, **changes: object) -> Object:
    job = change(TRAINING_JOB, metadata__name=name, spec__runPolicy={"suspend": suspend}, **changes)
    kubectl.apply(job)
    return job


def test_what_a_job_trains_never_changes(kubectl: Kubectl) -> None:
    for suspend in (False, True):
        job = create_job(kubectl, f"immutable-{suspend}".lower(), suspend=suspend)
        for changes, words in ALWAYS_DENIED:
            assert words in edit(kubectl, job, changes), changes


def test_the_templates_of_a_job_that_is_not_suspended_do_not_change(kubectl: Kubectl) -> None:
    job = create_job(kubectl, "started")
    for changes, words in DENIED_UNLESS_HELD:
        assert words in edit(kubectl, job, changes), changes
        # the stored job counts: a change that suspends it comes too early
        assert words in edit(kubectl, job, changes | {"spec__runPolicy__suspend": True}), changes


def test_the_number_of_workers_and_what_queues_inject_may_change_while_a_job_is_held(kubectl: Kubectl) -> None:
    job = create_job(kubectl, "held-by-a-queue", suspend=True)
    for changes, _ in DENIED_UNLESS_HELD:
        assert "configured" in edit(kubectl, job, changes), changes
        assert "configured" in edit(kubectl, job, changes | {"spec__runPolicy__suspend": False}), changes
    kubectl.patch_status("tj", "held-by-a-queue", {"startTime": "2026-03-01T12:00:00Z"})  # its pods still exist
    for changes, words in DENIED_UNLESS_HELD:
        assert words in edit(kubectl, job, changes), changes


def test_a_launcher_template_that_exists_keeps_its_containers(kubectl: Kubectl) -> None:
    job = create_job(kubectl, "templated", suspend=True, spec__launcherTemplate=LAUNCHER)
    assert "configured" in edit(kubectl, job, {"spec__launcherTemplate__spec__nodeSelector": {"gpu": "no"}})
    words = "spec.launcherTemplate: field is immutable"
    assert words in edit(kubectl, job, {"spec__launcherTemplate__spec__containers__0__image": "x:2"})
    assert words in edit(kubectl, job, {"spec__launcherTemplate": ...})


def test_the_run_policy_of_a_job_may_change_at_any_time(kubectl: Kubectl) -> None:
    job = create_job(kubectl, "editable")
    for changes in ALWAYS_ALLOWED:
        assert "configured" in edit(kubectl, job, changes), changes


def test_a_finished_job_cannot_change(kubectl: Kubectl) -> None:
    job = change(TRAINING_JOB, metadata__name="finished", spec__runPolicy={"suspend": True})
    kubectl.apply(job)
    kubectl.patch_status("tj", "finished", {"completionTime": "2026-03-01T12:00:00Z", "phase": "Succeeded"})
    edited = change(job, spec__runPolicy={"suspend": False})
    assert "a finished job cannot be changed" in kubectl("apply", "-f", "-", stdin=json.dumps(edited), check=False)
    for changes in ({"spec__workers__replicas": 3}, {"spec__runPolicy__backoffLimit": 7}, {"spec__model": MODEL}):
        assert "a finished job cannot be changed" in edit(kubectl, job, changes), changes
        assert "a finished job cannot be changed" in edit(kubectl, job, changes | KEPT_FOR), changes
    assert "configured" in edit(kubectl, job, KEPT_FOR)
    kubectl("label", "tj", "finished", "team=vision")
    kubectl.patch_status("tj", "finished", {"phase": "Failed"})
    assert kubectl.get("tj", "finished")["status"]["phase"] == "Failed"


def test_printer_columns_are_shown(kubectl: Kubectl) -> None:
    kubectl.apply(change(TRAINING_JOB, metadata__name="columns", spec__runPolicy={"suspend": True}))
    header = kubectl("get", "tj").splitlines()[0].split()
    assert header == ["NAME", "PHASE", "READY", "WORKERS", "STEP", "TOTAL", "LOSS", "RESTARTS", "MODEL", "AGE"]


SWEEP_CHANGES: tuple[tuple[Object, str], ...] = (
    ({"spec__objective__metric": "loss"}, "objective.metric: field is immutable"),
    ({"spec__objective__goal": "Minimize"}, "objective.goal: field is immutable"),
    ({"spec__parameters__0__double__max": 1}, "parameters: field is immutable"),
    ({"spec__algorithm": {"name": "TPE"}}, "algorithm: field is immutable"),
    ({"spec__pruning": {"minSteps": 10}}, "pruning: field is immutable"),
    ({"spec__template__spec__model": MODEL}, "template: field is immutable"),
    ({"spec__maxTrials": 20}, ""),
    ({"spec__parallelism": 5}, ""),
    ({"spec__maxFailedTrials": 5}, ""),
    ({"spec__activeDeadlineSeconds": 60}, ""),
    ({"spec__objective__target": 0.9}, ""),
    ({"spec__suspend": True}, ""),
    ({"spec__ttlSecondsAfterFinished": 60}, ""),
)
"""(changes, words of the message; empty if the change is allowed)"""


def test_what_a_sweep_compares_never_changes_and_its_limits_may(kubectl: Kubectl) -> None:
    sweep = change(SWEEP, metadata__name="editable", spec__suspend=False)
    kubectl.apply(sweep)
    for changes, words in SWEEP_CHANGES:
        assert (words or "configured") in edit(kubectl, sweep, changes), changes
    kubectl.patch_status("sw", "editable", {"completionTime": "2026-03-01T12:00:00Z", "phase": "Succeeded"})
    for changes, words in SWEEP_CHANGES:
        expected = words or ("configured" if "spec__ttlSecondsAfterFinished" in changes else "a finished sweep cannot")
        assert expected in edit(kubectl, sweep, changes), changes
    kubectl("delete", "sw", "editable")


def test_the_columns_of_sweeps_are_shown(kubectl: Kubectl) -> None:
    kubectl.apply(change(SWEEP, metadata__name="columns", spec__suspend=True))
    header = kubectl("get", "sw").splitlines()[0].split()
    assert header == ["NAME", "PHASE", "TRIALS", "OF", "RUNNING", "PRUNED", "FAILED", "BEST", "TRIAL", "AGE"]
    kubectl("delete", "sw", "columns")
