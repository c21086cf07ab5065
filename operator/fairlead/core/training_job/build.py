"""The children of a TrainingJob: key, Service, launcher pod, worker pods."""

from typing import Any

from fairlead_contracts.environment import (
    LAUNCHER_PORT,
    MAX_SECONDS,
    CheckpointEnvironment,
    JobEnvironment,
    TimingEnvironment,
    TrackingEnvironment,
    WorkerEnvironment,
)
from fairlead_contracts.termination import limit_for

from fairlead.api.pod_template import TRAINER, PodMeta
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object, build_owned
from fairlead.core.pod_defaults import pod_ip_variable, restricted_pod_spec
from fairlead.core.settings import Settings
from fairlead.core.training_job.scheduling import schedule_pod

BACKENDS = {"Horovod": "horovod", "Torchrun": "torchrun"}
"""Maps spec.launcher to a backend of the trainer package."""

_SHARED_BY_LAUNCHER = (
    "imagePullSecrets", "nodeSelector", "priorityClassName", "runtimeClassName", "schedulerName", "serviceAccountName",
    "tolerations",
)  # fmt: skip
"""The fields that the launcher copies from the workers' template unless launcherTemplate sets them."""

_LAUNCHER_RESOURCES = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}

_SCRATCH = {"TMPDIR": names.WORK_FOLDER, "HOME": names.WORK_FOLDER}
"""In most images an unprivileged user cannot write anywhere else."""

_DEFAULTS = {*_SCRATCH, *(TimingEnvironment.variable(field) for field in TimingEnvironment.model_fields)}
"""The variables of ours that users may set."""


def build_key_secret(job: TrainingJob, key: str) -> Object:
    """Return the Secret that authenticates the agents to the launcher."""
    head = build_owned(job, "v1", "Secret", names.key_secret_name(job), names.job_labels(job))
    return head | {"type": "Opaque", "immutable": True, "stringData": {"key": key}}


def build_service(job: TrainingJob) -> Object:
    """Return the headless Service that makes the pods' host names resolvable."""
    head = build_owned(job, "v1", "Service", names.job_service_name(job), names.job_labels(job))
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": names.job_labels(job),
        "ports": [{"name": "launcher", "port": LAUNCHER_PORT}],
    }
    return head | {"spec": spec}


def build_network_policy(job: TrainingJob) -> Object:
    """Return the NetworkPolicy that lets only the job's own pods, and the operator, connect to them.

    Neither Horovod's rendezvous nor Gloo's connections, on ports chosen at run time, are authenticated. The operator
    reads the launcher's status from a namespace and under labels that differ between installations, so that its port
    stays open: it answers that status to everyone, and everything else only with the job's key.
    """
    name, labels = names.network_policy_name(job), names.job_labels(job)
    head = build_owned(job, "networking.k8s.io/v1", "NetworkPolicy", name, labels)
    spec = {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"podSelector": {"matchLabels": labels}}]},
            {"ports": [{"protocol": "TCP", "port": LAUNCHER_PORT}]},
        ],
    }
    return head | {"spec": spec}


def build_launcher(job: TrainingJob, attempt: int, settings: Settings, group: str = "") -> Object:
    """Return the launcher pod, which needs neither an accelerator nor user code; `group` is that of the scheduler."""
    workers = job.spec.workers.template.spec.to_dict()
    trainer = job.spec.workers.template.trainer.to_dict()
    template = job.spec.launcher_template
    own: dict[str, Any] = template.spec.to_dict() if template and template.spec else {}
    spec = {key: workers[key] for key in _SHARED_BY_LAUNCHER if key in workers} | own
    others = [container for container in own.get("containers", []) if container["name"] != names.LAUNCHER]
    user: dict[str, Any] = next((c for c in own.get("containers", []) if c["name"] == names.LAUNCHER), {})
    count = 1 + len(others) + len(own.get("initContainers", []))
    defaults = {key: trainer[key] for key in ("image", "imagePullPolicy") if key in trainer}
    launcher = {"name": names.LAUNCHER} | defaults | {"resources": _LAUNCHER_RESOURCES} | user
    launcher |= {
        "command": ["fairlead-launcher"],
        "ports": [{"name": "launcher", "containerPort": LAUNCHER_PORT}],
        "env": _merge_environment(
            [*_shared_environment(job, attempt, count), *_variables(_tracking_environment(job))], user.get("env", [])
        ),
    }
    spec["containers"] = [launcher, *others]
    pod = _build_pod(job, names.launcher_name(job), names.LAUNCHER, 0, attempt, spec, settings)
    return schedule_pod(job, _with_metadata(pod, template.metadata if template else None), group)


def build_worker(job: TrainingJob, index: int, attempt: int, settings: Settings, group: str = "") -> Object:
    """Return a worker pod: the user's template with the training command wrapped by the agent; `group` as above."""
    template = job.spec.workers.template
    spec = template.spec.to_dict()
    count = len(spec["containers"]) + len(spec.get("initContainers", []))
    spec["containers"] = [
        _wrap(job, container, index, attempt, count) if container["name"] == TRAINER else container
        for container in spec["containers"]
    ]
    pod = _build_pod(job, names.worker_name(job, index), names.WORKER, index, attempt, spec, settings)
    return schedule_pod(job, _with_metadata(pod, template.metadata), group)


