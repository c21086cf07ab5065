"""Reads objects of a cluster in this process.

Tests look again and again until something holds. A `kubectl get` for each look takes a fifth of a second of CPU time,
which the cluster that is waited for could use.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fairlead.client.connection import connect
from fairlead.client.errors import NotFound
from fairlead.client.objects import Objects

Object = dict[str, Any]
_BOUND = "timeout=10s"
"""How long the API server waits for an etcd that is away; without this, a minute for each read."""


def read_object(kubeconfig: Path, kind: str, name: str, namespace: str) -> Object | None:
    """Return an object, None if there is none; kinds are named as for kubectl. Raises the client's errors."""
    try:
        return _reader(kubeconfig).fetch(kind, namespace, f"/{name}?{_BOUND}")
    except NotFound:
        return None


def list_objects(kubeconfig: Path, kind: str, namespace: str, labels: str = "") -> list[Object]:
    """Return the objects of a kind that have these labels; kinds and errors as above."""
    found = _reader(kubeconfig).fetch(kind, namespace, f"?{urlencode({'labelSelector': labels})}&{_BOUND}")
    common = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
    return [common | item for item in found["items"]]


def _reader(kubeconfig: Path) -> "_Reader":
    # a cluster that was started again has another address
    return _connect(kubeconfig, kubeconfig.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _connect(kubeconfig: Path, _: int) -> "_Reader":
    return _Reader(Objects(connect(kubeconfig), "default", "tests"))


@dataclass
class _Reader:
    """A connection, and the paths of the kinds that it has found."""

    objects: Objects
    paths: dict[str, tuple[str, str, bool]] = field(default_factory=dict)
    """Prefix, plural and whether it is namespaced, by each name of a kind."""

    def fetch(self, kind: str, namespace: str, rest: str) -> Object:
        """Return what the API server answers for a kind; `rest` is the name of an object, or the query of a list."""
        if kind.lower() not in self.paths:
            unserved = self._discover()
            if kind.lower() not in self.paths and unserved:
                raise NotFound(f"{kind}: {', '.join(unserved)} is listed and not served yet")
        assert kind.lower() in self.paths, f"the API server has no kind {kind!r}"
        prefix, plural, namespaced = self.paths[kind.lower()]
        within = f"/namespaces/{namespace}" if namespaced else ""
        return self.objects.read(f"{prefix}{within}/{plural}{rest}")

    def _discover(self) -> list[str]:
        """Find the paths of all kinds; return the groups that are not served yet, because their first CRD is new."""
        unserved, groups = [], self.objects.read("/apis")["groups"]
        # as with kubectl, the first group that has a name wins
        for prefix in ("/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)):
            try:
                resources = self.objects.read(prefix)["resources"]
            except NotFound:
                unserved.append(prefix)
                continue
            for resource in resources:
                path = (prefix, resource["name"], resource["namespaced"])
                full = f"{resource['name']}.{prefix.split('/')[2]}"
                for name in (resource["name"], resource["singularName"], full, *resource.get("shortNames", ())):
                    self.paths.setdefault(name, path)
        return unserved
