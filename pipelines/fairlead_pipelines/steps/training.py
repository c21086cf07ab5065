"""The step `train`: create a TrainingJob, follow it, and return its model.

Whatever ends the step before the job has ended, the job goes with it: it is suspended, and a retried step resumes it.
"""

import sys
import threading

from fairlead.client import (
    Conflict,
    FairleadClient,
    FairleadError,
    NotFound,
    Object,
    Rejected,
    ResourceFailed,
    WaitTimeout,
)

from fairlead_pipelines.steps.interruption import Interrupted, raising_interrupts
from fairlead_pipelines.steps.training_job import KIND, Training, build_training_job

_GRACE_SECONDS = 60
"""The step waits longer than the job's own deadline, so that it can report the job's message."""
_SUMMARIES = ("Ready", "Reconciling", "Stalled")


def train(client: FairleadClient, training: Training, owner: Object | None = None) -> Object:
    """Create the run's TrainingJob, or find that of an earlier attempt; return its model and metrics.

    The keys are uri, digest, version and metrics. Raise FairleadError with the message of the job's condition if it
    fails, and Interrupted.
    """
    job = build_training_job(training, owner)
    _require_script(client, training)
    _require_same(client, job)
    with raising_interrupts():
        try:
            client.apply(job, force=False)
            _follow_logs(client, training.name)
            seconds, lines = training.seconds + _GRACE_SECONDS, _ProgressLines()
            status = client.wait(KIND, training.name, "Succeeded", seconds=seconds, on_observed=lines)["status"]
        except (Interrupted, WaitTimeout):
            _suspend(client, job, owner)
            raise
    model = next((item for item in status.get("provenance", []) if item["name"] == "model"), None)
    if model is None:
        message = "status.provenance: got no model, expected the one that the job published"
        raise ResourceFailed(f"{KIND} {training.name}: {message}")
    metrics = status.get("progress", {}).get("metrics", {})
    return {"uri": model["uri"], "digest": model["digest"], "version": status["modelVersion"], "metrics": metrics}


def _require_script(client: FairleadClient, training: Training) -> None:
    """Raise NotFound without the script: the job's pods would wait for its ConfigMap for ever."""
    remedy = f"`kubectl create configmap -n {client.namespace} {training.code} --from-file={training.script}=FILE`"
    try:
        keys = sorted(client.get("ConfigMap", training.code).get("data", {}))
    except NotFound:
        message = f"does not exist in namespace {client.namespace}, expected one with {training.script}: {remedy}"
        raise NotFound(f"ConfigMap {training.code}: {message}") from None
    if training.script not in keys:
        raise NotFound(f"ConfigMap {training.code}: got {', '.join(keys) or 'no keys'}, expected {training.script}")


def _require_same(client: FairleadClient, job: Object) -> None:
    """Raise Conflict if a job of this name has another spec: its model would be mistaken for this run's.

    The API server compares the specs, including defaults: applying an equal spec does not change the generation.
    """
    name = job["metadata"]["name"]
    try:
        existing = client.get(KIND, name)
    except NotFound:
        return
    # an earlier attempt that was interrupted has suspended it
    suspend = existing["spec"].get("runPolicy", {}).get("suspend", False)
    try:
        would_be = client.apply(_with_suspend(job, suspend), force=False, dry_run=True)
    except (Conflict, Rejected) as error:
        raise Conflict(f"{error}. A job of an earlier run exists; give this run another name") from None
    if would_be["metadata"]["generation"] != existing["metadata"]["generation"]:
        raise Conflict(f"{KIND} {name}: exists with another spec; give this run another name")


def _suspend(client: FairleadClient, job: Object, owner: Object | None) -> None:
    """Suspend the job: its pods are deleted, and the next attempt resumes it. That of another run is left alone."""
    name = job["metadata"]["name"]
    try:
        references = client.get(KIND, name)["metadata"].get("ownerReferences", [])
        if [each["uid"] for each in references] != ([owner["uid"]] if owner else []):
            _print(f"{name}: not suspended, because it is another run's")
            return
        client.apply(_with_suspend(job, True), force=True)
        _print(f"{name}: suspended, because its step ended first; a retry resumes it")
    except NotFound:
        _print(f"{name}: not created yet")
    except FairleadError as error:
        _print(f"{name}: could not be suspended: {error}")


def _with_suspend(job: Object, suspend: bool) -> Object:
    policy = job["spec"]["runPolicy"] | {"suspend": suspend}
    return job | {"spec": job["spec"] | {"runPolicy": policy}}


def _follow_logs(client: FairleadClient, name: str) -> None:
    """Print the logs of the job's pods as they are written, in a thread that ends with the process."""

    def follow() -> None:
        try:
            for line in client.job_logs(name, follow=True):
                _print(f"{line.source}: {line.text}")
        except FairleadError as error:
            _print(f"{name}: its logs cannot be followed: {error}")

    threading.Thread(target=follow, daemon=True).start()


class _ProgressLines:
    """Prints a line whenever the job's progress, or what it waits for, changes."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, job: Object) -> None:
        line = _describe_progress(job)
        if line != self._shown:
            _print(line)
            self._shown = line


def _describe_progress(job: Object) -> str:
    status = job.get("status", {})
    line = f"{job['metadata']['name']}: {status.get('phase') or 'Pending'}"
    if progress := status.get("progress"):
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in sorted(progress.get("metrics", {}).items()))
        return f"{line}: step {progress.get('step')}/{progress.get('totalSteps', '?')} {metrics}"
    waiting = (item for item in status.get("conditions", []) if item["status"] == "False" and item.get("message"))
    reasons = [f"{item['reason']}: {item['message']}" for item in waiting if item["type"] not in _SUMMARIES]
    return f"{line}: {'; '.join(dict.fromkeys(reasons))}" if reasons else line


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
