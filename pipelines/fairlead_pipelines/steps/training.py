"""The step `train`: create a TrainingJob and wait for its model."""

import sys
from dataclasses import dataclass

from fairlead.api.group import API_VERSION
from fairlead.client import Conflict, FairleadClient, NotFound, Object, Rejected, ResourceFailed

_CODE_FOLDER = "/code"
_KIND = "TrainingJob"
_GRACE_SECONDS = 60
"""The step waits longer than the job's own deadline, so that it can report the job's message."""


@dataclass(frozen=True)
class Training:
    """The script, dataset and model of a run."""

    name: str
    image: str
    code: str
    """The ConfigMap with the script."""
    script: str
    """The script's key in the ConfigMap."""
    arguments: tuple[str, ...]
    workers: int
    dataset_uri: str
    dataset_digest: str
    model_uri: str
    store_secret: str
    """A Secret with the object store's variables; not required for file:// URIs."""
    seconds: int


def train(client: FairleadClient, training: Training) -> Object:
    """Create the run's TrainingJob, or find that of an earlier attempt; return its model: uri, digest, version.

    Raise FairleadError with the message of the job's condition if it fails.
    """
    job = build_training_job(training)
    _require_same(client, job)
    client.apply(job, force=False)
    seconds = training.seconds + _GRACE_SECONDS
    status = client.wait(_KIND, training.name, "Succeeded", seconds=seconds, on_observed=_ProgressLines())["status"]
    model = next((item for item in status.get("provenance", []) if item["name"] == "model"), None)
    if model is None:
        message = "status.provenance: got no model, expected the one that the job published"
        raise ResourceFailed(f"{_KIND} {training.name}: {message}")
    return {"uri": model["uri"], "digest": model["digest"], "version": status["modelVersion"]}


def build_training_job(training: Training) -> Object:
    """Build the job; the script is mounted from its ConfigMap."""
    labels = {"fairlead.dev/job": training.name, "fairlead.dev/role": "worker"}
    trainer = {
        "name": "trainer",
        "image": training.image,
        "command": ["python3", f"{_CODE_FOLDER}/{training.script}", *training.arguments],
        "volumeMounts": [{"name": "code", "mountPath": _CODE_FOLDER}],
        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
        "envFrom": [{"secretRef": {"name": training.store_secret, "optional": True}}],
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    pod = {
        "topologySpreadConstraints": [spread],
        "volumes": [{"name": "code", "configMap": {"name": training.code}}],
        "containers": [trainer],
    }
    dataset = {"uri": training.dataset_uri, "digest": training.dataset_digest, "requireValidation": True}
    return {
        "apiVersion": API_VERSION,
        "kind": _KIND,
        "metadata": {"name": training.name},
        "spec": {
            "launcher": "Horovod",
            "workers": {"replicas": training.workers, "slots": 1, "template": {"spec": pod}},
            "dataset": dataset,
            "model": {"uri": training.model_uri},
            "runPolicy": {"backoffLimit": 1, "activeDeadlineSeconds": training.seconds},
        },
    }


def _require_same(client: FairleadClient, job: Object) -> None:
    """Raise Conflict if a job of this name has another spec: its model would be mistaken for this run's.

    The API server compares the specs, including defaults: applying an equal spec does not change the generation.
    """
    name = job["metadata"]["name"]
    try:
        existing = client.get(_KIND, name)
    except NotFound:
        return
    try:
        would_be = client.apply(job, force=False, dry_run=True)
    except (Conflict, Rejected) as error:
        raise Conflict(f"{error}. A job of an earlier run exists; give this run another name") from None
    if would_be["metadata"]["generation"] != existing["metadata"]["generation"]:
        raise Conflict(f"{_KIND} {name}: exists with another spec; give this run another name")


class _ProgressLines:
    """Prints a line whenever the job's progress changes."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, job: Object) -> None:
        line = _describe_progress(job)
        if line != self._shown:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            self._shown = line


def _describe_progress(job: Object) -> str:
    status = job.get("status", {})
    line = f"{job['metadata']['name']}: {status.get('phase') or 'Pending'}"
    if progress := status.get("progress"):
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in sorted(progress.get("metrics", {}).items()))
        line += f": step {progress.get('step')}/{progress.get('totalSteps', '?')} {metrics}"
    return line
