"""The environment variables of a training job's pods, of its processes, and of a graph server's container."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError

from .base import DIGEST, PRINTABLE, URI, Contract, explain
from .errors import ContractError, Words
from .variables import parse_host_port, parse_integer, parse_quantity, parse_seconds

LAUNCHER_PORT = 7070
"""The port where the launcher listens for agents and the operator."""
MAX_WORKERS, MAX_SLOTS = 512, 64
MAX_MODEL_PROCESSES = 16
MAX_SECONDS = 86399
"""The longest time that a variable can set."""
_MAX_NAME, _MAX_PATH = 253, 4096

Seconds = Annotated[float, BeforeValidator(parse_seconds)]


class Environment(Contract):
    """Typed environment variables. Each field's alias is the variable's name; an empty variable counts as absent."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; raise ContractError naming the variable, its value and what was expected."""
        names = (cls.variable(field) for field in cls.model_fields)
        try:
            return cls.model_validate({name: environment[name] for name in names if environment.get(name)})
        except ValidationError as error:
            raise explain(error, "environment") from None

    def to_environment(self) -> dict[str, str]:
        """Return the variables that differ from their defaults, in the order of the fields."""
        values = ((field, getattr(self, name)) for name, field in type(self).model_fields.items())
        return {str(field.alias): str(value) for field, value in values if value != field.default}

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the name of a field's variable."""
        return str(cls.model_fields[field].alias)


class JobEnvironment(Environment):
    """The variables that the operator sets for the launcher and every worker."""

    job: str = Field(alias="FAIRLEAD_JOB", max_length=_MAX_NAME)
    """The job's name."""
    attempt: Annotated[int, BeforeValidator(parse_integer(0, 1_000_000))] = Field(alias="FAIRLEAD_ATTEMPT")
    """0, 1, … up to the sum of `backoffLimit` and `disruptionLimit`."""
    key_file: str = Field(alias="FAIRLEAD_KEY_FILE", max_length=_MAX_PATH)
    """Path of the job's key file."""
    termination_log: str = Field(alias="FAIRLEAD_TERMINATION_LOG", max_length=_MAX_PATH)
    """Path of the termination report."""
    termination_bytes: Annotated[int, BeforeValidator(parse_integer(256, 4096))] = Field(
        4096, alias="FAIRLEAD_TERMINATION_BYTES"
    )
    """Maximum size of the report in bytes; less than the default if the pod has many containers."""
    workers: Annotated[int, BeforeValidator(parse_integer(1, MAX_WORKERS))] = Field(alias="FAIRLEAD_WORKERS")
    """Number of workers."""
    min_workers: Annotated[int, BeforeValidator(parse_integer(1, MAX_WORKERS))] | None = Field(
        None, alias="FAIRLEAD_MIN_WORKERS"
    )
    """The least number of workers of an elastic job; absent for a fixed size."""
    max_workers: Annotated[int, BeforeValidator(parse_integer(1, MAX_WORKERS))] | None = Field(
        None, alias="FAIRLEAD_MAX_WORKERS"
    )
    """The largest number of workers of an elastic job, and one more than their highest index."""
    host_cooldown_seconds: Seconds | None = Field(None, alias="FAIRLEAD_HOST_COOLDOWN_SECONDS")
    """How long an elastic job does without a worker that has failed; absent for no such time."""
    slots: Annotated[int, BeforeValidator(parse_integer(1, MAX_SLOTS))] = Field(alias="FAIRLEAD_SLOTS")
    """Processes per worker."""
    backend: str = Field(alias="FAIRLEAD_BACKEND", max_length=63)
    """A backend of the trainer, such as `horovod`."""
    contract: Literal["1"] = Field("1", alias="FAIRLEAD_CONTRACT")
    """The version of this contract; 1 if absent."""


class CheckpointEnvironment(Environment):
    """The variables that say when and where a training script saves its state."""

    uri: str | None = Field(None, alias="FAIRLEAD_CHECKPOINT_URI", max_length=2048, pattern=URI)
    """URI below which this job's checkpoints are published; none are if it is absent."""
    every_steps: Annotated[int, BeforeValidator(parse_integer(1, 999_999_999))] | None = Field(
        None, alias="FAIRLEAD_CHECKPOINT_STEPS"
    )
    """Save after this number of steps, and each multiple of it."""
    every_seconds: Seconds | None = Field(None, alias="FAIRLEAD_CHECKPOINT_SECONDS")
    """Save when about this time has passed since the last checkpoint."""
    keep: Annotated[int, BeforeValidator(parse_integer(1, 1000))] = Field(3, alias="FAIRLEAD_CHECKPOINT_KEEP")
    """How many checkpoints of this job are kept."""
    restore_from: str | None = Field(None, alias="FAIRLEAD_CHECKPOINT_RESTORE", max_length=2048, pattern=URI)
    """URI of a checkpoint, or of a folder of them, with which a job that has none of its own begins."""


