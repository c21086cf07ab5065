"""The TrainingJob of the step `train`."""

from dataclasses import dataclass

from fairlead.api.group import API_VERSION
from fairlead.client import Object

KIND = "TrainingJob"
_CODE_FOLDER = "/code"
_GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Workers:
    """The worker pods and what each of them requests."""

    replicas: int = 2
    slots: int = 1
    """Training processes a pod."""
    gpus: int = 0
    cpu: str = "500m"
    memory: str = "512Mi"
    memory_limit: str = "3Gi"
    minimum: int = 0
    """Of an elastic job, with `maximum`; 0 for a fixed number of workers."""
    maximum: int = 0


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
    dataset_uri: str
    dataset_digest: str
    model_uri: str
    store_secret: str
    """A Secret with the object store's variables, which must exist if one of the URIs is in a store; empty for none."""
    seconds: int
    """The job's deadline."""
    workers: Workers = Workers()
    launcher: str = "Horovod"
    checkpoint_uri: str = ""
    """Below which the job publishes its checkpoints; empty for none."""
    checkpoint_seconds: int = 60
    restarts: int = 1
    """How many times the job is restarted after a failure."""

    @property
    def needs_store(self) -> bool:
        """Return True if one of its artifacts is in an object store."""
        return any(uri.startswith("s3://") for uri in (self.dataset_uri, self.model_uri, self.checkpoint_uri))


def build_training_job(training: Training, owner: Object | None = None) -> Object:
    """Build the job; the script is mounted from its ConfigMap. It is deleted with its owner (an ownerReference)."""
    metadata: Object = {"name": training.name}
    if owner:
        metadata["ownerReferences"] = [owner]
    workers = training.workers
    template = {"spec": _build_pod(training)}
    spec: Object = {
        "launcher": training.launcher,
        "workers": {"replicas": workers.replicas, "slots": workers.slots, "template": template},
        "dataset": {"uri": training.dataset_uri, "digest": training.dataset_digest, "requireValidation": True},
        "model": {"uri": training.model_uri},
        "runPolicy": {"backoffLimit": training.restarts, "activeDeadlineSeconds": training.seconds},
    }
    if workers.maximum:
        spec["elastic"] = {"minReplicas": workers.minimum or 1, "maxReplicas": workers.maximum}
    if training.checkpoint_uri:
        spec["checkpoint"] = {"uri": training.checkpoint_uri, "everySeconds": training.checkpoint_seconds}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _build_pod(training: Training) -> Object:
    labels = {"fairlead.dev/job": training.name, "fairlead.dev/role": "worker"}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    return {
        "topologySpreadConstraints": [spread],
        "volumes": [{"name": "code", "configMap": {"name": training.code}}],
        "containers": [_build_trainer(training)],
    }


def _build_trainer(training: Training) -> Object:
    workers = training.workers
    limits = {"memory": workers.memory_limit} | ({_GPU: workers.gpus} if workers.gpus else {})
    trainer: Object = {
        "name": "trainer",
        "image": training.image,
        "command": ["python3", f"{_CODE_FOLDER}/{training.script}", *training.arguments],
        "volumeMounts": [{"name": "code", "mountPath": _CODE_FOLDER}],
        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
        "resources": {"requests": {"cpu": workers.cpu, "memory": workers.memory}, "limits": limits},
    }
    if training.store_secret:
        # required where it is needed: without it the pods would look for the artifacts in another store
        reference = {"name": training.store_secret} | ({} if training.needs_store else {"optional": True})
        trainer["envFrom"] = [{"secretRef": reference}]
    return trainer
