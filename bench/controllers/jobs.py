"""The two-worker job of every contender, and its plain child objects."""

from typing import Any

Object = dict[str, Any]
NAMESPACE = "default"
NAIVE_GROUP = "bench.fairlead.dev"
_SECURITY = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def build_training_job(name: str) -> Object:
    """Return Fairlead's resource."""
    workers = {"replicas": 2, "template": {"spec": {"containers": [_container("trainer")]}}}
    return _resource("fairlead.dev/v1alpha1", "TrainingJob", name, {"workers": workers})


def build_mpi_job(name: str) -> Object:
    """Return the MPI Operator's resource."""
    template = {"spec": {"containers": [_container("main")]}}
    replicas = {"Launcher": {"replicas": 1, "template": template}, "Worker": {"replicas": 2, "template": template}}
    return _resource("kubeflow.org/v2beta1", "MPIJob", name, {"slotsPerWorker": 1, "mpiReplicaSpecs": replicas})


def build_naive_job(name: str) -> Object:
    """Return the naive operator's resource."""
    return _resource(f"{NAIVE_GROUP}/v1", "NaiveJob", name, {"workers": 2})


def build_children(name: str, workers: int = 2) -> list[Object]:
    """Return the child objects of a job: Secret, NetworkPolicy, Service, launcher pod, worker pods."""
    meta = {"namespace": NAMESPACE, "labels": {"job": name}}
    own = {"matchLabels": {"job": name}}
    policy = {"podSelector": own, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": own}]}]}
    service = {"clusterIP": "None", "selector": {"job": name}, "ports": [{"port": 7070}]}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta | {"name": f"{name}-key"}, "stringData": {"key": "k"}},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": meta | {"name": f"{name}-pods"},
            "spec": policy,
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": meta | {"name": f"{name}-pods"}, "spec": service},
        _pod(f"{name}-launcher", meta),
        *(_pod(f"{name}-worker-{index}", meta) for index in range(workers)),
    ]


def _resource(api_version: str, kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _pod(name: str, meta: Object) -> Object:
    spec = {"restartPolicy": "Never", "securityContext": _SECURITY, "containers": [_container("main")]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta | {"name": name}, "spec": spec}


def _container(name: str) -> Object:
    return {"name": name, "image": "example/trainer:1", "command": ["train"], "securityContext": _CONTAINER}