def _with_metadata(pod: Object, metadata: PodMeta | None) -> Object:
    """Add the user's labels and annotations, but no label of ours."""
    user = metadata.to_dict() if metadata else {}
    meta = pod["metadata"] | {"labels": names.without_reserved(user.get("labels", {})) | pod["metadata"]["labels"]}
    if annotations := user.get("annotations"):
        meta["annotations"] = annotations
    return pod | {"metadata": meta}


def _wrap(job: TrainingJob, container: dict[str, Any], index: int, attempt: int, containers: int) -> dict[str, Any]:
    """Prepend the agent to the user's command."""
    ours = _shared_environment(job, attempt, containers) + _worker_environment(job, index)
    return container | {
        "command": ["fairlead-agent", "--", *container["command"], *container.get("args", [])],
        "args": [],
        "env": _merge_environment(ours, container.get("env", [])),
    }


def _merge_environment(ours: list[dict[str, Any]], users: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join two environments. Our variables override the user's, except those that are defaults."""
    reserved = {variable["name"] for variable in ours} - _DEFAULTS
    kept = [variable for variable in users if variable["name"] not in reserved]
    set_by_user = {variable["name"] for variable in kept}
    return [variable for variable in ours if variable["name"] not in set_by_user] + kept


def _build_pod(
    job: TrainingJob, name: str, role: str, index: int, attempt: int, spec: dict[str, Any], settings: Settings
) -> Object:
    main = names.MAIN_CONTAINERS[role]
    labels = names.job_labels(job) | {
        names.ROLE: role, names.WORKER_INDEX: str(index), names.ATTEMPT: str(attempt),
    }  # fmt: skip
    volumes = [
        {"name": "fairlead-key", "secret": {"secretName": names.key_secret_name(job), "defaultMode": 0o444}},
        {"name": "fairlead-work", "emptyDir": {}},
    ]
    mounts = [
        {"name": "fairlead-key", "mountPath": names.KEY_FOLDER, "readOnly": True},
        {"name": "fairlead-work", "mountPath": names.WORK_FOLDER},
    ]
    containers = [
        container
        | {
            "volumeMounts": container.get("volumeMounts", []) + mounts,
            "terminationMessagePath": names.TERMINATION_LOG,
            # a killed process writes no message: the last lines of its log are used instead
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
        if container["name"] == main
        else container
        for container in spec["containers"]
    ]
    spec = spec | {
        "hostname": name,
        "subdomain": names.job_service_name(job),
        "restartPolicy": "Never",
        "containers": containers,
        "volumes": spec.get("volumes", []) + volumes,
    }
    return build_owned(job, "v1", "Pod", name, labels) | {"spec": restricted_pod_spec(spec, settings.pull_secrets)}


def _shared_environment(job: TrainingJob, attempt: int, containers: int) -> list[dict[str, Any]]:
    elastic = job.spec.elastic
    environment = JobEnvironment(
        job=job.metadata.name,
        attempt=attempt,
        key_file=f"{names.KEY_FOLDER}/key",
        termination_log=names.TERMINATION_LOG,
        termination_bytes=limit_for(containers),
        workers=job.spec.workers.replicas,
        min_workers=elastic.min_replicas if elastic else None,
        max_workers=elastic.max_replicas if elastic else None,
        host_cooldown_seconds=elastic.host_cooldown_seconds if elastic else None,
        slots=job.spec.workers.slots,
        backend=BACKENDS[job.spec.launcher],
    )
    return [pod_ip_variable(), *_variables(environment.to_environment() | _timing(job) | _SCRATCH)]


def _timing(job: TrainingJob) -> dict[str, str]:
    """Return the variable that bounds the registration of workers by the job's own deadline."""
    deadline = job.spec.run_policy.pre_running_deadline_seconds
    if deadline is None:
        return {}
    return TimingEnvironment(registration_seconds=float(min(deadline, MAX_SECONDS))).to_environment()


def _worker_environment(job: TrainingJob, index: int) -> list[dict[str, Any]]:
    dataset, model, version = job.spec.dataset, job.spec.model, names.model_version(job)
    environment = WorkerEnvironment(
        worker=index,
        launcher=names.launcher_address(job),
        dataset_uri=dataset.uri if dataset else None,
        dataset_digest=dataset.digest if dataset else None,
        model_uri=f"{model.uri}/{version}" if model else None,
        model_version=version if model else None,
    )
    return _variables(environment.to_environment() | _checkpoint_environment(job))


def _checkpoint_environment(job: TrainingJob) -> dict[str, str]:
    checkpoint = job.spec.checkpoint
    if checkpoint is None:
        return {}
    return CheckpointEnvironment(
        # a job of the same name that is created later must not continue this one
        uri=f"{checkpoint.uri}/{names.model_version(job)}",
        every_steps=checkpoint.every_steps,
        every_seconds=checkpoint.every_seconds,
        keep=checkpoint.keep,
        restore_from=checkpoint.restore_uri,
    ).to_environment()


def _tracking_environment(job: TrainingJob) -> dict[str, str]:
    """Return the variables of the launcher of a job that is recorded."""
    tracking, dataset = job.spec.tracking, job.spec.dataset
    if tracking is None:
        return {}
    return TrackingEnvironment(
        mlflow_uri=tracking.mlflow.uri,
        mlflow_experiment=tracking.mlflow.experiment,
        namespace=job.metadata.namespace,
        uid=job.metadata.uid,
        dataset_uri=dataset.uri if dataset else None,
        dataset_digest=dataset.digest if dataset else None,
    ).to_environment()


def _variables(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]
