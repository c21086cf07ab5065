"""The children of a retraining run: a TrainingJob from the template, and the pod that converts its model."""

import json
from typing import Any

from fairlead_contracts.termination import limit_for

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.retrain import Conversion, JobTemplate, Retrain, RetrainRun
from fairlead.core import names
from fairlead.core.children import Object, build_owned
from fairlead.core.pod_defaults import restricted_pod_spec
from fairlead.core.settings import Settings

_RESOURCES = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}


def hash_template(policy: Retrain) -> str:
    """Return a hash of what a run does."""
    content = [_dump(policy.template), _dump(policy.conversion)]
    return names.short_hash(json.dumps(content, sort_keys=True))


def build_job(deployment: ModelDeployment, policy: Retrain, run: RetrainRun) -> Object:
    """Return the TrainingJob of a run, which starts with the run's checkpoints."""
    user, spec = policy.template.metadata, _dump(policy.template.spec)
    if run.restore_from and "checkpoint" in spec:
        spec["checkpoint"]["restoreFrom"] = run.restore_from
    added = user.to_dict() if user else {}
    labels = names.without_reserved(added.get("labels", {})) | names.retraining_labels(deployment)
    head = build_owned(deployment, deployment.api_version, "TrainingJob", run.job, labels)
    if annotations := added.get("annotations"):
        head["metadata"]["annotations"] = annotations
    return head | {"spec": spec}


def build_converter(deployment: ModelDeployment, policy: Conversion, run: RetrainRun, settings: Settings) -> Object:
    """Return the pod that converts the model of a run, compares both, and publishes the conversion beside it."""
    # Longer than 40 lines: one literal, in the order of the pod's YAML.
    labels = names.retraining_labels(deployment) | {names.ROLE: names.CONVERTER}
    head = build_owned(deployment, "v1", "Pod", names.converter_name(run.job), labels)
    secrets = [policy.env_secret_ref_name] if policy.env_secret_ref_name else []
    container = {
        "name": names.CONVERTER,
        "image": settings.converter_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["fairlead-onnx-converter", *_build_arguments(policy, run)],
        # in most images an unprivileged user cannot write anywhere else
        "env": [{"name": name, "value": names.WORK_FOLDER} for name in ("TMPDIR", "HOME")],
        "envFrom": [{"secretRef": {"name": secret}} for secret in secrets],
        "volumeMounts": [{"name": "fairlead-work", "mountPath": names.WORK_FOLDER}],
        "resources": _RESOURCES if policy.resources is None else policy.resources,
        "terminationMessagePath": names.TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    spec = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "fairlead-work", "emptyDir": {}}],
    }
    return head | {"spec": restricted_pod_spec(spec, settings.pull_secrets)}


def _build_arguments(policy: Conversion, run: RetrainRun) -> list[str]:
    assert run.trained
    assert run.dataset
    options = {
        "model": run.trained.uri,
        "digest": run.trained.digest,
        "dataset": run.dataset.uri,
        "dataset-digest": run.dataset.digest,
        "out-uri": names.converted_uri(run.trained.uri),
        "min-accuracy": policy.min_accuracy,
        "min-examples": policy.min_examples,
        "max-different": policy.max_different,
        "scale": policy.scale,
        "offset": policy.offset,
        "termination-log": names.TERMINATION_LOG,
        "termination-bytes": limit_for(1),
    }
    # with an equals sign, also a negative number is no option
    return [*(f"--{name}={value}" for name, value in options.items()), "--resume"]


def _dump(model: JobTemplate | Conversion | Any) -> Object:
    """Return a part of the spec as the user wrote it."""
    return dict(model.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True))
