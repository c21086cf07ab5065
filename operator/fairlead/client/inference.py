"""Requests to a ModelDeployment: V2 messages, sent to its Service directly or through the API server."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import urllib3

from fairlead.client.errors import Rejected, from_response, translated
from fairlead.client.objects import Object

_ANSWER_SECONDS = 30.0
Send = Callable[[str, str, Object | None], Object]
"""Sends a method, a path and a body to the deployment; returns its JSON answer."""


def predict(name: str, inputs: Object | Sequence[Any], send: Send) -> Object:
    """Send a whole V2 request, or rows of values for a model with one input; return the V2 response.

    Raises Rejected with the server's message for a request that does not fit the model.
    """
    path = f"/v2/models/{name}"
    if not isinstance(inputs, dict):
        inputs = build_request(send("GET", path, None)["inputs"], inputs)
    return send("POST", f"{path}/infer", inputs)


def build_request(inputs: Sequence[Object], values: Sequence[Any]) -> Object:
    """Return the V2 request for a model with one input, from rows of values; raises Rejected when it has several."""
    if len(inputs) != 1:
        names = ", ".join(str(tensor["name"]) for tensor in inputs)
        raise Rejected(f"got rows of values, expected a whole V2 request, as the model has the inputs {names}")
    tensor = inputs[0]
    return {
        "inputs": [{"name": tensor["name"], "datatype": tensor["datatype"], "shape": _shape(values), "data": values}]
    }


def send_directly(address: str) -> Send:
    """Return a way to a server at `host:port`."""

    def send(method: str, path: str, body: Object | None) -> Object:
        with translated(path):
            response = urllib3.request(
                method, f"http://{address}{path}", json=body, timeout=_ANSWER_SECONDS, retries=False
            )
        if response.status >= 400:
            raise from_response(path, response.status, response.data)
        return dict(response.json())

    return send


def send_by_proxy(request: Callable[[str, str, Object | None], bytes], namespace: str, service: str, port: int) -> Send:
    """Return a way through the API server, which reaches Services that this machine does not."""

    def send(method: str, path: str, body: Object | None) -> Object:
        proxied = f"/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}"
        with translated(path):
            return dict(json.loads(request(method, proxied, body)))

    return send


def _shape(values: Any) -> list[int]:
    if not isinstance(values, list | tuple):
        return []
    return [len(values), *(_shape(values[0]) if values else [])]
