"""One namespace of the cluster that a step runs in, or that KUBECONFIG points at."""

import json
import time
from collections.abc import Callable
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

Object = dict[str, Any]
API_VERSION = "fairlead.dev/v1alpha1"
FIELD_MANAGER = "fairlead-pipelines"
_PLURALS = {"TrainingJob": "trainingjobs", "ModelDeployment": "modeldeployments"}
_REQUEST_SECONDS = 30
_POLL_SECONDS = 0.5


class StepFailed(Exception):
    """What ends a step; the message is for the person who reads the run's log."""


class Cluster:
    """Applies and reads Fairlead's resources of one namespace."""

    def __init__(self, namespace: str) -> None:
        """Connect; raises StepFailed where there is no cluster to connect to."""
        try:
            config.load_config()
        except config.ConfigException as error:
            raise StepFailed(f"no cluster: {error}; expected a pod's service account, or KUBECONFIG") from None
        self.namespace = namespace
        self._api: Any = client.ApiClient()

    def find(self, kind: str, name: str) -> Object | None:
        """Return an object, or None; raises StepFailed when the server refuses."""
        try:
            return self._get(kind, name)
        except ApiException as error:
            if error.status == 404:
                return None
            raise StepFailed(f"{kind} {name}: {_explain(error)}") from None

    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply; raises StepFailed when refused, also for fields that somebody else has set otherwise."""
        kind, name = obj["kind"], obj["metadata"]["name"]
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        query += [("dryRun", "All")] if dry_run else []
        headers = {"Accept": "application/json", "Content-Type": "application/apply-patch+yaml"}
        try:
            return self._request("PATCH", kind, name, query_params=query, header_params=headers, body=obj)
        except ApiException as error:
            raise StepFailed(f"{kind} {name}: {_explain(error)}") from None

    def wait(self, kind: str, name: str, done: Callable[[Object], bool], seconds: float) -> Object:
        """Return the object once `done` says so; raises StepFailed with its conditions when it takes too long.

        An API server that does not answer for a while is waited for.
        """
        deadline = time.monotonic() + seconds
        known = "the API server has not answered"
        while time.monotonic() < deadline:
            try:
                found = self._get(kind, name)
            except ApiException as error:
                if error.status == 404:
                    raise StepFailed(f"{kind} {name}: was deleted while the step waited for it") from None
                if error.status not in (0, 429) and error.status < 500:
                    raise StepFailed(f"{kind} {name}: {_explain(error)}") from None
                known = _explain(error)
            except urllib3.exceptions.HTTPError as error:
                known = str(error)
            else:
                if done(found):
                    return found
                known = "; ".join(map(describe, conditions(found))) or "the operator has not looked at it"
            time.sleep(_POLL_SECONDS)
        raise StepFailed(f"{kind} {name}: not finished after {seconds:g} s: {known}")

    def _get(self, kind: str, name: str) -> Object:
        return self._request("GET", kind, name, header_params={"Accept": "application/json"})

    def _request(self, method: str, kind: str, name: str, **words: Any) -> Object:
        path = f"/apis/{API_VERSION}/namespaces/{self.namespace}/{_PLURALS[kind]}/{name}"
        answer = self._api.call_api(
            path, method, auth_settings=["BearerToken"], response_type="object",
            _return_http_data_only=True, _request_timeout=_REQUEST_SECONDS, **words,
        )  # fmt: skip
        return dict(answer)


def conditions(obj: Object) -> list[Object]:
    """Return the conditions of an object's status."""
    return list(obj.get("status", {}).get("conditions", []))


def find_condition(obj: Object, type_: str) -> Object | None:
    """Return a condition that is True and speaks of the object's present spec."""
    generation = obj["metadata"]["generation"]
    for condition in conditions(obj):
        if (condition["type"], condition["status"]) == (type_, "True"):
            return condition if condition.get("observedGeneration") == generation else None
    return None


def describe(condition: Object) -> str:
    """Return a condition in one line."""
    return f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}"


def _explain(error: ApiException) -> str:
    """Return what the API server says, without headers."""
    try:
        return f"{error.status}: {json.loads(error.body)['message']}"
    except (TypeError, ValueError, KeyError):
        return f"{error.status}: {error.reason}"
