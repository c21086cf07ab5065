"""Conversion of Kubernetes objects to the views that planners read."""

import hashlib
from datetime import datetime
from itertools import islice
from typing import Any

import orjson

from fairlead.core import names
from fairlead.core.conditions import shorten
from fairlead.core.pod_status import find_unscheduled, find_waiting
from fairlead.core.views import ChildView, PodView, RevisionView, SeldonView

Object = dict[str, Any]

MAX_NAME, MAX_STATE, MAX_DESCRIPTION, _MAX_URL = 253, 32, 1024, 512
_MAX_DEPLOYMENTS = 64
"""How many Deployments of a SeldonDeployment's status are read, which has one for each predictor."""

_ENDED = ("Succeeded", "Failed")
_TARGETS = ("DisruptionTarget", "TerminationTarget")
"""Conditions of pods that the cluster ends; Kueue, which deletes pods itself, sets the second one."""
_DISRUPTIONS = ("Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated")
"""Reasons with which the kubelet or the control plane fails a pod, also where they set no condition."""


def view_pod(pod: Object) -> PodView:
    """Return the view of a pod."""
    meta, status = pod["metadata"], pod.get("status", {})
    labels = meta.get("labels", {})
    role = labels.get(names.ROLE, "")
    containers = status.get("containerStatuses", [])
    main = _find(containers, names.MAIN_CONTAINERS.get(role, names.GRAPH_SERVER))
    ended = main.get("state", {}).get("terminated")
    phase = status.get("phase", "Pending")
    decided = bool(ended) and role in names.MAIN_CONTAINERS  # these pods never restart a container
    result = ended or _failure(status, containers) or main.get("lastState", {}).get("terminated") or {}
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        role=role,
        index=as_number(labels.get(names.WORKER_INDEX, "0")),
        attempt=as_number(labels.get(names.ATTEMPT, "0")),
        phase=("Failed" if ended["exitCode"] else "Succeeded") if ended and decided else phase,
        sidecars=decided and phase not in _ENDED,
        scheduled=bool(pod.get("spec", {}).get("nodeName")),
        deleting="deletionTimestamp" in meta,
        deletion_time=_time(meta.get("deletionTimestamp")),
        ip=status.get("podIP"),
        exit_code=result.get("exitCode"),
        ended=_time(ended.get("finishedAt")) if ended and decided else None,
        termination_message=result.get("message", ""),
        waiting=_waiting(status),
        unscheduled=find_unscheduled(status).get("reason", ""),
        disruption=_disruption(status),
        restarts=sum(container.get("restartCount", 0) for container in containers),
        created=_time(meta.get("creationTimestamp")),
        group=labels.get(names.KUEUE_GROUP, ""),
        revision=labels.get(names.REVISION, ""),
        predictor=(predictor := labels.get(names.PREDICTOR, "")),
        ready=bool(predictor) and _is_ready(status),
    )


def view_child(obj: Object, changed: bool = False) -> ChildView:
    """Return the view of a child that is neither a pod nor a revision; `changed` as in the view."""
    meta, status = obj["metadata"], obj.get("status", {})
    updated = status.get("updatedReplicas", 0)
    settled = (
        status.get("observedGeneration", 0) >= meta.get("generation", 0)
        and updated == obj.get("spec", {}).get("replicas", 0)
        and status.get("replicas", 0) == updated
    )
    return ChildView(
        name=meta["name"],
        uid=meta["uid"],
        applied_hash=meta.get("annotations", {}).get(names.APPLIED_HASH, ""),
        cluster_ip=obj.get("spec", {}).get("clusterIP"),
        replicas=status.get("replicas", 0),
        desired=obj.get("spec", {}).get("replicas", 0),
        changed=changed,
        ready=min(status.get("readyReplicas", 0), updated),
        settled=settled,
        content=as_text(_read_annotations(obj).get(names.SELDON_CONTENT), MAX_NAME),
    )


def view_seldon(obj: Object, changed: bool = False) -> SeldonView:
    """Return the view of a SeldonDeployment; what its status says is bounded, and left out if it has another type."""
    meta, status = obj["metadata"], as_object(obj.get("status"))
    found = as_object(status.get("deploymentStatus")).items()
    return SeldonView(
        name=meta["name"],
        uid=meta["uid"],
        applied_hash=meta.get("annotations", {}).get(names.APPLIED_HASH, ""),
        changed=changed,
        generation=meta.get("generation", 0),
        observed=as_count(status.get("observedGeneration")),
        state=as_text(status.get("state"), MAX_STATE),
        description=as_text(status.get("description"), MAX_DESCRIPTION),
        url=as_text(as_object(status.get("address")).get("url"), _MAX_URL),
        pods=tuple(
            (
                as_text(name, MAX_NAME),
                as_count(as_object(each).get("replicas")),
                as_count(as_object(each).get("availableReplicas")),
            )
            for name, each in islice(found, _MAX_DEPLOYMENTS)
        ),
    )


def view_revision(obj: Object) -> RevisionView:
    """Return the view of a ControllerRevision."""
    data = orjson.dumps(obj.get("data")).decode()
    return RevisionView(obj["metadata"]["name"], obj["metadata"]["uid"], int(obj.get("revision", 0)), data)


def hash_spec(obj: Object) -> str:
    """Return a hash of an object's spec, as stored; equal specs have equal hashes."""
    return hashlib.sha256(orjson.dumps(obj.get("spec"), option=orjson.OPT_SORT_KEYS)).hexdigest()


def as_object(value: Any) -> Object:
    """Return an object that somebody else has written; an empty one if it has another type."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any, limit: int) -> str:
    """Return a text that somebody else has written, bounded; an empty one if it has another type."""
    return shorten(value, limit) if isinstance(value, str) else ""


def as_count(value: Any) -> int:
    """Return a number that somebody else has written; 0 if it has another type, or is no count."""
    return value if type(value) is int and 0 <= value < 2**31 else 0


def _read_annotations(obj: Object) -> Object:
    """Return the annotations of an object's pod template; empty if it has none."""
    template = obj.get("spec", {}).get("template", {})
    return dict(template.get("metadata", {}).get("annotations") or {})


def as_number(label: str) -> int:
    """Return the number in a label, which anyone can write; -1, which no worker or attempt has, for anything else."""
    return int(label) if label.isascii() and label.isdigit() and len(label) < 10 else -1


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _is_ready(status: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))


def _find(statuses: list[Object], name: str) -> Object:
    """Return the status of our own container. Others may be injected before it."""
    return next((status for status in statuses if status["name"] == name), {})


def _failure(status: Object, containers: list[Object]) -> Object:
    """Return how a container failed, such as an init container, before our own one ended."""
    for container in status.get("initContainerStatuses", []) + containers:
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            return dict(ended)
    return {}


def _disruption(status: Object) -> str:
    """Return why the cluster ends a pod, from its condition or from its failure."""
    for condition in status.get("conditions", []):
        if condition["type"] in _TARGETS and condition["status"] == "True":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".rstrip(": ")
    if status.get("phase") == "Failed" and status.get("reason") in _DISRUPTIONS:
        return f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
    return ""


def _waiting(status: Object) -> str:
    """Return why a pod does not start, or why it failed before its containers ran."""
    if found := find_waiting(status):
        name, waiting = found
        return f"container {name}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    if condition := find_unscheduled(status):
        return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    if status.get("phase") == "Failed" and status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}"
    return ""
