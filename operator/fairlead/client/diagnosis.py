"""Looks at a cluster and at a resource's troubles: `gather_…` reads, `check_…` judges what was read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from fairlead.api.group import API_VERSION
from fairlead.client.errors import Denied, FairleadError, NotFound
from fairlead.client.objects import Object, Objects
from fairlead.client.waiting import conditions
from fairlead.core.pod_status import find_unscheduled, find_waiting
from fairlead.core.runbooks import find_runbook

Level = Literal["ok", "warning", "problem"]
OPERATOR_LABEL = "app.kubernetes.io/name=fairlead-operator"
KINDS = ("trainingjobs", "sweeps", "modeldeployments")
NEEDED = (
    ("create", "fairlead.dev", "trainingjobs", ""),
    ("delete", "fairlead.dev", "trainingjobs", ""),
    ("create", "fairlead.dev", "sweeps", ""),
    ("create", "fairlead.dev", "modeldeployments", ""),
    ("create", "", "configmaps", ""),
    ("list", "", "pods", ""),
    ("get", "", "pods", "log"),
    ("list", "", "events", ""),
)
"""What the commands need: verb, group, resource and subresource."""
_MAX_EVENTS = 5


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at: how it is, and what to do if it is not well."""

    level: Level
    subject: str
    text: str
    action: str = ""


@dataclass(frozen=True)
class ClusterFacts:
    """What was read of a cluster; None where the user may not read it."""

    version: str
    kinds: Sequence[str]
    """The resources of our API that the cluster serves."""
    operators: Sequence[Object] | None
    """The Deployments of operators in all namespaces."""
    denied: Sequence[str] = ()
    """What the user may not do in the namespace."""


@dataclass(frozen=True)
class ResourceFacts:
    """What was read of one TrainingJob, Sweep or ModelDeployment."""

    obj: Object
    pods: Sequence[Object] = ()
    events: Sequence[Object] = field(default_factory=list)


def gather_cluster(objects: Objects, namespace: str) -> ClusterFacts:
    """Read the facts of a cluster; raises Unreachable."""
    version = str(objects.read("/version")["gitVersion"])
    try:
        served = objects.read(f"/apis/{API_VERSION}")["resources"]
        kinds = [item["name"] for item in served]
    except NotFound:
        kinds = []
    operators: Sequence[Object] | None = None
    with suppress(Denied):
        operators = objects.list("Deployment", OPERATOR_LABEL, everywhere=True)
    denied = [
        f"{verb} {resource}{f'/{subresource}' if subresource else ''}"
        for verb, group, resource, subresource in NEEDED
        if not objects.may(verb, group, resource, subresource, namespace)
    ]
    return ClusterFacts(version, kinds, operators, denied)


def check_cluster(facts: ClusterFacts, own_version: str) -> Iterator[Diagnosis]:
    """Judge a cluster."""
    yield Diagnosis("ok", "cluster", f"Kubernetes {facts.version}")
    if missing := [kind for kind in KINDS if kind not in facts.kinds]:
        remedy = "Install them: helm install fairlead charts/fairlead, or kubectl apply -k manifests/"
        yield Diagnosis("problem", "API", f"the cluster does not serve {', '.join(missing)} of {API_VERSION}", remedy)
    else:
        yield Diagnosis("ok", "API", f"{API_VERSION}: {', '.join(KINDS)}")
    yield from _check_operators(facts.operators, own_version)
    if facts.denied:
        remedy = "Ask for the ClusterRole edit in the namespace"
        yield Diagnosis("problem", "permissions", f"you may not {', '.join(facts.denied)}", remedy)
    else:
        yield Diagnosis("ok", "permissions", f"all {len(NEEDED)} that the commands need")


def _check_operators(operators: Sequence[Object] | None, own_version: str) -> Iterator[Diagnosis]:
    if operators is None:
        yield Diagnosis("warning", "operator", "you may not list Deployments, so it was not looked at")
        return
    if not operators:
        text = "no Deployment of it; this is so on a local cluster (`fairlead status`), elsewhere it is not installed"
        yield Diagnosis("warning", "operator", text)
    for deployment in operators:
        meta, status = deployment["metadata"], deployment.get("status", {})
        ready, desired = status.get("readyReplicas", 0), deployment["spec"].get("replicas", 1)
        image = str(deployment["spec"]["template"]["spec"]["containers"][0].get("image", ""))
        where = f"{meta['namespace']}/{meta['name']}, {ready} of {desired} ready, {image}"
        if ready < 1:
            remedy = f"kubectl logs -n {meta['namespace']} deployment/{meta['name']}"
            yield Diagnosis("problem", "operator", where, remedy)
        elif image.rpartition(":")[2] != own_version:
            yield Diagnosis("warning", "operator", f"{where}; this command is of version {own_version}")
        else:
            yield Diagnosis("ok", "operator", where)