class WorkerEnvironment(Environment):
    """The variables that the operator sets for a worker in addition to the job's."""

    worker: Annotated[int, BeforeValidator(parse_integer(0, MAX_WORKERS - 1))] = Field(alias="FAIRLEAD_WORKER_INDEX")
    """0 … workers-1."""
    launcher: Annotated[str, BeforeValidator(parse_host_port)] = Field(alias="FAIRLEAD_LAUNCHER", max_length=512)
    """Where the launcher listens, as host:port."""
    dataset_uri: str | None = Field(None, alias="FAIRLEAD_DATASET_URI", max_length=2048, pattern=URI)
    """URI of the dataset, which the agent fetches and verifies before the command starts."""
    dataset_digest: str | None = Field(None, alias="FAIRLEAD_DATASET_DIGEST", pattern=DIGEST)
    """The required digest of the dataset."""
    model_uri: str | None = Field(None, alias="FAIRLEAD_MODEL_URI", max_length=2048, pattern=URI)
    """URI at which this run's version of the model is published."""
    model_version: str | None = Field(None, alias="FAIRLEAD_MODEL_VERSION", max_length=_MAX_NAME)
    """The version's name."""


class NodeEnvironment(Environment):
    """The variables that depend on the node of a pod."""

    address: str = Field(alias="POD_IP", max_length=64)
    """The pod's address (downward API)."""
    bind_address: str = Field("0.0.0.0", alias="FAIRLEAD_BIND_ADDRESS", max_length=64)
    """The address that servers bind; set if pods are processes on one machine."""


class TimingEnvironment(Environment):
    """The variables that users may set on the launcher and the workers; the operator may set other defaults."""

    heartbeat_seconds: Seconds = Field(1.0, alias="FAIRLEAD_HEARTBEAT_SECONDS")
    """Interval between two heartbeats of an agent."""
    silence_seconds: Seconds = Field(15.0, alias="FAIRLEAD_SILENCE_SECONDS")
    """Time without a heartbeat after which the peer counts as lost."""
    stop_grace_seconds: Seconds = Field(5.0, alias="FAIRLEAD_STOP_GRACE_SECONDS")
    """Grace period between SIGTERM and SIGKILL."""
    registration_seconds: Seconds = Field(1800.0, alias="FAIRLEAD_REGISTRATION_SECONDS")
    """Time that the launcher allows between the first and the last worker's registration; a worker allows itself the
    same time to reach the launcher, whose image may still be being pulled. The operator sets it to the job's
    `preRunningDeadlineSeconds`, if it has one, of which MAX_SECONDS are used at most."""
    leave_seconds: Seconds = Field(30.0, alias="FAIRLEAD_LEAVE_SECONDS")
    """Time in which a worker of an elastic job must stop training with a lost or changed set of workers, after another
    one has; a worker that does not counts as lost. Processes that are started anew have stop_grace_seconds, too."""


class CacheEnvironment(Environment):
    """The variables that users may set on the workers, to share datasets on a volume that they mount."""

    dataset_cache: str | None = Field(None, alias="FAIRLEAD_DATASET_CACHE", max_length=_MAX_PATH)
    """Path of a folder on that volume; absent: each worker fetches the dataset for itself."""
    dataset_cache_bytes: Annotated[int, BeforeValidator(parse_quantity)] | None = Field(
        None, alias="FAIRLEAD_DATASET_CACHE_BYTES"
    )
    """The most that the datasets there may use together, such as 50Gi; the least recently used ones are evicted."""


class TrackingEnvironment(Environment):
    """The variables that the operator sets for the launcher of a job that is recorded in MLflow.

    Credentials are MLflow's own variables (MLFLOW_TRACKING_TOKEN, or _USERNAME and _PASSWORD), which users set.
    """

    mlflow_uri: str | None = Field(None, alias="FAIRLEAD_MLFLOW_URI", max_length=1024, pattern=URI)
    """URL of the tracking server; absent: the job is not recorded."""
    mlflow_experiment: str | None = Field(None, alias="FAIRLEAD_MLFLOW_EXPERIMENT", max_length=250, pattern=PRINTABLE)
    """Name of the experiment, which is created if it does not exist."""
    namespace: str | None = Field(None, alias="FAIRLEAD_NAMESPACE", max_length=63)
    """The job's namespace."""
    uid: str | None = Field(None, alias="FAIRLEAD_JOB_UID", pattern="^[0-9A-Za-z-]{1,64}$")
    """The job's uid, by which its run is found again."""
    dataset_uri: str | None = Field(None, alias="FAIRLEAD_DATASET_URI", max_length=2048, pattern=URI)
    """URI of the dataset."""
    dataset_digest: str | None = Field(None, alias="FAIRLEAD_DATASET_DIGEST", pattern=DIGEST)
    """Its digest, if the job requires one."""


