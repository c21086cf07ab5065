"""The step `train`: a TrainingJob, from its creation to its model."""

import sys
from dataclasses import dataclass

from fairlead_pipelines.steps.cluster import API_VERSION, Cluster, Object, StepFailed, find_condition

_CODE_FOLDER = "/code"
_KIND = "TrainingJob"
_GRACE_SECONDS = 60
"""The job's own deadline comes first, so that the step can tell its message."""


@dataclass(frozen=True)
class Training:
    """What a run trains, on what, and where the model goes."""

    name: str
    image: str
    code: str
    """The ConfigMap with the script."""
    script: str
    """Its key there."""
    arguments: tuple[str, ...]
    workers: int
    dataset_uri: str
    dataset_digest: str
    model_uri: str
    store_secret: str
    """A Secret with the object store's variables; need not exist for file:// URIs."""
    seconds: int


def train(cluster: Cluster, training: Training) -> Object:
    """Create the run's TrainingJob, or find the one of an earlier try, and return its model: uri, digest, version.

    Raises StepFailed with the message of the job's condition when it fails.
    """
    job = build_training_job(training)
    _require_same(cluster, job)
    cluster.apply(job)
    finished = cluster.wait(_KIND, training.name, _Follower().has_finished, training.seconds + _GRACE_SECONDS)
    status = finished["status"]
    model = next((item for item in status.get("provenance", []) if item["name"] == "model"), None)
    if model is None:
        raise StepFailed(f"{_KIND} {training.name}: status.provenance: got no model, expected the one it published")
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


def _require_same(cluster: Cluster, job: Object) -> None:
    """Refuse a job of this name with another spec: its model would be taken for this run's.

    The API server itself compares, defaults included: applying an equal spec leaves the generation as it is.
    """
    name = job["metadata"]["name"]
    existing = cluster.find(_KIND, name)
    if existing is None:
        return
    try:
        would_be = cluster.apply(job, dry_run=True)
    except StepFailed as error:
        raise StepFailed(f"{error}. A job of an earlier run is there; give this run another name") from None
    if would_be["metadata"]["generation"] != existing["metadata"]["generation"]:
        raise StepFailed(f"{_KIND} {name}: exists with another spec; give this run another name")


class _Follower:
    """Prints a line when the job has come further, until it finishes."""

    def __init__(self) -> None:
        self._shown = ""

    def has_finished(self, job: Object) -> bool:
        """Say whether the job has succeeded; raises StepFailed when it failed."""
        line = _describe_progress(job)
        if line != self._shown:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            self._shown = line
        if failed := find_condition(job, "Failed"):
            raise StepFailed(f"{_KIND} {job['metadata']['name']} failed: {failed['reason']}: {failed['message']}")
        return find_condition(job, "Succeeded") is not None


def _describe_progress(job: Object) -> str:
    status = job.get("status", {})
    line = f"{job['metadata']['name']}: {status.get('phase') or 'Pending'}"
    if progress := status.get("progress"):
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in sorted(progress.get("metrics", {}).items()))
        line += f": step {progress.get('step')}/{progress.get('totalSteps', '?')} {metrics}"
    return line
