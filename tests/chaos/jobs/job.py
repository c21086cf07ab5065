"""The jobs of the campaign: two processes with torchrun; dataset, checkpoints and model are in the object store."""

from pathlib import Path
from typing import Any

from fairlead.api.group import API_VERSION

from tests.chaos.jobs.store import BUCKET
from tests.support.trainings.steps import ELASTIC_TORCHRUN, FOLDER

Object = dict[str, Any]
WORKERS, STEPS, CHECKPOINT_STEPS, PAUSE = 2, 108, 10, 0.2
DATASET, SECRET = f"s3://{BUCKET}/data/v1", "artifact-store"
_TRAIN = f'python3 {ELASTIC_TORCHRUN} && echo weights > "$FAIRLEAD_MODEL_DIR/weights"'


def build_job(name: str, steps: Path, *, elastic: bool, image: str = "fairlead/trainer:0.1.0", **policy: int) -> Object:
    """Return a job whose trainings log into the folder `steps`; `policy` is added to its run policy."""
    variables = {FOLDER: str(steps), "STEPS": str(STEPS), "PAUSE": str(PAUSE), "OMP_NUM_THREADS": "1"}
    trainer = {
        "name": "trainer",
        "image": image,
        "command": ["sh", "-c", _TRAIN],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "envFrom": [{"secretRef": {"name": SECRET}}],
    }
    spec: Object = {
        "launcher": "Torchrun",
        "workers": {"replicas": WORKERS, "template": {"spec": {"containers": [trainer]}}},
        "dataset": {"uri": DATASET},
        "model": {"uri": f"s3://{BUCKET}/models/{name}"},
        "checkpoint": {"uri": f"s3://{BUCKET}/checkpoints", "everySteps": CHECKPOINT_STEPS, "keep": 3},
        "runPolicy": {"backoffLimit": 1, **policy},
    }
    if elastic:
        spec["elastic"] = {"minReplicas": 1, "maxReplicas": WORKERS, "hostCooldownSeconds": 2}
    return {"apiVersion": API_VERSION, "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}


def build_secret(variables: dict[str, str]) -> Object:
    """Return the Secret with which the job's pods access the store."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": variables}


def build_quota(pods: int) -> Object:
    """Return a quota of pods."""
    spec = {"hard": {"pods": str(pods)}}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "chaos"}, "spec": spec}