class LauncherEnvironment(TrackingEnvironment, TimingEnvironment, NodeEnvironment, JobEnvironment):
    """All variables that the launcher reads."""


class AgentEnvironment(CacheEnvironment, TimingEnvironment, NodeEnvironment, WorkerEnvironment, JobEnvironment):
    """All variables that a worker's agent reads."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; raise ContractError naming the variable, its value and what was expected."""
        agent = super().from_environment(environment)
        if agent.dataset_cache is not None and agent.dataset_cache_bytes is None:
            expected = f"a number of bytes, such as 50Gi, because {cls.variable('dataset_cache')} is set"
            raise ContractError(cls.variable("dataset_cache_bytes"), Words("nothing"), expected)
        limit = "workers" if agent.max_workers is None else "max_workers"
        if agent.worker >= getattr(agent, limit):
            expected = f"below {cls.variable(limit)}, {getattr(agent, limit)}"
            raise ContractError(cls.variable("worker"), agent.worker, expected)
        return agent


class ProcessEnvironment(Environment):
    """The variables that an agent sets for each process of the user's command, in addition to the backend's."""

    dataset_folder: str | None = Field(None, alias="FAIRLEAD_DATASET_DIR", max_length=_MAX_PATH)
    """Path of the verified dataset."""
    model_folder: str | None = Field(None, alias="FAIRLEAD_MODEL_DIR", max_length=_MAX_PATH)
    """Path of an empty folder; the files that rank 0 writes there are published as the model."""
    tensorboard_folder: str | None = Field(None, alias="FAIRLEAD_TENSORBOARD_DIR", max_length=_MAX_PATH)
    """Path of a folder for TensorBoard's logs; those of rank 0 are published with the model, in `tensorboard/`."""
    progress_file: str | None = Field(None, alias="FAIRLEAD_PROGRESS_FILE", max_length=_MAX_PATH)
    """Path of the file to which rank 0 writes its progress."""
    parameters_file: str | None = Field(None, alias="FAIRLEAD_PARAMETERS_FILE", max_length=_MAX_PATH)
    """Path of the file to which rank 0 writes its parameters: a JSON object of texts, numbers and booleans."""


class GraphServerEnvironment(Environment):
    """The variables of a graph server's container."""

    termination_log: str | None = Field(None, alias="FAIRLEAD_TERMINATION_LOG", max_length=_MAX_PATH)
    """Path of the termination report."""
    termination_bytes: Annotated[int, BeforeValidator(parse_integer(256, 4096))] = Field(
        4096, alias="FAIRLEAD_TERMINATION_BYTES"
    )
    """Maximum size of the report in bytes; less than the default if the pod has many containers."""
    bind_address: str = Field("0.0.0.0", alias="FAIRLEAD_BIND_ADDRESS", max_length=64)
    """The address that the server binds."""
    grpc_port: Annotated[int | None, BeforeValidator(parse_integer(1, 65535))] = Field(None, alias="FAIRLEAD_GRPC_PORT")
    """The port of the Open Inference Protocol over gRPC; no gRPC without it."""
    revision: str | None = Field(None, alias="FAIRLEAD_REVISION", max_length=63)
    """The revision or predictor that it serves; without it, the server accepts no traffic documents."""
    traffic_file: str | None = Field(None, alias="FAIRLEAD_TRAFFIC_FILE", max_length=_MAX_PATH)
    """Path of traffic.json, read once at start; the file may be missing."""
    key_file: str | None = Field(None, alias="FAIRLEAD_KEY_FILE", max_length=_MAX_PATH)
    """Path of the key that signs traffic documents, in hexadecimal digits."""
    api_keys_file: str | None = Field(None, alias="FAIRLEAD_API_KEYS_FILE", max_length=_MAX_PATH)
    """Path of the API keys, one a line: a file, or a folder of such files. Without it, requests need no key."""
    state_folder: str | None = Field(None, alias="FAIRLEAD_STATE_FOLDER", max_length=_MAX_PATH)
    """The folder that keeps what routers have learned over restarts of the container; nothing is kept without it."""
    model_processes: Annotated[int, BeforeValidator(parse_integer(1, MAX_MODEL_PROCESSES))] = Field(
        1, alias="FAIRLEAD_MODEL_PROCESSES"
    )
    """The number of processes that run the models."""
