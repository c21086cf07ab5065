"""The pods of a resource and their logs."""

from collections.abc import Iterator
from typing import Any

from kubernetes import client

from fairlead.client.errors import NotFound, translated
from fairlead.client.objects import Object, Objects, canonical_kind
from fairlead.core import names


def list_pods(objects: Objects, kind: str, name: str) -> list[Object]:
    """Return the pods of a TrainingJob or ModelDeployment, or those of a Sweep's running trials."""
    if canonical_kind(kind) == "Sweep":
        jobs = objects.list("TrainingJob", f"{names.SWEEP}={name}")
        running = [job["metadata"]["name"] for job in jobs if job.get("status", {}).get("phase") == "Running"]
        return objects.list("Pod", f"{names.JOB} in ({','.join(running)})") if running else []
    label = names.JOB if canonical_kind(kind) == "TrainingJob" else names.DEPLOYMENT
    return objects.list("Pod", f"{label}={name}")


def find_pod(objects: Objects, kind: str, name: str, worker: int | None) -> Object:
    """Return the pod to read a resource's log from: a worker, the launcher, a graph server or the pod itself.

    Raises NotFound.
    """
    kind = canonical_kind(kind)
    if kind == "Pod":
        return objects.get("Pod", name)
    objects.get(kind, name)
    if kind == "TrainingJob":
        role = names.LAUNCHER if worker is None else f"{names.WORKER},{names.WORKER_INDEX}={worker}"
        found = objects.list("Pod", f"{names.JOB}={name},{names.ROLE}={role}")
    else:
        found = list_pods(objects, kind, name)
    if not found:
        raise NotFound(f"{kind} {name}: no such pod exists")
    return found[0]


_MAX_LINE = 1 << 16


def read_log(api: client.ApiClient, pod: Object, follow: bool, tail: int | None) -> Iterator[str]:
    """Yield the log lines of a pod's main container; with `follow`, until it ends. Long lines come in pieces."""
    meta = pod["metadata"]
    options: dict[str, Any] = {"tail_lines": tail} if tail is not None else {}
    with translated(f"pod {meta['name']}"):
        response: Any = client.CoreV1Api(api).read_namespaced_pod_log(
            meta["name"], meta["namespace"], container=_main_container(pod), follow=follow,
            _preload_content=False, **options,
        )  # fmt: skip
        rest = b""
        for chunk in response.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
            if len(rest) > _MAX_LINE:
                yield rest.decode(errors="replace")
                rest = b""
        if rest:
            yield rest.decode(errors="replace")


def _main_container(pod: Object) -> str:
    """Return the container that does a pod's work: others may be injected before it."""
    containers = [str(container["name"]) for container in pod["spec"]["containers"]]
    role = pod["metadata"].get("labels", {}).get(names.ROLE, "")
    main = names.MAIN_CONTAINERS.get(role, names.GRAPH_SERVER)
    return main if main in containers else containers[0]
