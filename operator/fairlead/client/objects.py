"""Server-side apply, get, list and delete of objects of any kind, as dictionaries."""

import json
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from kubernetes import dynamic
from kubernetes.dynamic.exceptions import ResourceNotFoundError, ResourceNotUniqueError

from fairlead.api.group import GROUP, VERSION
from fairlead.api.wire import escape_for_yaml
from fairlead.client.connection import Connection
from fairlead.client.errors import translated

Object = dict[str, Any]
_REQUEST_SECONDS = 30.0
_APPLY = "application/apply-patch+yaml; charset=utf-8"
"""With a character set: earlier versions of the client encode the body of the bare type once more."""

_MERGE_PATCH = "application/merge-patch+json"

_KNOWN = {
    "TrainingJob": ("apis", GROUP, VERSION, "trainingjobs"),
    "ModelDeployment": ("apis", GROUP, VERSION, "modeldeployments"),
    "Sweep": ("apis", GROUP, VERSION, "sweeps"),
    "Pod": ("api", "", "v1", "pods"),
    "Service": ("api", "", "v1", "services"),
    "Event": ("api", "", "v1", "events"),
    "ConfigMap": ("api", "", "v1", "configmaps"),
    "Secret": ("api", "", "v1", "secrets"),
    "Deployment": ("apis", "apps", "v1", "deployments"),
}
"""Kinds that need no discovery: prefix, group, version, plural. All are namespaced."""
_ALIASES = {
    "tj": "TrainingJob", "trainingjob": "TrainingJob", "trainingjobs": "TrainingJob",
    "mdep": "ModelDeployment", "modeldeployment": "ModelDeployment", "modeldeployments": "ModelDeployment",
    "sw": "Sweep", "sweep": "Sweep", "sweeps": "Sweep",
    "po": "Pod", "pod": "Pod", "pods": "Pod",
}  # fmt: skip


class Objects:
    """Reads and writes objects; `namespace` is the default for objects without one."""

    def __init__(self, connection: Connection, namespace: str, field_manager: str) -> None:
        self._api = connection.api
        self._namespace = namespace
        self._field_manager = field_manager
        # the library's default file name is predictable, so another user could create the file first
        self._folder = tempfile.TemporaryDirectory(prefix="fairlead-")

    def apply(self, obj: Mapping[str, Any], *, force: bool = True, dry_run: bool = False) -> Object:
        """Server-side apply an object and return it as stored; unknown fields are rejected.

        Raises Rejected, and Conflict if another manager owns a field and `force` is False.
        """
        kind, meta = str(obj.get("kind")), obj.get("metadata", {})
        with translated(f"{kind} {meta.get('name')}"):
            resource = self._resource(kind, str(obj.get("apiVersion")))
            path = resource.path(name=meta["name"], namespace=self._namespace_for(resource, meta.get("namespace")))
            query = [("fieldValidation", "Strict"), *([("dryRun", "All")] if dry_run else [])]
            body = escape_for_yaml(json.dumps(dict(obj), ensure_ascii=False)).encode()
            return self._request(
                "PATCH", path, body=body, query_params=query, field_manager=self._field_manager,
                force_conflicts=force or None, content_type=_APPLY,
            )  # fmt: skip

    def get(self, kind: str, name: str) -> Object:
        """Return an object; raises NotFound."""
        with translated(f"{kind} {name}"):
            resource = self._resource(kind)
            return self._request("GET", resource.path(name=name, namespace=self._namespace_for(resource)))

    def list(self, kind: str, labels: str | None = None, everywhere: bool = False) -> list[Object]:
        """Return the objects of a kind in the namespace, or in all namespaces."""
        with translated(kind):
            resource = self._resource(kind)
            namespace = None if everywhere else self._namespace_for(resource)
            query = [("labelSelector", labels)] if labels else []
            found = self._request("GET", resource.path(namespace=namespace), query_params=query)
            # items of a list have no apiVersion and kind
            head = {"apiVersion": found["apiVersion"], "kind": resource.kind}
            return [head | item for item in found["items"]]

    def annotate(self, kind: str, name: str, annotations: Mapping[str, str]) -> Object:
        """Set annotations of an object and return it; raises NotFound."""
        with translated(f"{kind} {name}"):
            resource = self._resource(kind)
            path = resource.path(name=name, namespace=self._namespace_for(resource))
            body = {"metadata": {"annotations": dict(annotations)}}
            return self._request("PATCH", path, body=body, field_manager=self._field_manager, content_type=_MERGE_PATCH)

    def delete(self, kind: str, name: str, namespace: str | None = None, api_version: str | None = None) -> None:
        """Delete an object and, in the background, its dependents; raises NotFound."""
        with translated(f"{kind} {name}"):
            resource = self._resource(kind, api_version)
            path = resource.path(name=name, namespace=self._namespace_for(resource, namespace))
            self._request("DELETE", path, body={"propagationPolicy": "Background"})

    def read(self, path: str) -> Object:
        """Return the JSON at a path of the API server; raises NotFound."""
        with translated(path):
            return self._request("GET", path)

    def may(self, verb: str, group: str, resource: str, subresource: str, namespace: str) -> bool:
        """Return whether the user may do this in a namespace."""
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        attributes |= {"subresource": subresource} if subresource else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        with translated("SelfSubjectAccessReview"):
            answer = self._request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
        return bool(answer["status"]["allowed"])

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
        """Send a JSON request to a path of the API server and return the response body; raises the client's errors."""
        answer = self._client.request(
            method,
            path,
            body=body,
            serialize=False,
            header_params=dict(headers or {}),
            _request_timeout=_REQUEST_SECONDS,
        )
        return bytes(answer.data)

    def _request(self, method: str, path: str, **options: Any) -> Object:
        answer: Object = self._client.request(
            method, path, serializer=_as_dictionary, _request_timeout=_REQUEST_SECONDS, **options
        )
        return answer

    def _namespace_for(self, resource: Any, namespace: str | None = None) -> str | None:
        return (namespace or self._namespace) if resource.namespaced else None

    @cached_property
    def _client(self) -> Any:
        """The client for known kinds, created without a request."""
        return dynamic.DynamicClient(self._api, discoverer=lambda *_: None)

    @cached_property
    def _discovering(self) -> Any:
        """The client for all other kinds, which uses API discovery."""
        return dynamic.DynamicClient(self._api, cache_file=str(Path(self._folder.name) / "kinds.json"))

    def _resource(self, kind: str, api_version: str | None = None) -> Any:
        kind = _ALIASES.get(kind.lower(), kind)
        if known := _KNOWN.get(kind):
            prefix, group, version, plural = known
            if api_version in (None, f"{group}/{version}".lstrip("/")):
                return dynamic.Resource(
                    prefix=prefix, group=group, api_version=version, kind=kind, name=plural, namespaced=True,
                    client=self._client,
                )  # fmt: skip
        return self._discover(kind, api_version)

    def _discover(self, kind: str, api_version: str | None) -> Any:
        resources = self._discovering.resources
        try:
            return resources.get(kind=kind, **({"api_version": api_version} if api_version else {}))
        except ResourceNotUniqueError:
            # such as Event, which exists in two groups: use the core group, like kubectl
            return resources.get(kind=kind, api_version="v1")
        except ResourceNotFoundError:
            if api_version is None and (found := resources.search(name=kind.lower())):
                return found[0]
            raise


def canonical_kind(kind: str) -> str:
    """Return the kind for a short name or plural, such as TrainingJob for tj."""
    return _ALIASES.get(kind.lower(), kind)


def _as_dictionary(_: Any, content: Object) -> Object:
    return content