def check_resource(facts: ResourceFacts) -> Iterator[Diagnosis]:
    """Judge a resource: the condition that explains it, its pods, and the last warnings."""
    obj = facts.obj
    kind, name = obj["kind"], obj["metadata"]["name"]
    subject = f"{kind} {name}"
    status, generation = obj.get("status", {}), obj["metadata"].get("generation", 0)
    if status.get("observedGeneration", 0) < generation:
        text = "the operator has not looked at its current spec"
        yield Diagnosis("problem", subject, text, "Look at the operator, see above")
    explaining = find_explanation(obj)
    if explaining is None:
        if status.get("observedGeneration", 0) >= generation:
            yield Diagnosis("warning", subject, "has no condition that explains its state")
    else:
        runbook = find_runbook(kind, explaining["reason"])
        action = runbook.action if runbook else "docs/runbooks.md does not know this reason"
        works = explaining["type"] in ("Running", "Succeeded", "Ready") and explaining["status"] == "True"
        level: Level = "ok" if not action else "warning" if works else "problem"
        text = f"{status.get('phase') or explaining['type']}: {explaining['reason']}: {explaining['message']}"
        yield Diagnosis(level, subject, text, action)
    yield from _check_routes(obj)
    yield from (diagnosis for pod in facts.pods if (diagnosis := _check_pod(pod)))
    for event in [event for event in facts.events if event.get("type") == "Warning"][-_MAX_EVENTS:]:
        text = f"{event.get('reason', '')}: {event.get('message', '')}"
        yield Diagnosis("warning", f"event of {event.get('involvedObject', {}).get('name', '')}", text)


def find_explanation(obj: Object) -> Object | None:
    """Return the condition that explains a resource's state in full: the most serious one that holds."""
    known = {condition["type"]: condition for condition in conditions(obj)}
    for type_ in ("Failed", "Blocked", "Suspended", "Restarting", "Degraded", "Succeeded", "Running"):
        condition = known.get(type_)
        if condition and condition["status"] == "True" and condition.get("message"):
            return condition
    for type_ in ("Running", "Ready"):  # not yet, and why
        if (condition := known.get(type_)) and condition.get("message"):
            return condition
    return None


def _check_routes(obj: Object) -> Iterator[Diagnosis]:
    """Find why the routes from outside are not served, of which the explanation of the rest says nothing."""
    for condition in conditions(obj):
        if condition["type"] == "Exposed" and condition["status"] != "True":
            subject = f"{obj['kind']} {obj['metadata']['name']}, routes"
            runbook = find_runbook(obj["kind"], condition["reason"])
            level: Level = "problem" if condition["status"] == "False" else "warning"
            text = f"{condition['reason']}: {condition['message']}"
            yield Diagnosis(level, subject, text, runbook.action if runbook else "")


def _check_pod(pod: Object) -> Diagnosis | None:
    """Find why a pod is not scheduled or does not start."""
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if condition := find_unscheduled(status):
        text = f"is not scheduled: {condition.get('message', condition.get('reason', ''))}"
        return Diagnosis("problem", f"pod {name}", text, "Free or add nodes, or change what the workers request")
    if found := find_waiting(status):
        container, waiting = found
        text = f"container {container}: {waiting['reason']}: {waiting.get('message', '')}"
        return Diagnosis("problem", f"pod {name}", text, f"kubectl describe pod {name}")
    return None


def gather_resource(objects: Objects, kind: str, name: str, list_pods: Callable[[], list[Object]]) -> ResourceFacts:
    """Read the facts of a resource; raises NotFound."""
    obj = objects.get(kind, name)
    pods = list_pods()
    involved = {name, *(pod["metadata"]["name"] for pod in pods)}
    try:
        events = [e for e in objects.list("Event") if e.get("involvedObject", {}).get("name") in involved]
    except FairleadError:
        events = []
    return ResourceFacts(obj, pods, sorted(events, key=lambda event: str(event.get("lastTimestamp") or "")))
