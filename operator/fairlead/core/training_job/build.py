"""The children of a TrainingJob: key, Service, launcher pod, worker pods."""

from typing import Any

from fairlead_contracts.environment import LAUNCHER_PORT, JobEnvironment, WorkerEnvironment
from fairlead_contracts.termination import limit_for

from fairlead.api.pod_template import TRAINER
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object, build_owned
from fairlead.core.pod_defaults import pod_ip_variable, restricted_pod_spec

BACKENDS = {"Horovod": "horovod"}
"""Maps spec.launcher to a backend of the trainer package."""

_SHARED_BY_LAUNCHER = (
    "imagePullSecrets", "nodeSelector", "priorityClassName", "runtimeClassName", "schedulerName", "tolerations",
)  # fmt: skip
"""The fields that the launcher copies from the workers' template: scheduling and image pull secrets."""

_SCRATCH = {"TMPDIR": names.WORK_FOLDER, "HOME": names.WORK_FOLDER}
"""In most images an unprivileged user cannot write anywhere else."""


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


def build_launcher(job: TrainingJob, attempt: int) -> Object:
    """Return the launcher pod, which coordinates the agents. It needs no accelerator and no user code."""
    template = job.spec.workers.template
    workers = template.spec.to_dict()
    trainer = template.trainer.to_dict()
    container = {
        "name": names.LAUNCHER,
        "image": trainer["image"],
        "command": ["fairlead-launcher"],
        "ports": [{"name": "launcher", "containerPort": LAUNCHER_PORT}],
        "env": _shared_environment(job, attempt, containers=1),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    }
    if "imagePullPolicy" in trainer:
        container["imagePullPolicy"] = trainer["imagePullPolicy"]
    spec = {key: workers[key] for key in _SHARED_BY_LAUNCHER if key in workers}
    spec["containers"] = [container]
    return _build_pod(job, names.launcher_name(job), names.LAUNCHER, 0, attempt, spec, names.LAUNCHER)


def build_worker(job: TrainingJob, index: int, attempt: int) -> Object:
    """Return a worker pod: the user's template with the training command wrapped by the agent."""
    template = job.spec.workers.template
    spec = template.spec.to_dict()
    count = len(spec["containers"]) + len(spec.get("initContainers") or ())
    spec["containers"] = [
        _wrap(job, container, index, attempt, count) if container["name"] == TRAINER else container
        for container in spec["containers"]
    ]
    pod = _build_pod(job, names.worker_name(job, index), names.WORKER, index, attempt, spec, TRAINER)
    if template.metadata:
        user = template.metadata.to_dict()
        pod["metadata"]["labels"] = user.get("labels", {}) | pod["metadata"]["labels"]
        pod["metadata"]["annotations"] = user.get("annotations", {})
    return pod


def _wrap(job: TrainingJob, container: dict[str, Any], index: int, attempt: int, containers: int) -> dict[str, Any]:
    """Prepend the agent to the user's command. Our variables override the user's, except the scratch space."""
    ours = _shared_environment(job, attempt, containers) + _worker_environment(job, index)
    reserved = {variable["name"] for variable in ours} - set(_SCRATCH)
    users = [variable for variable in container.get("env", []) if variable["name"] not in reserved]
    set_by_user = {variable["name"] for variable in users}
    ours = [variable for variable in ours if variable["name"] not in set_by_user]
    return container | {
        "command": ["fairlead-agent", "--", *container["command"], *container.get("args", [])],
        "args": [],
        "env": ours + users,
    }


def _build_pod(
    job: TrainingJob, name: str, role: str, index: int, attempt: int, spec: dict[str, Any], main: str
) -> Object:
    labels = names.job_labels(job) | {
        names.ROLE: role, names.WORKER_INDEX: str(index), names.ATTEMPT: str(attempt),
    }  # fmt: skip
    volumes = [
        {"name": "fairlead-key", "secret": {"secretName": names.key_secret_name(job), "defaultMode": 0o440}},
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
    return build_owned(job, "v1", "Pod", name, labels) | {"spec": restricted_pod_spec(spec)}


def _shared_environment(job: TrainingJob, attempt: int, containers: int) -> list[dict[str, Any]]:
    environment = JobEnvironment(
        job=job.metadata.name,
        attempt=attempt,
        key_file=f"{names.KEY_FOLDER}/key",
        termination_log=names.TERMINATION_LOG,
        termination_bytes=limit_for(containers),
        workers=job.spec.workers.replicas,
        slots=job.spec.workers.slots,
        backend=BACKENDS[job.spec.launcher],
    )
    return [pod_ip_variable(), *_variables(environment.to_environment() | _SCRATCH)]


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
    return _variables(environment.to_environment())


def _variables(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]
