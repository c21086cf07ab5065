"""TrainingJobs of three pods with requests for CPU, and what tests do with them."""

import json
from typing import Any

from fairlead.core import names
from fairlead_contracts.termination import Failure, FailureReport, SuccessReport, encode_report

from tests.schedulers.nodes import Nodes
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.resources import TRAINING_JOB, Object, change

WAIT_SECONDS = 90
"""How long each step of a job may take: on a machine that does much else, schedulers back off for seconds."""


def create_job(kubectl: Kubectl, name: str, cpu: str = "1", labels: Object | None = None, **changes: Any) -> None:
    """Create a job whose launcher asks for one CPU and whose two workers ask for `cpu` each."""
    launcher = {"containers": [{"name": "launcher", "resources": _request("1")}]}
    trainer = {**TRAINING_JOB["spec"]["workers"]["template"]["spec"]["containers"][0], "resources": _request(cpu)}
    job = change(
        TRAINING_JOB, metadata__name=name, metadata__labels=labels or {}, spec__launcherTemplate={"spec": launcher},
        spec__workers__template__spec__containers=[trainer], **changes,
    )  # fmt: skip
    kubectl.apply(job)


def pods_of(kubectl: Kubectl, job: str) -> list[Object]:
    """Return the pods of a job."""
    return kubectl.list("pods", labels=f"{names.JOB}={job}")


def nodes_of(kubectl: Kubectl, job: str) -> list[str]:
    """Return the nodes that the pods of a job are bound to."""
    return [pod["spec"]["nodeName"] for pod in pods_of(kubectl, job) if pod["spec"].get("nodeName")]


def read_status(kubectl: Kubectl, job: str) -> Object:
    """Return the status of a job."""
    return dict(kubectl.get("tj", job).get("status", {}))


def wait_for_phase(kubectl: Kubectl, job: str, phase: str) -> Object:
    """Wait until a job has a phase; return its status."""

    def look() -> Object | None:
        status = read_status(kubectl, job)
        return status if status.get("phase") == phase else None

    try:
        return dict(wait_for(look, f"{job} to be {phase}", WAIT_SECONDS))
    except AssertionError as error:
        pods = [(pod["metadata"]["name"], pod.get("status", {}).get("phase"), pod["metadata"].get("deletionTimestamp"))
                for pod in pods_of(kubectl, job)]  # fmt: skip
        raise AssertionError(f"{error}; status {json.dumps(read_status(kubectl, job))}, pods {pods}") from error


def wait_for_reason(kubectl: Kubectl, job: str, reason: str) -> str:
    """Wait until a job says why it does not run; return its message."""

    def look() -> str:
        found = condition(kubectl.get("tj", job), "Running")
        return str(found["message"]) if found.get("reason") == reason else ""

    return str(wait_for(look, f"{job} to wait with the reason {reason}", WAIT_SECONDS))


def wait_for_pods(kubectl: Kubectl, job: str, attempt: int = 0, count: int = 3) -> list[Object]:
    """Wait until all pods of an attempt exist; return them."""

    def look() -> list[Object] | None:
        labels = f"{names.JOB}={job},{names.ATTEMPT}={attempt}"
        pods = [pod for pod in kubectl.list("pods", labels=labels) if "deletionTimestamp" not in pod["metadata"]]
        return pods if len(pods) == count else None

    return list(wait_for(look, f"the pods of {job}, attempt {attempt}", WAIT_SECONDS))


def wait_for_no_pods(kubectl: Kubectl, job: str) -> None:
    """Wait until no pod of a job is left."""

    def left() -> list[Object]:
        return [pod["metadata"] for pod in pods_of(kubectl, job)]

    try:
        wait_for(lambda: not left(), f"the pods of {job} to go", WAIT_SECONDS)
    except AssertionError as error:
        held = {meta["name"]: (meta.get("deletionTimestamp"), meta.get("finalizers")) for meta in left()}
        raise AssertionError(f"{error}; left: {held}") from error


def succeed(kubectl: Kubectl, nodes: Nodes, job: str) -> None:
    """Let a running job end well, and wait until it says so."""
    message = encode_report(SuccessReport()).decode()
    for pod in sorted(pods_of(kubectl, job), key=lambda pod: pod["metadata"]["name"], reverse=True):
        nodes.end(pod, 0, message if pod["metadata"]["name"].endswith("-launcher") else "")
    wait_for_phase(kubectl, job, "Succeeded")


def fail_worker(kubectl: Kubectl, nodes: Nodes, job: str) -> None:
    """Let the script of worker 1 fail."""
    failure = FailureReport(failure=Failure(worker=1, rank=1, exit_code=3, reason="Exited"))
    nodes.end(kubectl.get("pod", f"{job}-worker-1"), 3, encode_report(failure).decode())


def _request(cpu: str) -> Object:
    return {"requests": {"cpu": cpu, "memory": "64Mi"}}
