"""Every name, label, annotation and path that the cluster sees."""

from hashlib import sha256

from fairlead_contracts.environment import LAUNCHER_PORT

from fairlead.api.group import GROUP
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.pod_template import TRAINER
from fairlead.api.sweep import Sweep
from fairlead.api.training_job import TrainingJob

MANAGED_BY = "app.kubernetes.io/managed-by"
OPERATOR = "fairlead"
JOB = "fairlead.dev/job"
DEPLOYMENT = "fairlead.dev/deployment"
PREDICTOR = "fairlead.dev/predictor"
REVISION = "fairlead.dev/revision"
RETRAINS = "fairlead.dev/retrains"
"""The ModelDeployment whose model a job trains, or a pod converts. No Service selects these pods."""
SWEEP = "fairlead.dev/sweep"
TRIAL = "fairlead.dev/trial"
"""The number of a trial, on its TrainingJob."""
TRIAL_PARAMETERS = "fairlead.dev/trial-parameters"
"""The annotation with the values of a trial's parameters, as a JSON object."""
ROLE = "fairlead.dev/role"
WORKER_INDEX = "fairlead.dev/worker-index"
ATTEMPT = "fairlead.dev/attempt"
APPLIED_HASH = "fairlead.dev/applied-hash"
"""The hash of what was last applied: an equal hash saves a write."""

ROLLOUT_COMMAND = "fairlead.dev/rollout-command"
"""The annotation by which users pause, resume, promote, abort or retry a rollout."""

POD_GROUP = "scheduling.x-k8s.io/pod-group"
"""The label by which the coscheduling plugin finds the pods of a PodGroup."""
KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"
KUEUE_PRIORITY = "kueue.x-k8s.io/priority-class"
KUEUE_GROUP = "kueue.x-k8s.io/pod-group-name"
KUEUE_COUNT = "kueue.x-k8s.io/pod-group-total-count"
KUEUE_RETRIABLE = "kueue.x-k8s.io/retriable-in-group"

LAUNCHER, WORKER, CONVERTER = "launcher", "worker", "converter"
SERVING_PORT, GRPC_PORT = 8080, 8081
GRAPH_SERVER = "graph-server"
MAIN_CONTAINERS = {LAUNCHER: LAUNCHER, WORKER: TRAINER, CONVERTER: CONVERTER}
"""The container that decides about a pod that ends, by its role; others may be injected."""
FIRST_NODE_PORT = 9001
"""The first port of a pod's Seldon microservices."""
GRPC_NODE_PORTS = 100
"""The distance of such a microservice's port of HTTP from that of gRPC, if gRPC is what it is called over."""

SELDON_PORT = 8000
"""Of Seldon's executor, for REST."""
SELDON_CONTENT = "fairlead.dev/content"
"""The annotation of the pods of a SeldonDeployment's predictor: a hash of what determines them."""
SELDON_PODS = "nodes"
"""The name of a predictor's pods within a SeldonDeployment, which would otherwise be all their containers' names."""

SCOPE_LEASE = "fairlead-scope"
"""The Lease of the installation that works on a cluster or namespace."""

GPU_RESOURCES = ("nvidia.com/gpu", "nvidia.com/mig-")
"""The first words of the resources of NVIDIA's device plugin: whole GPUs, shared ones, and parts of some."""

KEY_FOLDER = "/etc/fairlead/key"
API_KEYS_FOLDER = "/etc/fairlead/api-keys"
GRAPH_FOLDER = "/etc/fairlead/graph"
TRAFFIC_FOLDER = "/etc/fairlead/traffic"
WORK_FOLDER = "/fairlead/work"
"""Scratch space of a training container, used as TMPDIR and HOME."""
TERMINATION_LOG = "/dev/termination-log"


def job_labels(job: TrainingJob) -> dict[str, str]:
    """Return the labels that all children of a job carry."""
    return {MANAGED_BY: OPERATOR, JOB: job.metadata.name}


def worker_labels(job: TrainingJob) -> dict[str, str]:
    """Return the labels that a job's worker pods carry, and no other child."""
    return job_labels(job) | {ROLE: WORKER}


def sweep_labels(sweep: Sweep) -> dict[str, str]:
    """Return the labels that the jobs of a sweep carry."""
    return {MANAGED_BY: OPERATOR, SWEEP: sweep.metadata.name}


def trial_name(sweep: Sweep, number: int) -> str:
    """Return the name of the TrainingJob of a trial."""
    return f"{sweep.metadata.name}-{number:04}"


def deployment_labels(deployment: ModelDeployment) -> dict[str, str]:
    """Return the labels that all children of a deployment carry."""
    return {MANAGED_BY: OPERATOR, DEPLOYMENT: deployment.metadata.name}


def without_reserved(labels: dict[str, str]) -> dict[str, str]:
    """Return a user's labels without those by which Services and the operator find pods."""
    return {key: value for key, value in labels.items() if key != MANAGED_BY and not key.startswith(f"{GROUP}/")}


def selector(labels: dict[str, str]) -> str:
    """Return the labels as a label selector."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def key_secret_name(job: TrainingJob) -> str:
    """Return the name of the Secret with the job's key."""
    return f"{job.metadata.name}-key"


def job_service_name(job: TrainingJob) -> str:
    """Return the name of the headless Service. It is not the job's own name, which a ModelDeployment may use."""
    return f"{job.metadata.name}-pods"


def network_policy_name(job: TrainingJob) -> str:
    """Return the name of the NetworkPolicy of a job's pods."""
    return f"{job.metadata.name}-pods"


def launcher_name(job: TrainingJob) -> str:
    """Return the name of the launcher pod."""
    return f"{job.metadata.name}-launcher"


