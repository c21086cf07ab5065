"""Minimal resources for tests; `change` patches them by path."""

import copy
from typing import Any

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.sweep import Sweep
from fairlead.api.training_job import TrainingJob

Object = dict[str, Any]
DIGEST = "sha256:" + "ab" * 32

TRAINING_JOB: Object = {
    "apiVersion": "fairlead.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "digits", "namespace": "default"},
    "spec": {
        "workers": {
            "replicas": 2,
            "template": {
                "spec": {
                    "containers": [
                        {"name": "trainer", "image": "fairlead/trainer:0.1.0", "command": ["python3", "train.py"]}
                    ]
                }
            },
        },
    },
}

MODEL_DEPLOYMENT: Object = {
    "apiVersion": "fairlead.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "digits", "namespace": "default"},
    "spec": {
        "predictors": [
            {
                "name": "main",
                "graph": {
                    "name": "scaler",
                    "type": "TRANSFORMER",
                    "modelUri": "s3://models/scaler/v1",
                    "children": [{"name": "classifier", "modelUri": "s3://models/digits/v1"}],
                },
            }
        ]
    },
}

ROLLOUT: Object = {
    "steps": [{"traffic": 10, "seconds": 20}, {"traffic": 50, "seconds": 20}],
    "analysis": {"intervalSeconds": 10, "minRequests": 100, "failureLimit": 0, "maxErrorRate": 0.01},
}

DRIFT: Object = {"windowSeconds": 40, "minRows": 100, "maxPsi": 0.2}
RETRAIN: Object = {
    "template": {
        "spec": {
            "workers": TRAINING_JOB["spec"]["workers"],
            "dataset": {"uri": "s3://datasets/digits/v2"},
            "model": {"uri": "s3://models/digits"},
            "checkpoint": {"uri": "s3://checkpoints/digits", "everySteps": 10},
        }
    },
    "conversion": {"minAccuracy": 0.9, "envSecretRefName": "artifact-store"},
    "coolDownSeconds": 100,
    "deadlineSeconds": 600,
}

NODE_CONTAINER: Object = {"spec": {"containers": [{"name": "classifier", "image": "example/node:1"}]}}


def change(resource: Object, **changes: Any) -> Object:
    """Return a copy with values set by path: `spec__workers__replicas=3`; numbers are list indexes; `...` removes."""
    result = copy.deepcopy(resource)
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("__")]
        place: Any = result
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else place[parent]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return result


SWEEP: Object = {
    "apiVersion": "fairlead.dev/v1alpha1",
    "kind": "Sweep",
    "metadata": {"name": "digits", "namespace": "default"},
    "spec": {
        "objective": {"metric": "accuracy", "goal": "Maximize"},
        "parameters": [
            {"name": "lr", "double": {"min": 0.001, "max": 0.1, "log": True}},
            {"name": "width", "integer": {"min": 8, "max": 64, "step": 8}},
            {"name": "optimizer", "categorical": {"values": ["adam", "sgd"]}},
        ],
        "parallelism": 3,
        "maxTrials": 12,
        "template": {
            "spec": change(
                TRAINING_JOB,
                spec__workers__template__spec__containers__0__args=[
                    "--lr=${trialParameters.lr}",
                    "--width=${trialParameters.width}",
                ],
                spec__workers__template__spec__containers__0__env=[
                    {"name": "OPTIMIZER", "value": "${trialParameters.optimizer}"},
                    {"name": "SHELL", "value": "${HOME}"},
                ],
            )["spec"],
        },
    },
}


def make_job(status: Object | None = None, **changes: Any) -> TrainingJob:
    """Return a TrainingJob as the API server returns it."""
    obj = change(TRAINING_JOB, **changes)
    obj["metadata"] = {"uid": "0a1b2c3d-0000-4000-8000-000000000000", "generation": 1} | obj["metadata"]
    return TrainingJob.model_validate(obj | {"status": status or {}})


def make_sweep(status: Object | None = None, **changes: Any) -> Sweep:
    """Return a Sweep as the API server returns it."""
    obj = change(SWEEP, **changes)
    obj["metadata"] |= {"uid": "5e3e9000-0000-4000-8000-000000000000", "generation": 1}
    return Sweep.model_validate(obj | {"status": status or {}})


def make_deployment(status: Object | None = None, **changes: Any) -> ModelDeployment:
    """Return a ModelDeployment as the API server returns it."""
    obj = change(MODEL_DEPLOYMENT, **changes)
    obj["metadata"] |= {"uid": "4d3c2b1a-0000-4000-8000-000000000000", "generation": 1}
    return ModelDeployment.model_validate(obj | {"status": status or {}})
