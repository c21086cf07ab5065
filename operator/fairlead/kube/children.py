"""The cache of children, such as pods, Services and Deployments, with our label, by owner uid."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fairlead.core import names
from fairlead.core.views import ChildView, JobView, PodView, RevisionView, RouteView, SeldonView, TrialView
from fairlead.kube.cache import Cache, Entry
from fairlead.kube.client import FIELD_MANAGER
from fairlead.kube.job_views import view_job, view_trial
from fairlead.kube.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    POD,
    ROUTES,
    SELDON_DEPLOYMENT,
    SERVICE,
    TRAINING_JOB,
    WATCHED,
    Key,
    Kind,
)
from fairlead.kube.route_views import view_route
from fairlead.kube.transport import Object
from fairlead.kube.views import hash_spec, view_child, view_pod, view_revision, view_seldon

CHILDREN = (
    (POD, False), (SERVICE, False), (CONFIG_MAP, True), (DEPLOYMENT, False), (CONTROLLER_REVISION, False),
    (AUTOSCALER, False), (DISRUPTION_BUDGET, False), (TRAINING_JOB, False),
)  # fmt: skip
"""The watched kinds, and whether only their metadata is read. SeldonDeployments and routes are watched only where they
are used. TrainingJobs with our label are those of ModelDeployments and Sweeps, whose planners must not miss one after
a restart.

Secrets are not watched: a job's key is created without reading it, and that of a rollout's traffic is read by name.
"""
SELECTOR = names.selector({names.MANAGED_BY: names.OPERATOR})

_REPAIRED = (SERVICE, DEPLOYMENT, SELDON_DEPLOYMENT, AUTOSCALER, DISRUPTION_BUDGET, *ROUTES)
"""The kinds whose spec is applied again when another client changes it."""

View = PodView | ChildView | JobView | RevisionView | SeldonView | RouteView | TrialView
_Repaired = ChildView | SeldonView | RouteView
_OWNERS = {kind.kind: kind.api_version for kind in WATCHED}


@dataclass(slots=True)
class Child(Entry):
    """A child object."""

    owner: str
    """The uid of its controller, empty if there is none. Labels do not prove ownership."""
    controller: str
    """The name of its controller."""
    key: Key | None
    """The resource to reconcile when it changes: its owner, or the resource in its labels."""
    view: View
    spec_hash: str = ""
    """The hash of the spec, for kinds that are repaired."""


class ChildCache(Cache[Child]):
    """Children by owner. Objects with our label but another owner are not used in plans."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        super().__init__(self._read_child, lambda child: changed(child.key) if child.key else None)
        self._applied: dict[str, str] = {}
        """The hashes of the specs that the operator applied, by uid."""
        self._owned: dict[str, dict[str, Child]] = {}
        self._replicated: dict[Key, dict[str, Child]] = {}

    def put(self, kind: Kind, obj: Object, own: bool = False) -> Child | None:
        """Cache an object unless a newer version is known; a response to our own write is what was applied."""
        uid = obj["metadata"]["uid"]
        if not own or kind not in _REPAIRED:
            return super().put(kind, obj, own)
        self._applied[uid] = hash_spec(obj)
        written = super().put(kind, obj, own)
        # an apply that changes nothing has no new version, and an event may have been faster than the response
        if written is None and (known := self._entries.get(uid)) and isinstance(known.view, _Repaired):
            known.view = replace(known.view, changed=known.spec_hash != self._applied[uid])
        return written

    def owned_by(self, uid: str) -> list[Child]:
        """Return the children whose controller has this uid, by name."""
        return _by_name(self._owned.get(uid, {}))

    def replicas_of(self, key: Key, deployments: set[str]) -> list[Child]:
        """Return the pods of a ModelDeployment's Deployments, by name.

        Their owner is a ReplicaSet, which is not watched, so they are found by label and ReplicaSet name.
        """
        pods = _by_name(self._replicated.get(key, {}))
        return [pod for pod in pods if pod.controller.rpartition("-")[0] in deployments]

    def _differs(self, before: Child, after: Child) -> bool:
        return before.view != after.view or before.owner != after.owner

    def _replaced(self, before: Child | None, after: Child | None) -> None:
        if before:
            self._remove(before)
            if after is None:
                self._applied.pop(before.uid, None)
        if after and after.owner:
            self._owned.setdefault(after.owner, {})[after.uid] = after
        if after and after.key and after.kind == POD.kind and after.key.kind != "TrainingJob":
            self._replicated.setdefault(after.key, {})[after.uid] = after

    def _read_child(self, kind: Kind, obj: Object) -> Child:
        meta = obj["metadata"]
        owner = controller_of(meta)
        spec_hash = hash_spec(obj) if kind in _REPAIRED else ""
        changed = kind in _REPAIRED and self._is_changed(meta, spec_hash)
        return Child(
            kind=kind.kind,
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            version=int(meta["resourceVersion"]),
            owner=owner.get("uid", ""),
            controller=owner.get("name", ""),
            key=_find_key(meta, owner),
            view=_view(kind, obj, changed),
            spec_hash=spec_hash,
        )

    def _is_changed(self, meta: Object, spec_hash: str) -> bool:
        """Return whether a spec may not be what we applied: after a restart, whether another client wrote to it."""
        if known := self._applied.get(meta["uid"]):
            return spec_hash != known
        return any(
            entry.get("manager") != FIELD_MANAGER and "f:spec" in entry.get("fieldsV1", {})
            for entry in meta.get("managedFields", ())
        )

    def _remove(self, child: Child) -> None:
        indexes: tuple[tuple[dict[Any, dict[str, Child]], Any], ...] = (
            (self._owned, child.owner), (self._replicated, child.key),
        )  # fmt: skip
        for index, index_key in indexes:
            if group := index.get(index_key):
                group.pop(child.uid, None)
                if not group:
                    del index[index_key]


def _view(kind: Kind, obj: Object, changed: bool) -> View:
    if kind is SELDON_DEPLOYMENT:
        return view_seldon(obj, changed)
    if kind in ROUTES:
        return view_route(kind.kind, obj, changed)
    if kind is TRAINING_JOB:
        return view_trial(obj) if names.TRIAL in obj["metadata"].get("labels", {}) else view_job(obj)
    if kind is CONTROLLER_REVISION:
        return view_revision(obj)
    return view_pod(obj) if kind is POD else view_child(obj, changed)


def controller_of(meta: Object) -> dict[str, str]:
    """Return the owner reference of an object's controller; empty if it has none."""
    for owner in meta.get("ownerReferences", ()):
        if owner.get("controller"):
            return dict(owner)
    return {}


def _find_key(meta: Object, owner: dict[str, str]) -> Key | None:
    if owner and _OWNERS.get(owner["kind"]) == owner["apiVersion"]:
        return Key(owner["kind"], meta["namespace"], owner["name"])
    labels = meta.get("labels", {})
    for kind, label in (("TrainingJob", names.JOB), ("ModelDeployment", names.DEPLOYMENT), ("Sweep", names.SWEEP)):
        if name := labels.get(label):
            return Key(kind, meta["namespace"], name)
    return None


def _by_name(children: dict[str, Child]) -> list[Child]:
    return sorted(children.values(), key=lambda child: child.name)
