"""V2 inference requests to a ModelDeployment, sent to its Service directly or through the API server."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import urllib3

from fairlead.client.errors import Rejected, from_response, translated
from fairlead.client.objects import Object

_TIMEOUT_SECONDS = 30.0
Send = Callable[[str, str, Object | None], Object]
"""Sends a request (method, path, body) to the deployment and returns the JSON response."""


def predict(name: str, inputs: Object | Sequence[Any], send: Send) -> Object:
    """Send a V2 request, or rows of values for a model with one input; return the V2 response.

    Raises Rejected with the server's message if the request does not match the model.
    """
    path = f"/v2/models/{name}"
    if not isinstance(inputs, dict):
        inputs = build_request(send("GET", path, None)["inputs"], inputs)
    return send("POST", f"{path}/infer", inputs)


def build_request(inputs: Sequence[Object], values: Sequence[Any]) -> Object:
    """Return a V2 request with rows of values for a model with one input; raises Rejected if it has several."""
    if len(inputs) != 1:
        names = ", ".join(str(tensor["name"]) for tensor in inputs)
        raise Rejected(f"got rows of values, expected a V2 request, because the model has several inputs: {names}")
    tensor = inputs[0]
    return {
        "inputs": [{"name": tensor["name"], "datatype": tensor["datatype"], "shape": _shape(values), "data": values}]
    }


def send_directly(address: str) -> Send:
    """Return a function that sends requests to a server at `host:port`."""

    def send(method: str, path: str, body: Object | None) -> Object:
        with translated(path):
            response = urllib3.request(
                method, f"http://{address}{path}", json=body, timeout=_TIMEOUT_SECONDS, retries=False
            )
        if response.status >= 400:
            raise from_response(path, response.status, response.data)
        return dict(response.json())

    return send


def send_by_proxy(request: Callable[[str, str, Object | None], bytes], namespace: str, service: str, port: int) -> Send:
    """Return a function that sends requests through the API server's proxy."""

    def send(method: str, path: str, body: Object | None) -> Object:
        proxied = f"/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}"
        with translated(path):
            return dict(json.loads(request(method, proxied, body)))

    return send


def _shape(values: Any) -> list[int]:
    if not isinstance(values, list | tuple):
        return []
    return [len(values), *(_shape(values[0]) if values else [])]
