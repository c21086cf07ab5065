"""The cluster that the kubeconfig points at, through the official client."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config, dynamic
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import DynamicApiError, ResourceNotFoundError, ResourceNotUniqueError

from fairlead.cli.console import CommandError

Object = dict[str, Any]
_ALIASES = {"tj": "TrainingJob", "trainingjob": "TrainingJob", "trainingjobs": "TrainingJob",
            "mdep": "ModelDeployment", "modeldeployment": "ModelDeployment",
            "modeldeployments": "ModelDeployment"}  # fmt: skip
FIELD_MANAGER = "fairlead-cli"


class Cluster:
    """One API server, as the user that the kubeconfig names."""

    def __init__(self, namespace: str | None = None) -> None:
        try:
            _load_config()
        except config.ConfigException as error:
            raise CommandError(f"no cluster: {error}; set KUBECONFIG or run `fairlead up`") from None
        self.namespace = namespace or _current_namespace()
        self.core: Any = client.CoreV1Api()

    @cached_property
    def _dynamic(self) -> dynamic.DynamicClient:
        return dynamic.DynamicClient(client.ApiClient())

    def apply(self, obj: Object) -> Object:
        """Server-side apply one object."""
        with translated(f"{obj.get('kind')} {obj.get('metadata', {}).get('name')}"):
            resource = self._resource(obj["kind"], obj["apiVersion"])
            namespace = obj["metadata"].get("namespace", self.namespace) if resource.namespaced else None
            result: Object = self._dynamic.server_side_apply(
                resource, body=obj, name=obj["metadata"]["name"], namespace=namespace,
                field_manager=FIELD_MANAGER, force_conflicts=True,
            ).to_dict()  # fmt: skip
            return result

    def get(self, kind: str, name: str) -> Object:
        """Return one object."""
        with translated(f"{kind} {name}"):
            result: Object = self._resource(kind).get(name=name, namespace=self.namespace).to_dict()
            return result

    def list(self, kind: str, labels: str | None = None, everywhere: bool = False) -> list[Object]:
        """Return the objects of a kind in the namespace, or in all of them."""
        with translated(kind):
            namespace = None if everywhere else self.namespace
            found = self._resource(kind).get(namespace=namespace, label_selector=labels).to_dict()
            return list(found["items"])

    def delete(self, kind: str, name: str) -> None:
        """Delete one object, and in the background what it owns."""
        with translated(f"{kind} {name}"):
            body = client.V1DeleteOptions(propagation_policy="Background")
            self._resource(kind).delete(name=name, namespace=self.namespace, body=body)

    def follow_log(self, pod: str, container: str, follow: bool) -> Iterator[str]:
        """Yield the lines of a container's log."""
        with translated(f"pod {pod}"):
            response = self.core.read_namespaced_pod_log(
                pod, self.namespace, container=container, follow=follow, _preload_content=False
            )
            rest = ""
            for chunk in response.stream():
                *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
                yield from lines
            if rest:
                yield rest

    def request_service(self, service: str, port: int, method: str, path: str, body: Object | None = None) -> Object:
        """Send a JSON request to a Service: directly where its address is this machine's, else by the API server.

        Raises CommandError with the server's answer when it refuses.
        """
        with translated(f"service {service}"):
            address = self.core.read_namespaced_service(service, self.namespace).spec.cluster_ip
            if str(address).startswith("127."):
                return _request_directly(f"http://{address}:{port}{path}", method, body)
            path = f"/api/v1/namespaces/{self.namespace}/services/{service}:{port}/proxy{path}"
            return self._request_by_proxy(method, path, body)

    def _request_by_proxy(self, method: str, path: str, body: Object | None) -> Object:
        api = self.core.api_client
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = api.param_serialize(method, path, header_params=headers, body=body, auth_settings=["BearerToken"])
        response = api.call_api(*request)
        content = response.read()
        if response.status >= 400:
            raise CommandError(f"{path}: {response.status}: {content.decode(errors='replace')}")
        return dict(json.loads(content))

    def _resource(self, kind: str, api_version: str | None = None) -> Any:
        kind = _ALIASES.get(kind.lower(), kind)
        search = {"kind": kind} | ({"api_version": api_version} if api_version else {})
        try:
            return self._dynamic.resources.get(**search)
        except ResourceNotUniqueError:
            # such as Event, which two groups serve: the core one is what kubectl means
            return self._dynamic.resources.get(kind=kind, api_version="v1")
        except ResourceNotFoundError:
            if api_version is None and (found := self._dynamic.resources.search(name=kind.lower())):
                return found[0]
            raise


def read_manifests(path: Path) -> list[Object]:
    """Return every object of a YAML file, or of the YAML files of a folder; raises CommandError."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    objects = []
    for file in files:
        try:
            documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
        except (OSError, yaml.YAMLError) as error:
            raise CommandError(f"{file}: {error}") from None
        for document in documents:
            if not isinstance(document, dict) or not {"apiVersion", "kind", "metadata"} <= document.keys():
                raise CommandError(f"{file}: expected Kubernetes objects with apiVersion, kind and metadata")
            objects.append(document)
    if not objects:
        raise CommandError(f"{path}: no Kubernetes objects found")
    return objects


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the client's exceptions into one line that says what was refused and why."""
    try:
        yield
    except ResourceNotFoundError as error:
        raise CommandError(f"{what}: the cluster does not know this kind ({error})") from None
    except (ApiException, DynamicApiError) as error:
        raise CommandError(f"{what}: {_explain(error)}") from None
    except urllib3.exceptions.HTTPError as error:
        raise CommandError(f"no answer from the API server: {error}") from None


def _explain(error: ApiException | DynamicApiError) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


def _load_config() -> None:
    """Load $KUBECONFIG as it is now: the client reads the variable when it is imported."""
    if kubeconfig := os.environ.get("KUBECONFIG"):
        config.load_kube_config(config_file=kubeconfig)
    else:
        config.load_config()


def _current_namespace() -> str:
    try:
        _, active = config.list_kube_config_contexts(os.environ.get("KUBECONFIG"))
        return str(active["context"].get("namespace", "default"))
    except config.ConfigException:
        return "default"


def _request_directly(url: str, method: str, body: Object | None) -> Object:
    response = urllib3.request(method, url, json=body, timeout=30.0, retries=False)
    if response.status >= 400:
        raise CommandError(f"{url}: {response.status}: {response.data.decode(errors='replace')}")
    return dict(response.json())