def worker_name(job: TrainingJob, index: int) -> str:
    """Return the name of a worker pod."""
    return f"{job.metadata.name}-worker-{index}"


def pod_group_name(job: TrainingJob) -> str:
    """Return the name of the job's PodGroup."""
    return job.metadata.name


def kueue_group_name(job: TrainingJob) -> str:
    """Return the name of a new pod group in Kueue: another one for each attempt, and for a resumed or recreated job.

    A job is resumed by a change of its spec, which has another generation then. The name is a label: 63 characters are
    enough for 50 of the job's name and 12 of the hash.
    """
    origin = f"{job.metadata.uid}/{job.status.workers.restarts}/{job.metadata.generation}"
    return f"{job.metadata.name}-{sha256(origin.encode()).hexdigest()[:12]}"


def launcher_address(job: TrainingJob) -> str:
    """Return the address of the launcher."""
    return f"{launcher_name(job)}.{job_service_name(job)}.{job.metadata.namespace}.svc:{LAUNCHER_PORT}"


def model_version(job: TrainingJob) -> str:
    """Return the model version of the job: the same for all attempts, different for a recreated job."""
    return f"{job.metadata.name}-{job.metadata.uid[:8]}"


def predictor_labels(deployment: ModelDeployment, predictor: str) -> dict[str, str]:
    """Return the labels by which the pods of a predictor are found."""
    return deployment_labels(deployment) | {PREDICTOR: predictor}


def predictor_name(deployment: ModelDeployment, predictor: str) -> str:
    """Return the name of a predictor's Deployment, unique among all deployments: `a-b`/`c` differs from `a`/`b-c`."""
    name = f"{deployment.metadata.name}-{predictor}"
    return predictor_service_name(deployment, predictor) if "-" in predictor else name


def predictor_service_name(deployment: ModelDeployment, predictor: str) -> str:
    """Return the name of a predictor's own Service and disruption budget, where there are several predictors.

    It begins with that of the Deployment, and is not that of another ModelDeployment: `a`/`b` differs from `a-b`.
    """
    name = deployment.metadata.name
    return f"{name}-{predictor}-{short_hash(f'{name}/{predictor}')}"


def seldon_service_name(deployment: ModelDeployment, predictor: str) -> str:
    """Return the name that Seldon Core gives the Service of a predictor; both names are short enough."""
    return f"{deployment.metadata.name}-{predictor}"


def seldon_pods_name(deployment: ModelDeployment, predictor: str) -> str:
    """Return the name that Seldon Core gives the Deployment of a predictor: of its only pods, which have a name."""
    return f"{deployment.metadata.name}-{predictor}-0-{SELDON_PODS}"


def seldon_config_name(deployment: ModelDeployment, predictor: str, graphs: str) -> str:
    """Return the name of the ConfigMap with the graphs of a predictor's single nodes; it includes their hash."""
    return f"{predictor_name(deployment, predictor)}-{short_hash(graphs)}"


def graph_config_name(deployment: ModelDeployment, predictor: str, graph: str) -> str:
    """Return the name of a predictor's ConfigMap; it includes the graph's hash, so that old pods keep their graph."""
    return f"{predictor_name(deployment, predictor)}-{short_hash(graph)}"


def revision_labels(deployment: ModelDeployment, revision: str) -> dict[str, str]:
    """Return the labels by which the pods of a revision are found."""
    return deployment_labels(deployment) | {REVISION: revision}


def revision_name(deployment: ModelDeployment, revision: str) -> str:
    """Return the name of a revision's Deployment, Service and record."""
    return f"{deployment.metadata.name}-{revision}"


def revision_config_name(deployment: ModelDeployment, revision: str, graph: str) -> str:
    """Return the name of the ConfigMap with a revision's graph; it includes the graph's hash, as without revisions."""
    return f"{revision_name(deployment, revision)}-{short_hash(graph)}"


def traffic_config_name(child: str) -> str:
    """Return the name of the ConfigMap with the traffic document for the servers of a Deployment of this name."""
    return f"{child}-traffic"


def traffic_key_name(deployment: ModelDeployment) -> str:
    """Return the name of the Secret that signs traffic documents. No Secret of a TrainingJob ends so."""
    return f"{deployment.metadata.name}-traffic"


def retraining_labels(deployment: ModelDeployment) -> dict[str, str]:
    """Return the labels of what retrains a deployment's model."""
    return {MANAGED_BY: OPERATOR, RETRAINS: deployment.metadata.name}


def retraining_name(deployment: ModelDeployment, occasion: str) -> str:
    """Return the name of the TrainingJob of a run, another one for each occasion, and for a recreated deployment.

    40 characters of the deployment's name and 9 of the hash are not too many for a job's name.
    """
    return f"{deployment.metadata.name}-{short_hash(f'{deployment.metadata.uid}/{occasion}')}"


def converter_name(job: str) -> str:
    """Return the name of the pod that converts the model of a job; no pod of the job has it."""
    return f"{job}-{CONVERTER}"


def converted_uri(trained: str) -> str:
    """Return where a trained model's conversion is published: beside it, so that a job's versions have each one."""
    return f"{trained}-onnx"


def serving_url(deployment: ModelDeployment) -> str:
    """Return the URL of a deployment inside the cluster."""
    return f"http://{deployment.metadata.name}.{deployment.metadata.namespace}.svc:{SERVING_PORT}"


def grpc_route_name(deployment: ModelDeployment) -> str:
    """Return the name of the route for gRPC beside that of the deployment's own name. No other deployment has it."""
    name = deployment.metadata.name
    return f"{name}-grpc-{short_hash(f'{name}/grpc')}"


def short_hash(text: str) -> str:
    """Return the first 8 hexadecimal digits of a text's SHA-256."""
    return sha256(text.encode()).hexdigest()[:8]
